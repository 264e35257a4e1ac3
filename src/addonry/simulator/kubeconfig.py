"""The file a client needs to reach one simulated cluster."""

from __future__ import annotations

import base64

import yaml

from addonry.simulator.tls import Authority, server_name


def kubeconfig(*, name: str, server: str, token: str, authority: Authority | None = None) -> str:
    """A kubeconfig with one cluster, one user and one context, all called *name*."""
    cluster: dict[str, str] = {"server": server}
    if authority is not None:
        cluster["certificate-authority-data"] = base64.b64encode(authority.certificate).decode()
        cluster["tls-server-name"] = server_name(name)
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
        "current-context": name,
    }
    text: str = yaml.safe_dump(content, sort_keys=False)
    return text
