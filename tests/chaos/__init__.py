"""Everything at once: see ``storm``."""
