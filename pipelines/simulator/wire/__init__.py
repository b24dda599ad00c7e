"""The embedded market on loopback, in the venues' own wire formats."""
