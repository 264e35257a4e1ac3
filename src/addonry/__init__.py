"""Addonry looks after the add-ons of Kubernetes clusters."""
