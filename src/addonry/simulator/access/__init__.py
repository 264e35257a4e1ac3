"""Who asks, what they may do, and what they are told about it."""
