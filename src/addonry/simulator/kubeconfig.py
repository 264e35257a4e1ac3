"""The file a client needs to reach one simulated cluster."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import yaml

from addonry.simulator.tls import Authority, server_name


def kubeconfig(
    *, name: str, server: str, credentials: Mapping[str, str], user: str = "", authority: Authority | None = None
) -> str:
    """A kubeconfig with one cluster and one context, both called *name*, and one *user*, called so too by default."""
    user = user or name
    cluster: dict[str, str] = {"server": server}
    if authority is not None:
        cluster["certificate-authority-data"] = base64.b64encode(authority.certificate).decode()
        cluster["tls-server-name"] = server_name(name)
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": user, "user": dict(credentials)}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user, "namespace": "default"}}],
        "current-context": name,
    }
    text: str = yaml.safe_dump(content, sort_keys=False)
    return text
