"""What a recorded scenario began with, and what else happened to its cluster than requests.

Three nodes with room for everything, as the recorder's kubelets registered them; a namespace of the scenario's name,
unless the scenario makes it itself; a custom resource definition for those that use one. Other scenarios ran beside it
in namespaces of their own, which are not here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from addonry.simulator.life.pods import EXIT_CODE
from addonry.simulator.population import node_object
from addonry.simulator.storage import Object

from .recording import RECORDINGS, Exchange, scenarios

DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_ROOM: Final = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "1k"}
_VERSION: Final = "v1.36.2"
# Before which exchanges the recorder compacted the store, so that older versions were gone.
COMPACTED_BEFORE: Final[Mapping[str, tuple[int, ...]]] = {"raw-expired": (14,)}


# How the recorder's kubelets were told what a container ends with, and ours are.
_EXIT_CODES: Final = ("sim/exit-code", EXIT_CODE)
# Bodies with a member twice, of which the record keeps only the second.
_TWICE: Final[Mapping[tuple[str, int], str]] = {("raw-errors", seq): '"data":{"a":"1","a":"2"}' for seq in (64, 65)}


def as_sent(scenario: str, exchange: Exchange, request: Any) -> bytes:
    """The body of a request, once more as it was before it was written down."""
    body = exchange.body(request)
    if twice := _TWICE.get((scenario, exchange.seq)):
        return body.replace(b'"data": {"a": "2"}', twice.encode())
    return body.replace(_EXIT_CODES[0].encode(), _EXIT_CODES[1].encode())


def nodes(now: Any) -> list[Object]:
    """The recorded nodes: their kubelets said less than most."""
    return [_node(node_object(number, f"node-{number}", now=now, kubernetes_version=_VERSION)) for number in range(3)]


def _node(node: Object) -> Object:
    metadata, status = node["metadata"], node["status"]
    metadata["labels"]["node.kubernetes.io/instance-type"] = "fake.large"
    metadata["annotations"] = {"node.alpha.kubernetes.io/ttl": "0"}
    status["capacity"] = status["allocatable"] = dict(_ROOM)
    status["phase"] = "Running"
    status["daemonEndpoints"] = {"kubeletEndpoint": {"Port": 0}}
    status["nodeInfo"]["kubeProxyVersion"] = _VERSION
    order = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
    conditions = {condition["type"]: dict(condition) for condition in status["conditions"]}
    for kind in order[1:]:
        conditions[kind] |= {"reason": f"Kubelet{kind}"}
        del conditions[kind]["message"]
    status["conditions"] = [conditions[kind] for kind in order]
    return {**node, "spec": {}}


def foundations(scenario: str, exchanges: Iterable[Exchange]) -> list[tuple[str, Object]]:
    """What there is before the first request: paths, and what was created there."""
    exchanges = tuple(exchanges)
    made: list[tuple[str, Object]] = []
    if scenario not in _created(exchanges):
        made.append(("/api/v1/namespaces", {"metadata": {"name": scenario}}))
    if any("raw.example.com" in exchange.path for exchange in exchanges):
        made.append((DEFINITIONS, json.loads((RECORDINGS / "widgets.json").read_text())))
    return made


def own_namespaces(scenario: str, exchanges: Iterable[Exchange]) -> frozenset[str]:
    """The namespaces that the scenario is about; those of others are not compared."""
    found = {scenario}
    for exchange in exchanges:
        parts = exchange.path.split("/")
        if "namespaces" in parts[:-1]:
            found.add(parts[parts.index("namespaces") + 1])
    return frozenset(found - {*scenarios()} | {scenario})


def _created(exchanges: Iterable[Exchange]) -> set[str]:
    """The namespaces that are there for the first time because of a request."""
    found: set[str] = set()
    seen: set[str] = set()
    for exchange in exchanges:
        parts = exchange.path.split("/")
        if parts[:4] == ["", "api", "v1", "namespaces"] and len(parts) < 6 and exchange.status == 201:
            found |= {str(exchange.answer["metadata"]["name"])} - seen
        elif len(parts) == 5 and parts[3] == "namespaces" and exchange.status == 200:
            seen.add(parts[4])
    return found
