"""Over TLS each cluster has an authority of its own, and clients notice when they meet another's."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from addonry.simulator import SimulatedCluster, Simulator
from addonry.simulator.tls import server_name
from tests.simulator.conftest import Helm


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(clusters=2, tls=True) as running:
        yield running


class Named(HTTPSConnection):
    """A connection that says which cluster it means, as `tls-server-name` makes kubectl do."""

    def __init__(self, cluster: SimulatedCluster, trusted: SimulatedCluster) -> None:
        told = yaml.safe_load(trusted.kubeconfig())["clusters"][0]["cluster"]
        self._context_of = ssl.create_default_context(
            cadata=base64.b64decode(told["certificate-authority-data"]).decode()
        )
        self._name = server_name(cluster.name)
        super().__init__(urlsplit(cluster.server).netloc, timeout=10)

    def connect(self) -> None:
        super(HTTPSConnection, self).connect()
        self.sock = self._context_of.wrap_socket(self.sock, server_hostname=self._name)


def test_each_cluster_shows_a_certificate_of_its_own_authority(simulator: Simulator) -> None:
    authorities = set()
    for cluster in simulator.clusters:
        told = yaml.safe_load(cluster.kubeconfig())["clusters"][0]["cluster"]
        assert told["tls-server-name"] == f"{cluster.name}.clusters.local"
        authorities.add(told["certificate-authority-data"])
        connection = Named(cluster, trusted=cluster)
        connection.request(
            "GET", f"/clusters/{cluster.name}/version", headers={"Authorization": f"Bearer {cluster.token}"}
        )
        assert connection.getresponse().status == 200
        connection.close()
    assert len(authorities) == 2


def test_the_certificate_of_another_cluster_is_not_trusted(simulator: Simulator) -> None:
    one, two = simulator.clusters
    connection = Named(one, trusted=two)
    with pytest.raises(ssl.SSLCertVerificationError):
        connection.request("GET", "/version")
    connection.close()


@pytest.mark.slow
def test_helm_reaches_a_cluster_by_its_server_name(simulator: Simulator, tmp_path: Path) -> None:
    assert Helm(simulator.cluster("sim-2"), tmp_path)("list") == []
