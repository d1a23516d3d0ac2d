"""The one loop that trains, its settings and phases, the processes it runs in, its curves."""
