"""The nouns of Addonry: frozen values, closed sets, ids and errors.

Standard library only, no I/O, no clock. Everything above may import from here;
nothing here imports from above.
"""
