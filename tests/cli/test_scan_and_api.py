"""`addonry scan -o json` tells of a cluster what the API tells of the same cluster once it is registered."""

import http.client
import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from addonry.gateway.signing import sign_request
from addonry.simulator import Simulator
from tests.golden.scans import HERE, Index
from tests.scenario.test_first_upgrade import register
from tests.support.sdk import sdk
from tests.support.service import Service

MOMENTS = ("observed_at", "task")
"""What only a service has, or is of the moment."""


@pytest.mark.slow
def test_a_scan_and_the_api_say_the_same(tmp_path):
    with Simulator(clusters=0, charts=Index((HERE / "index.yaml").read_bytes())) as simulator:
        cluster = simulator.add("platform", snapshot=simulator.template("platform", "1.32"))
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(cluster.kubeconfig())
        mirror = {"ADDONRY_CHART_MIRROR": f"{simulator.url}/charts"}
        with Service(tmp_path / "data", mirror) as service:
            cluster_id = register(sdk(service.host, service.root_key), cluster.kubeconfig())
            told = ask(service, f"/addonry/v1/clusters/{cluster_id}/scan", "POST")["components"]
        scanned = subprocess.run(
            [sys.executable, "-m", "addonry", "scan", "--kubeconfig", str(kubeconfig), "-o", "json"],
            env={**os.environ, **mirror},
            capture_output=True,
            text=True,
            check=True,
        )
    by_api = {each["name"]: without_moments(each) for each in told if each["installed"]}
    by_scan = {each["name"]: without_moments(each) for each in json.loads(scanned.stdout)["components"]}
    assert len(by_scan) == 20
    assert by_scan == by_api


def without_moments(component):
    return {key: value for key, value in component.items() if key not in MOMENTS}


def ask(service, path, method):
    key, secret = service.root_key
    headers = sign_request(
        *(method, path, {"host": service.host}, b""), key_id=key, secret=secret, now=datetime.now(UTC), nonce="once"
    )
    connection = http.client.HTTPConnection(service.host)
    connection.request(method, path, headers=headers)
    answer = json.load(connection.getresponse())
    connection.close()
    return answer
