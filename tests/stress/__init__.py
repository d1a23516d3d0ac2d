"""The promises under fault, load and attack, each measured: ``python -m tests.stress`` writes their table.

The tests of the normal suite take a fast sample of each.
"""
