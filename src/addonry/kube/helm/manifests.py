"""Rendered manifests as objects: the YAML of a chart, read as Kubernetes reads it.

A chart is foreign text, so the reader is the safe one, and a document whose aliases would unfold without bound is
refused. Kubernetes' YAML is close to JSON: dates and ``12:30`` stay text, unlike in YAML 1.1.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import yaml

from addonry.model.errors import RenderFailed

HOOK: Final = "helm.sh/hook"
"""The annotation of objects that Helm runs at certain moments and does not keep as part of the release."""

_MOST_NODES: Final = 2_000_000

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _KubernetesLoader(_LOADER):  # type: ignore[misc]
    """The safe loader without timestamps and numbers of base 60, which Go's readers do not know."""


_KubernetesLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _integer(loader: Any, node: yaml.ScalarNode) -> Any:
    return node.value if ":" in node.value else loader.construct_yaml_int(node)


def _float(loader: Any, node: yaml.ScalarNode) -> Any:
    return node.value if ":" in node.value else loader.construct_yaml_float(node)


_KubernetesLoader.add_constructor("tag:yaml.org,2002:int", _integer)
_KubernetesLoader.add_constructor("tag:yaml.org,2002:float", _float)


_WORKLOADS: Final = ("Deployment", "DaemonSet", "StatefulSet")
_METADATA: Final = re.compile(r"^metadata: *\n((?: +.*\n?|\n)*)", re.MULTILINE)


def workloads_in(manifest: str, namespace: str) -> Iterator[tuple[str, str, str]]:
    """Kind, namespace and name of each workload in *manifest*, in the block style that charts are written in.

    A scan asks this of every release, so the text is looked through and not read as YAML; a workload written in
    another style is passed over.
    """
    for kind in _WORKLOADS:
        line = f"\nkind: {kind}\n"
        at = manifest.find(line)
        while at >= 0:
            begin = manifest.rfind("\n---", 0, at + 1) + 1
            end = manifest.find("\n---", at)
            found = _METADATA.search(manifest[begin : end if end >= 0 else None])
            metadata = found[1] if found else ""
            name = _field(metadata, "name")
            if name:
                yield kind, _field(metadata, "namespace") or namespace, name
            at = manifest.find(line, at + len(line) - 1)


def _field(block: str, name: str) -> str:
    """A field of the outermost level of an indented block; empty when it is not there."""
    first = block.lstrip("\n")
    indent = first[: len(first) - len(first.lstrip(" "))]
    found = re.search(rf"^{indent}{name}: *[\"']?([a-z0-9.-]+)", block, re.MULTILINE)
    return found[1] if found else ""


def objects_of(manifest: str) -> tuple[dict[str, Any], ...]:
    """Every object in *manifest*, members of Lists one by one. Raises RenderFailed for what is no object.

    Objects whose name the server makes up are left out: nobody can address them afterwards.
    """
    try:
        documents = list(yaml.load_all(manifest, Loader=_KubernetesLoader))
    except (yaml.YAMLError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" near line {where.line + 1}" if where is not None else ""
        # The error's own text would quote the manifest, which may hold Secrets.
        raise RenderFailed(f"A template of the chart does not give valid YAML{line}.") from error
    if "*" in manifest:
        _refuse_bombs(documents)
    return tuple(_flat(documents))


def kinds_in(manifest: str) -> tuple[str, ...]:
    """API version and kind of the objects in a manifest as Helm stores it, each once: ``apps/v1 Deployment``.

    Reads the two lines that say it and no YAML, so that a scan can ask it of every release. An object that somebody wrote
    otherwise (flow style, JSON) is not seen.
    """
    found: dict[str, None] = {}
    for document in _DOCUMENT.split(manifest):
        version, kind = _API_VERSION.search(document), _KIND.search(document)
        if version and kind:
            found[f"{version[1]} {kind[1]}"] = None
    return tuple(found)


_DOCUMENT: Final = re.compile(r"^---", re.MULTILINE)
_API_VERSION: Final = re.compile(r"""^apiVersion:[ \t]*["']?([\w./-]+)""", re.MULTILINE)
_KIND: Final = re.compile(r"""^kind:[ \t]*["']?(\w+)""", re.MULTILINE)


def without_hooks(objects: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """The objects that are part of the release itself."""
    return tuple(each for each in objects if HOOK not in ((each.get("metadata") or {}).get("annotations") or {}))


def _flat(documents: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict) or not document.get("kind") or not document.get("apiVersion"):
            raise RenderFailed("A template of the chart gives something that is no Kubernetes object.")
        if str(document["kind"]).endswith("List") and isinstance(document.get("items"), list):
            yield from _flat(document["items"])
            continue
        metadata = document.get("metadata")
        if not isinstance(metadata, dict) or not (metadata.get("name") or metadata.get("generateName")):
            raise RenderFailed(f"A template of the chart gives a {document['kind']} without a name.")
        if metadata.get("name"):
            yield document


def _refuse_bombs(documents: list[Any]) -> None:
    """Aliases are shared in memory and unfold when sent: count what they would unfold to."""
    sizes: dict[int, int] = {}

    def size(node: Any, depth: int) -> int:
        if not isinstance(node, dict | list):
            return 1
        if depth > 200:
            raise RenderFailed("A template of the chart nests deeper than Kubernetes accepts.")
        if id(node) not in sizes:
            inner = node.values() if isinstance(node, dict) else node
            sizes[id(node)] = 1 + sum(size(each, depth + 1) for each in inner)
        return sizes[id(node)]

    if size(documents, 0) > _MOST_NODES:
        raise RenderFailed("A template of the chart unfolds to more than Kubernetes accepts.")
