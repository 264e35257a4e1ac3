"""Scans of the simulator's populations, as people see them: one text for each, to be read by eye when it changes."""
