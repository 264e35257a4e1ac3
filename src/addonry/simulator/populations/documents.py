"""The files that describe populations, and what they leave to be filled in.

Objects are written as Kubernetes writes them, less what follows from the rest: the `apiVersion` of a built-in kind,
the namespace of a group, the labels of a workload's Pods (those of its selector), the readiness probe of what is no
DaemonSet, and the ServiceAccounts that workloads name. `${WORD}` stands for a word of `words`, which may differ by Kubernetes minor: the entry of the nearest
minor at or below the cluster's counts. `${kubernetes}` is the version that the cluster tells, `${kubernetes-tag}` the
same as the tag of an image.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

import msgspec
import yaml

from addonry.simulator.population import DEFAULT_SERVICES
from addonry.simulator.resources import BUILT_IN
from addonry.simulator.storage import Object
from addonry.simulator.versions import minor_of, whole

_WORD: Final = re.compile(r"\$\{(?P<name>[a-z0-9-]+)\}")
_API_VERSIONS: Final[Mapping[str, str]] = {r.kind: r.api_version for r in reversed(BUILT_IN)}
_CLUSTER_WIDE: Final = frozenset(r.kind for r in BUILT_IN if not r.namespaced)
_WORKLOADS: Final = frozenset({"Deployment", "DaemonSet", "StatefulSet"})
_PROBE: Final[Mapping[str, Any]] = {"readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}}}

Words = Mapping[str, str]


class NodeShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One node, beyond what every node has."""

    name: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    taints: list[dict[str, str]] = []
    provider: str = ""
    """`spec.providerID`."""
    system: str = "Ubuntu 24.04.1 LTS"
    kernel: str = "6.8.0-51-generic"
    runtime: str = "containerd://1.7.24"


class Definition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A custom resource definition, by what distinguishes it; its resources may have any fields."""

    group: str
    kind: str
    plural: str
    versions: list[str]
    """The first is the stored one."""
    namespaced: bool = True
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Objects that one client wrote."""

    by: str
    """The name of the client: the field manager of what it wrote."""
    applied: bool = True
    """Whether it applies server-side; otherwise it creates."""
    namespace: str = "kube-system"
    labels: dict[str, str] = {}
    """Put on every object of the group, as a distribution marks what is its own."""
    annotations: dict[str, str] = {}
    definitions: list[Definition] = []
    items: list[dict[str, Any]] = []


class Chart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The metadata of a release's chart."""

    name: str
    version: str
    app: str
    """Its `appVersion`."""
    kubernetes: str = ""
    """Its `kubeVersion`."""


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Helm release with the objects that it put there."""

    name: str
    namespace: str
    chart: Chart
    by: str = "helm"
    applied: bool = True
    """Whether Helm 4 applied it server-side, and says so in the record; Helm 3 did not."""
    values: dict[str, Any] = {}
    revisions: int = 1
    """How many there were; the last has the status, the others are superseded, and all hold the same objects."""
    status: str = "deployed"
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    definitions: list[Definition] = []
    items: list[dict[str, Any]] = []


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole file."""

    description: str
    sources: list[str]
    """Pages that the facts are from."""
    suffix: str = ""
    """What the distribution puts behind the version of Kubernetes."""
    words: dict[str, str | dict[str, str]] = {}
    services: str = DEFAULT_SERVICES
    """The network that Services have their addresses from."""
    nodes: list[NodeShape] = []
    objects: list[Group] = []
    releases: list[Release] = []
    afterwards: list[Group] = []
    """What was written over the releases."""


class Population:
    """One population, for any Kubernetes version."""

    def __init__(self, name: str, document: Mapping[str, Any]) -> None:
        self.name = name
        self._raw = document
        # Read once as it is written, so that a mistake is found before any cluster is asked for.
        self._document = msgspec.convert(document, Document)

    @property
    def description(self) -> str:
        """What it is, in a few words."""
        return self._document.description

    def version(self, kubernetes: str) -> str:
        """What its clusters tell of themselves when they run *kubernetes* (`1.31` or a whole version)."""
        told = whole(kubernetes)
        return told if "-" in told or "+" in told else told + self._document.suffix

    def at(self, kubernetes: str) -> Document:
        """The document with its words in place, for a whole Kubernetes version."""
        minor = minor_of(kubernetes)
        words = {name: _at(said, minor) for name, said in self._document.words.items()}
        own = {"kubernetes": kubernetes, "kubernetes-tag": kubernetes.replace("+", "-")}
        return msgspec.convert(_filled(self._raw, words | own, "words"), Document)


def names() -> tuple[str, ...]:
    """The populations there are."""
    return tuple(sorted(file.name.removesuffix(".yaml") for file in _folder().iterdir() if file.name.endswith(".yaml")))


@lru_cache
def read(name: str) -> Population:
    """The population of that name. Raises KeyError when there is none, ValueError when its file is wrong."""
    if name not in names():
        raise KeyError(f"There is no population {name!r}; there are {', '.join(names())}.")
    return Population(name, yaml.safe_load((_folder() / f"{name}.yaml").read_text()))


def completed(items: list[dict[str, Any]], group: Group | Release) -> list[Object]:
    """The objects of a group in full, with the namespace and accounts they need before them."""
    whole_objects = [_definition(each) for each in group.definitions] + [_completed(each, group) for each in items]
    needed = [*_namespaces(whole_objects, group), *_accounts(whole_objects)]
    for obj in (*needed, *whole_objects):
        _mark(obj, group)
    return [*needed, *whole_objects]


def _folder() -> Traversable:
    return resources.files("addonry.simulator.populations") / "data"


def _at(said: str | Mapping[str, str], minor: int) -> str:
    """What a word says at a minor version: the entry of the nearest one that is not newer, or the oldest."""
    if isinstance(said, str):
        return said
    by_minor = {minor_of(version): word for version, word in said.items()}
    return by_minor[max((known for known in by_minor if known <= minor), default=min(by_minor))]


def _filled(value: Any, words: Words, *without: str) -> Any:
    if isinstance(value, str):
        if unknown := {name for name in _WORD.findall(value) if name not in words}:
            raise ValueError(f"{value!r}: no word is called {', '.join(sorted(unknown))}; explain it under words.")
        return _WORD.sub(lambda found: words[found["name"]], value)
    if isinstance(value, Mapping):
        return {key: each if key in without else _filled(each, words) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, words) for each in value]
    return value


def _completed(item: Mapping[str, Any], group: Group | Release) -> Object:
    kind = item["kind"]
    obj: Object = {"apiVersion": _API_VERSIONS.get(kind, ""), **item, "metadata": dict(item["metadata"])}
    if kind not in _CLUSTER_WIDE and not obj["metadata"].pop("global", False):
        obj["metadata"].setdefault("namespace", group.namespace)
    if kind in _WORKLOADS:
        spec = obj["spec"] = dict(obj["spec"])
        template = spec["template"] = dict(spec["template"])
        template.setdefault("metadata", {"labels": spec["selector"]["matchLabels"]})
        if kind != "DaemonSet":
            inner = template["spec"] = dict(template["spec"])
            main, *others = inner["containers"]
            inner["containers"] = [{**_PROBE, **main}, *others]
    return obj


def _definition(given: Definition) -> Object:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{given.plural}.{given.group}",
            "labels": dict(given.labels),
            "annotations": dict(given.annotations),
        },
        "spec": {
            "group": given.group,
            "scope": "Namespaced" if given.namespaced else "Cluster",
            "names": {
                "kind": given.kind,
                "plural": given.plural,
                "singular": given.kind.lower(),
                "listKind": f"{given.kind}List",
            },
            "versions": [
                {"name": name, "served": True, "storage": place == 0, "schema": schema}
                for place, name in enumerate(given.versions)
            ],
        },
    }


def _namespaces(objects: list[Object], group: Group | Release) -> Iterator[Object]:
    there = {obj["metadata"]["name"] for obj in objects if obj["kind"] == "Namespace"}
    for name in sorted({obj["metadata"].get("namespace", "") for obj in objects} | {group.namespace}):
        if name and name not in there and not name.startswith("kube-") and name != "default":
            yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _accounts(objects: list[Object]) -> Iterator[Object]:
    there = {_address(obj) for obj in objects if obj["kind"] == "ServiceAccount"}
    for obj in objects:
        if obj["kind"] in _WORKLOADS:
            name = obj["spec"]["template"]["spec"].get("serviceAccountName", "")
            address = (obj["metadata"]["namespace"], name)
            if name and address not in there:
                there.add(address)
                metadata = {"name": name, "namespace": obj["metadata"]["namespace"]}
                yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def _address(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _mark(obj: Object, group: Group | Release) -> None:
    if obj["kind"] == "Namespace":
        return  # a group lives in its namespace; it need not have made it
    for member, marks in (("labels", group.labels), ("annotations", group.annotations)):
        if marks:
            obj["metadata"][member] = {**marks, **(obj["metadata"].get(member) or {})}
