"""The user's own kubeconfig: where it is, one context of it, and that context without the files it points to.

As kubectl does: ``--kubeconfig``, else the files of ``KUBECONFIG`` taken together (the first to name something wins),
else ``~/.kube/config``; paths inside are relative to the file they stand in
(https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/). What the contents mean, and
whether they are right, is judged by the kube room, which reads the result.
"""

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from addonry.cli.errors import Failed

_FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key", "tokenFile"),
}
"""Members that name a file."""

LARGEST: Final = 1024 * 1024
_FEW: Final = 12
_SINGLE: Final = {"clusters": "cluster", "contexts": "context", "users": "user"}


@dataclass(frozen=True, slots=True)
class Chosen:
    """One context of a kubeconfig. Secrets inside, hence no repr of them."""

    context: str
    server: str
    cluster: dict[str, Any] = field(repr=False)
    user: dict[str, Any] = field(repr=False)
    namespace: str = ""

    def text(self) -> str:
        """As a kubeconfig of its own; files stay files, by absolute path."""
        return _write(self, self.cluster, self.user)

    def self_contained(self, *, allow_expiring: bool) -> str:
        """As a kubeconfig of its own with every file inlined, to be sent elsewhere. Raises Failed and AddonryError."""
        if "exec" in self.user and not allow_expiring:
            plugin = self.user["exec"]
            command = plugin.get("command") if isinstance(plugin, dict) else ""
            raise Failed(
                f"Context {self.context} signs in with the plugin {command!r}: its tokens expire within minutes or "
                "hours, and the service runs no plugins.",
                remedy="Register a service account's token (kubectl create token NAME --duration 8760h), or give "
                "--allow-expiring to register the present token all the same.",
            )
        import asyncio

        from addonry.kube import flatten_kubeconfig

        return asyncio.run(flatten_kubeconfig(self.text()))


def read_kubeconfig(file: str | None, context: str | None) -> Chosen:
    """The chosen context of the user's kubeconfig; ``-`` reads it from stdin. Raises Failed."""
    if file == "-":
        documents = [_parse(sys.stdin.buffer.read(LARGEST + 1), "stdin", Path.cwd())]
    else:
        documents = [_read(path) for path in _paths(file)]
    merged = _merge(documents)
    wanted = context or str(merged["current-context"] or "")
    if not wanted:
        names = few_of(merged["contexts"])
        raise Failed("The kubeconfig has no current context.", remedy=f"Give --context; there are: {names}.")
    found = merged["contexts"].get(wanted)
    if found is None:
        names = few_of(merged["contexts"])
        raise Failed(f"The kubeconfig has no context {wanted!r}.", remedy=f"Give --context; there are: {names}.")
    parts = {}
    for member, kind in (("cluster", "clusters"), ("user", "users")):
        part = merged[kind].get(str(found.get(member, "")))
        if part is None:
            raise Failed(
                f"Context {wanted} names the {member} {found.get(member)!r}, which the kubeconfig does not have.",
                remedy="Correct it, or choose another with --context.",
            )
        parts[member] = part
    return Chosen(
        wanted,
        str(parts["cluster"].get("server", "")),
        parts["cluster"],
        parts["user"],
        str(found.get("namespace", "")),
    )


def few_of(names: Iterable[str]) -> str:
    """*names* for a message: the first of them, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - _FEW} more" if len(every) > _FEW else ""
    return (", ".join(every[:_FEW]) or "none") + more


def _paths(file: str | None) -> list[Path]:
    if file:
        return [Path(file).expanduser()]
    listed = [Path(each).expanduser() for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    if not listed:
        listed = [Path("~/.kube/config").expanduser()]
    there = [path for path in listed if path.exists()]
    if not there:
        raise Failed(
            f"There is no kubeconfig at {' or '.join(map(str, listed))}.",
            remedy="Give --kubeconfig FILE, or set KUBECONFIG.",
        )
    return there


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as opened:
            data = opened.read(LARGEST + 1)
    except OSError as error:
        raise Failed(
            f"The kubeconfig {path} cannot be read: {error.strerror}.", remedy="Give another with --kubeconfig."
        ) from error
    return _parse(data, str(path), path.absolute().parent)


def _parse(data: bytes, name: str, base: Path) -> dict[str, Any]:
    """The document with its three lists as mappings by name, and every file path absolute."""
    import yaml

    if len(data) > LARGEST:
        raise Failed(f"{name} is larger than any kubeconfig.", remedy="Check --kubeconfig.")
    try:
        read = yaml.safe_load(data)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise Failed(f"{name} is no kubeconfig.", remedy="Check --kubeconfig.")
    document: dict[str, Any] = {"current-context": read.get("current-context")}
    for kind, member in _SINGLE.items():
        named = read.get(kind) or []
        if not isinstance(named, list):
            raise Failed(f"{name} is no kubeconfig: its {kind} are no list.", remedy="Check --kubeconfig.")
        document[kind] = {
            str(each.get("name")): _absolute(member, each.get(member) or {}, base)
            for each in named
            if isinstance(each, dict)
        }
    return document


def _absolute(kind: str, part: Any, base: Path) -> dict[str, Any]:
    if not isinstance(part, dict):
        return {}
    paths: dict[str, Any] = {name: str(base / str(part[name])) for name in _FILES.get(kind, ()) if part.get(name)}
    plugin = part.get("exec")
    # A command with a slash is relative to the file as well; one without is looked for in PATH.
    if isinstance(plugin, dict) and "/" in str(plugin.get("command", "")):
        paths["exec"] = {**plugin, "command": str(base / str(plugin["command"]))}
    return {**part, **paths}


def _merge(documents: list[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {"current-context": None, **{kind: {} for kind in _SINGLE}}
    for document in documents:
        merged["current-context"] = merged["current-context"] or document["current-context"]
        for kind in _SINGLE:
            merged[kind] = {**document[kind], **merged[kind]}
    return merged


def _write(chosen: Chosen, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> str:
    import yaml

    context = {"cluster": chosen.context, "user": chosen.context}
    if chosen.namespace:
        context["namespace"] = chosen.namespace
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": chosen.context,
        "clusters": [{"name": chosen.context, "cluster": dict(cluster)}],
        "contexts": [{"name": chosen.context, "context": context}],
        "users": [{"name": chosen.context, "user": dict(user)}],
    }
    return str(yaml.safe_dump(document, sort_keys=False))
