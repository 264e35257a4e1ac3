"""The Kubernetes API of a simulated cluster, asked directly: the demo's proofs.

Addonry's own way to a cluster is ``addonry.kube``; what a demo claims is better not proved by what made it.
"""

import base64
import gzip
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from addonry.cli.errors import Failed


@dataclass(frozen=True, slots=True)
class Revision:
    """One entry of a release's Helm history."""

    number: int
    status: str
    chart_version: str


class PlainApi:
    """One cluster, by a kubeconfig with address and token, as the simulator writes it."""

    def __init__(self, kubeconfig: str) -> None:
        read = yaml.safe_load(kubeconfig)
        self._server: str = read["clusters"][0]["cluster"]["server"]
        self._token: str = read["users"][0]["user"]["token"]
        # A proxy of the environment has no way to a simulated cluster on loopback.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str) -> Any:
        """One object or list."""
        request = urllib.request.Request(  # noqa: S310 - the address is the simulator's own
            self._server + path, headers={"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        )
        try:
            with self._opener.open(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise Failed(f"GET {path} on the simulated cluster: HTTP {error.code}.") from error

    def history(self, namespace: str, release: str) -> list[Revision]:
        """A release's Helm history, oldest first."""
        secrets = self.get(f"/api/v1/namespaces/{namespace}/secrets?labelSelector=owner%3Dhelm%2Cname%3D{release}")
        return sorted((_revision(each) for each in secrets["items"]), key=lambda each: each.number)


def _revision(secret: Mapping[str, Any]) -> Revision:
    # Helm's Secret: base64 of JSON's own, then Helm's base64, then gzip
    # (https://github.com/helm/helm/blob/main/pkg/storage/driver/util.go).
    packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
    release = json.loads(gzip.decompress(packed))
    return Revision(release["version"], release["info"]["status"], release["chart"]["metadata"]["version"])
