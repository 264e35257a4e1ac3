"""Snapshots: what a catalog knows, in one file, for places without a way out.

``packing`` writes the file, ``unpacking`` reads one that may come from anybody, ``place`` is the folder of a data
directory where the one in use lies, ``making`` asks the sources for what goes in.
"""
