"""Scores of networks and baselines: what is scored, who, how, and what the numbers say together."""
