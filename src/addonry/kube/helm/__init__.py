"""Helm for the kube room: run in child processes, and its records read.

``adapters`` is what sources use; ``runner`` and ``child`` are the two halves of a process; ``locks`` keeps operations
on one release apart; ``failures`` names what went wrong; ``releases``, ``manifests`` and ``crds`` read what Helm and
charts leave behind, and know no processes.
"""
