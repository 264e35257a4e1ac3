"""The acceptance checklist of a compatible server (ack-api 09, section 5), each point by a test here or named.

1. every operation with the Python SDK: ``test_every_operation``
2. both signature schemes on awkward queries and paths, and what must be refused: here, ``tests/wire/test_signing*``
3. booleans in any case, an empty ``version=``: here
4. bodies as arrays under any content type: here
5. Terraform's calls, over TLS too: ``test_call_sequences``, and here
6. the classic CLI's signature in path mode and in operation mode: here
7. the sequence of ecctl: ``test_call_sequences``
8. errors as clients decode them: here, ``test_other_clients``
9. pause, resume and cancel give one picture in both families: ``tests/scenario/test_moves_by_sdk``
"""

import http.client
import itertools
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from alibabacloud_cs20151215 import models as m
from alibabacloud_cs20151215.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config

from addonry.gateway.signing import sign_request
from addonry.simulator import SimulatedCluster, Simulator
from tests.clients.test_call_sequences import Go, Terraform
from tests.scenario.test_first_upgrade import ready, register
from tests.support.helm import helm
from tests.support.service import Service
from tests.wire.test_signing_legacy import a_legacy_request

pytestmark = pytest.mark.slow

NAME = "metrics-server"
NUMBERS = itertools.count()
AWKWARD = "a b+c*d~e%f&g=h/i'é"


@dataclass
class Plain:
    """Requests as a client of either style writes them, sent as they are."""

    host: str
    key: tuple[str, str]

    def v3(self, method: str, target: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
        given = {"host": self.host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        nonce = f"acceptance-{next(NUMBERS)}"
        signed = sign_request(
            method,
            target,
            given,
            body,
            key_id=self.key[0],
            secret=self.key[1],
            now=datetime.now(UTC),
            nonce=nonce,
        )
        return self.send(method, target, signed, body)

    def legacy(self, method: str, target: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
        """As the aliyun CLI: no nonce, no action, always a digest and a content type."""
        headers = {"content_type": "application/octet-stream", "x_acs_region_id": "local", **headers}
        request = a_legacy_request(
            method, target, body, key=self.key[0], secret=self.key[1], now=datetime.now(UTC), digest=True, **headers
        )
        return self.send(method, target, {**request.headers, "host": self.host}, body)

    def send(self, method: str, target: str, headers: Any, body: bytes) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self.host, timeout=10)
        try:
            connection.request(method, target, body=body or None, headers=dict(headers))
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def plain(service) -> Plain:
    return Plain(service.host, service.root_key)


def with_an_old_version(simulator: Simulator, name: str) -> SimulatedCluster:
    cluster = simulator.add(name)
    where = {"chart_repo_url": f"{simulator.url}/charts", "chart_version": "3.12.1"}
    helm(cluster.kubeconfig(), "install", NAME, NAME, {}, **where, wait="watcher", timeout=30)
    return cluster


@pytest.fixture(scope="module")
def cluster_id(client, simulator) -> str:
    registered = register(client, with_an_old_version(simulator, "shared").kubeconfig())
    ready(client, registered, NAME)
    return registered


# 2


@pytest.mark.parametrize("style", ["v3", "legacy"])
def test_awkward_values_in_query_and_path_verify(plain, cluster_id, style):
    call = getattr(plain, style)
    # The legacy style cannot sign an ampersand or a percent sign within a value; see the signatures page.
    name = AWKWARD if style == "v3" else AWKWARD.replace("&", "").replace("%", "")
    names = quote(json.dumps([name, NAME]), safe="*~'" if style == "v3" else "~")
    status, told = call("GET", f"/clusters/{cluster_id}/components/upgradestatus?componentIds={names}&empty=")
    assert (status, list(told)) == (200, [NAME])
    status, told = call("GET", f"/clusters/c%2F1/components/{quote(name.replace(chr(39), ''), safe='~')}/upgradestatus")
    assert (status, told["code"]) == (404, "ErrorClusterNotFound")


def test_what_must_be_refused_is(plain, cluster_id, service):
    target = f"/clusters/{cluster_id}/components/install"
    body = json.dumps([{"name": NAME}]).encode()
    wrong = Plain(service.host, (service.root_key[0], "wrong"))
    for style in ("v3", "legacy"):
        assert getattr(wrong, style)("GET", "/regions")[1]["Code"] == "SignatureDoesNotMatch"
    given = {"host": service.host, "content-type": "application/json"}
    key, secret = service.root_key
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    stale = sign_request("POST", target, given, body, key_id=key, secret=secret, now=long_ago, nonce="stale")
    assert plain.send("POST", target, stale, body)[1]["Code"] == "InvalidTimeStamp.Expired"
    fresh = sign_request("POST", target, given, body, key_id=key, secret=secret, now=datetime.now(UTC), nonce="once")
    assert plain.send("POST", target, fresh, body + b" ")[1]["Code"] == "SignatureDoesNotMatch"
    assert plain.send("POST", target, fresh, body)[1]["Code"] == "BadRequest"
    assert plain.send("POST", target, fresh, body)[1]["Code"] == "SignatureNonceUsed"


# 3


@pytest.mark.parametrize(("flag", "told"), [("True", 1), ("true", 1), ("TRUE", 1), ("False", 0), ("false", 0), ("", 0)])
def test_booleans_in_any_case(plain, cluster_id, flag, told):
    status, parts = plain.v3("GET", f"/clusters/{cluster_id}/resources?with_addon_resources={flag}")
    assert (status, len(parts)) == (200, told)


def test_an_empty_version_is_the_newest(plain, cluster_id):
    for query in ("version=", "version"):
        status, told = plain.v3("GET", f"/addons/{NAME}?cluster_id={cluster_id}&{query}")
        assert (status, told["version"], told["newer_versions"]) == (200, "3.13.0", [])


# 4 and 6


@pytest.mark.parametrize("style", ["v3", "legacy"])
@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "application/octet-stream", "application/x-www-form-urlencoded", ""]
)
def test_a_body_is_an_array_whatever_its_content_type_says(plain, cluster_id, kind, style):
    body = json.dumps([{"name": NAME}]).encode()
    target = f"/clusters/{cluster_id}/components/install"
    headers = {"content_type": kind} if kind or style == "legacy" else {}
    status, told = getattr(plain, style)("POST", target, body, **headers)
    assert (status, told["code"]) == (400, "BadRequest")
    assert "already installed" in told["message"]


def test_the_cli_in_operation_mode_puts_the_body_into_one_field_of_a_form(plain, cluster_id):
    form = {"content_type": "application/x-www-form-urlencoded"}
    body = f"addons={quote(json.dumps([{'name': NAME}]), safe='')}".encode()
    status, told = plain.legacy("POST", f"/clusters/{cluster_id}/components/install", body, **form)
    assert (status, "already installed" in told["message"]) == (400, True)
    body = f"body={quote(json.dumps({'podAnnotations': {'by': 'cli'}}), safe='')}".encode()
    assert plain.legacy("POST", f"/clusters/{cluster_id}/components/{NAME}/config", body, **form) == (200, {})


def test_the_cli_in_path_mode_names_no_operation(plain, cluster_id):
    status, told = plain.legacy("GET", f"/clusters/{cluster_id}/components/upgradestatus?componentIds={NAME}")
    assert (status, list(told)) == (200, [NAME])


# 5


@pytest.fixture(scope="module")
def over_tls(environment, tmp_path_factory) -> Iterator[Service]:
    data = tmp_path_factory.mktemp("tls") / "data"
    with Service(data, environment, arguments=("--tls-self-signed",)) as running:
        yield running


def test_the_same_over_tls_with_an_authority_of_its_own(over_tls, simulator, monkeypatch):
    cluster = with_an_old_version(simulator, "over-tls")
    authority = over_tls.data / "tls" / "ca.pem"
    key = over_tls.root_key
    client = Client(
        Config(
            endpoint=over_tls.host,
            protocol="https",
            ca=str(authority),
            access_key_id=key[0],
            access_key_secret=key[1],
            region_id="local",
            no_proxy="127.0.0.1",
        )
    )
    cluster_id = register(client, cluster.kubeconfig())
    ready(client, cluster_id, NAME)
    # Go asks for the name in subjectAltName and trusts what SSL_CERT_FILE names.
    context = ssl.create_default_context(cafile=authority)
    monkeypatch.setattr(
        http.client,
        "HTTPConnection",
        lambda host, timeout: http.client.HTTPSConnection(host, timeout=timeout, context=context),
    )
    resource = Terraform(Go(over_tls.host, key), cluster_id, NAME)
    assert (resource.read() or {})["next_version"] == "3.13.0"
    assert resource.update("3.13.0")["version"] == "3.13.0"


def test_the_command_line_trusts_the_service_on_its_own_data(over_tls):
    import subprocess
    import sys

    command = [sys.executable, "-m", "addonry", "--data", str(over_tls.data), "clusters", "list", "-o", "json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 0, ended.stderr
    assert isinstance(json.loads(ended.stdout)["clusters"], list)
    assert (over_tls.data / "tls" / "ca.key").stat().st_mode & 0o777 == 0o600


# 8


def test_errors_decode_into_code_message_and_request_id(client, cluster_id):
    for ask, code in [
        (lambda: client.describe_cluster_detail("c" + "0" * 32), "ErrorClusterNotFound"),
        (lambda: client.get_cluster_addon_instance(cluster_id, "node-problem-detector"), "AddonNotFound"),
        (lambda: client.describe_addon("coredns", m.DescribeAddonRequest(version="9.9")), "AddonNotFound"),
    ]:
        with pytest.raises(ClientException) as refused:
            ask()
        assert (refused.value.status_code, refused.value.code) == (404, code)
        assert len(refused.value.request_id) == 36
