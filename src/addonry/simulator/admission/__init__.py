"""Admission: what the API server makes of a write, and what it refuses, before it is stored; one module a plugin."""
