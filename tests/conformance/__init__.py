"""Scenarios as data: what a client does to a cluster, and what must hold after each step.

Each YAML file beside this one is a scenario; `scenario.py` says what may stand in it. The suite runs them on simulated
clusters, `make test-cluster KUBECONFIG=...` on a real one as well, and prints where the two differ.
"""
