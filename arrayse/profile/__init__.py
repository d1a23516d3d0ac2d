"""What a network costs: numbers that follow from its shape, and times on this machine."""
