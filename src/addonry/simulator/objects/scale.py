"""Ownership of the one field that `/scale` and its parent object share.

A Scale object is made up on each request, so its `managedFields` are read from the parent before a write and put
back after it; then an autoscaler's claim on the replicas shows up on the Deployment, where Helm will run into it.
See https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership
"""

from __future__ import annotations

from typing import Any, Final

from . import fields as sets
from .fields import FieldSet
from .managed_fields import Managers, Owner, Share, read_managers, write_managers

SCALE_VERSION: Final = "autoscaling/v1"
_IN_SCALE: Final[FieldSet] = {"f:spec": {"f:replicas": {}}}


def scale_managers(parent: dict[str, Any], *, path: tuple[str, ...] = ("spec", "replicas")) -> list[dict[str, Any]]:
    """`managedFields` of the Scale of *parent*: those who own the replicas, and nothing else."""
    where = _field(path)
    found: Managers = {}
    for owner, share in read_managers(parent.get("metadata", {}).get("managedFields")).items():
        if sets.intersection(share.fields, where):
            version = "" if owner.operation == "Apply" else SCALE_VERSION
            found[owner._replace(api_version=version)] = Share(_IN_SCALE, SCALE_VERSION, share.time)
    return write_managers(found)


def with_scale_managers(
    parent: dict[str, Any], scale_entries: list[dict[str, Any]] | None, *, path: tuple[str, ...] = ("spec", "replicas")
) -> dict[str, Any]:
    """*parent* with the ownership of its replicas as *scale_entries*, the Scale's `managedFields`, say."""
    where, api_version = _field(path), parent.get("apiVersion", "")
    scaling = read_managers(scale_entries)
    by_name = {_name(owner): owner for owner in scaling}
    result: Managers = {}
    for owner, share in read_managers(parent.get("metadata", {}).get("managedFields")).items():
        if not sets.intersection(share.fields, where):
            result[owner] = share
        elif _name(owner) in by_name:
            result[owner] = share
            del scaling[by_name[_name(owner)]]
        elif rest := sets.difference(share.fields, where):
            result[owner] = Share(rest, share.api_version, share.time)
    for owner in scaling:
        version = "" if owner.operation == "Apply" else api_version
        # As recorded: ownership through a subresource of another type carries no time.
        result[owner._replace(api_version=version)] = Share(where, api_version, None)
    metadata = {key: value for key, value in parent.get("metadata", {}).items() if key != "managedFields"}
    if result:
        metadata["managedFields"] = write_managers(result)
    return {**parent, "metadata": metadata}


def _field(path: tuple[str, ...]) -> FieldSet:
    node: FieldSet = {}
    for name in reversed(path):
        node = {"f:" + name: node}
    return node


def _name(owner: Owner) -> tuple[str, str, str]:
    return owner.manager, owner.operation, owner.subresource
