"""`metadata.generation`: raised by the writes that mean something else to the object's controller than before.

Follows the update strategies of the API server's registries: a change of what is specified counts, one of status does
not. Of a Deployment annotations count as well, because its controller hands them on to ReplicaSets; a DaemonSet numbers
its templates besides, in an annotation left from the days of extensions/v1beta1.
"""

from __future__ import annotations

from typing import Final

from addonry.simulator.objects.defaults import TEMPLATE_GENERATION
from addonry.simulator.resources import Resource, ResourceKey
from addonry.simulator.storage import Object

_DEPLOYMENTS: Final = ResourceKey("apps", "deployments")
_DAEMON_SETS: Final = ResourceKey("apps", "daemonsets")
_SLICES: Final = ResourceKey("discovery.k8s.io", "endpointslices")


def count(resource: Resource, live: Object, new: Object, subresource: str) -> None:
    """Set the generation of *new*, which is about to replace *live*."""
    if not (resource.has_generation or resource.is_custom) or subresource == "status":
        return
    if resource.key == _DAEMON_SETS:
        _count_templates(live, new)
    if _meaning(resource, new) != _meaning(resource, live):
        new["metadata"]["generation"] = live["metadata"].get("generation", 0) + 1


def _count_templates(live: Object, new: Object) -> None:
    number = int((live["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION, 1))
    if new["spec"].get("template") != live["spec"].get("template"):
        number += 1
    new["metadata"]["annotations"] = {**(new["metadata"].get("annotations") or {}), TEMPLATE_GENERATION: str(number)}


def _meaning(resource: Resource, obj: Object) -> Object:
    found = {key: value for key, value in obj.items() if key not in ("metadata", "status", "kind", "apiVersion")}
    if resource.key == _DEPLOYMENTS:
        found["annotations"] = obj["metadata"].get("annotations") or {}
    elif resource.key == _SLICES:
        found["labels"] = obj["metadata"].get("labels") or {}
    return found
