"""The client of the Kubernetes API: on a simulated cluster, and on a server that misbehaves on request."""

import asyncio
import datetime as dt
import ipaddress
import json
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from addonry.kube import api as api_module
from addonry.kube.api import Api, Expired, Forbidden, Missing, WatchEvent
from addonry.kube.kubeconfig import Access, ExecPlugin, Impersonation, read_kubeconfig
from addonry.model.errors import (
    ClusterRefused,
    ClusterRejected,
    ClusterTrouble,
    ClusterUnreachable,
    FieldConflict,
)
from addonry.simulator import Simulator

TOKEN = "s3cret-t0ken"
MAPS = "/api/v1/namespaces/default/configmaps"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Name(msgspec.Struct):
    name: str = ""


class Named(msgspec.Struct):
    metadata: Name


def status(code: int, message: str, reason: str = "", causes: list[dict] | None = None, **headers: str) -> web.Response:
    """A refusal as Kubernetes words it."""
    details = {"details": {"causes": causes}} if causes else {}
    body = {"kind": "Status", "status": "Failure", "message": message, "reason": reason, "code": code, **details}
    return web.json_response(body, status=code, headers=headers)


@asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The address of a server that answers everything with *handler*."""
    server = web.Server(handler)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def client(handler: Handler, *, seconds: float = 5.0, **access) -> AsyncIterator[Api]:
    async with serving(handler) as address:
        api = Api(Access(address, **{"token": TOKEN, **access}), request_seconds=seconds)
        try:
            yield api
        finally:
            await api.close()


def answering(response: Callable[[], web.StreamResponse]) -> Handler:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return response()

    return handler


@pytest.fixture(scope="module")
def simulator():
    with Simulator(clusters=1, speed=10.0) as running:
        yield running


@pytest.fixture
async def api(simulator):
    made = Api(read_kubeconfig(simulator.cluster("sim-1").kubeconfig()), request_seconds=5)
    yield made
    await made.close()


def a_map(name: str, **data: str) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


# On a simulated cluster.


async def test_an_object_is_created_read_changed_and_deleted(api):
    await api.create(MAPS, a_map("one", colour="red"))
    await api.patch(f"{MAPS}/one", {"data": {"colour": "blue"}}, kind="merge")
    assert (await api.get(f"{MAPS}/one"))["data"] == {"colour": "blue"}
    assert (await api.get(f"{MAPS}/one", into=Named)).metadata.name == "one"
    await api.delete(f"{MAPS}/one")
    assert await api.get_or_none(f"{MAPS}/one") is None


async def test_every_kind_of_patch_is_understood(api):
    await api.create(MAPS, a_map("patched", a="1"))
    path = f"{MAPS}/patched"
    await api.patch(path, [{"op": "add", "path": "/data/b", "value": "2"}], kind="json")
    await api.patch(path, {"data": {"c": "3"}}, kind="strategic")
    applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "patched"}, "data": {"d": "4"}}
    stored = await api.patch(path, applied, kind="apply", params={"fieldManager": "addonry"})
    assert stored["data"] == {"a": "1", "b": "2", "c": "3", "d": "4"}


async def test_a_list_comes_whole_however_small_its_pages(api):
    for number in range(7):
        await api.create(MAPS, a_map(f"page-{number}"))
    found, version = await api.list(MAPS, Named, params={"limit": "2"})
    assert {f"page-{number}" for number in range(7)} <= {each.metadata.name for each in found}
    assert version.isdigit()


async def test_what_is_missing_is_told_apart(api):
    with pytest.raises(Missing) as caught:
        await api.get(f"{MAPS}/nope")
    assert 'configmaps "nope" not found' in caught.value.message


async def test_an_apply_over_others_fields_names_field_and_manager(api):
    mine = {**a_map("shared", colour="red")}
    await api.patch(f"{MAPS}/shared", mine, kind="apply", params={"fieldManager": "first"})
    theirs = {**a_map("shared", colour="blue")}
    with pytest.raises(FieldConflict) as caught:
        await api.patch(f"{MAPS}/shared", theirs, kind="apply", params={"fieldManager": "second"})
    assert caught.value.conflicts == (("data.colour", "first"),)


async def test_a_name_that_is_taken_is_a_rejection(api):
    await api.create(MAPS, a_map("taken"))
    with pytest.raises(ClusterRejected, match="already exists"):
        await api.create(MAPS, a_map("taken"))


async def test_a_watch_tells_what_happens_after_the_list(api):
    _, version = await api.list(MAPS, Named)
    events = api.watch(MAPS, resource_version=version, into=Named)
    await api.create(MAPS, a_map("watched"))
    event = await anext(events)
    assert event == WatchEvent("ADDED", Named(Name("watched")))
    await events.aclose()


async def test_a_watch_ends_when_its_time_is_up(api):
    _, version = await api.list(MAPS, Named)
    params = {"timeoutSeconds": "1", "fieldSelector": "metadata.name=none"}
    events = [event.type async for event in api.watch(MAPS, params=params, resource_version=version)]
    assert set(events) <= {"BOOKMARK"}


async def test_kinds_are_found_by_discovery(api):
    found = await api.resource("apps/v1", "Deployment")
    assert api.path_of(found, "kube-system", "coredns") == "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
    node = await api.resource("v1", "Node")
    assert api.path_of(node, "ignored", "n1") == "/api/v1/nodes/n1"
    assert {"v1", "apps/v1"} <= await api.served()


async def test_an_unknown_kind_is_looked_for_once_more_before_it_is_rejected(api, simulator):
    await api.resource("v1", "Pod")
    simulator.cluster("sim-1").forget_requests()
    with pytest.raises(ClusterRejected, match=r"no kind Widget in example\.com/v1"):
        await api.resource("example.com/v1", "Widget")
    assert [(each.path, each.status) for each in sorted(simulator.cluster("sim-1").requests, key=lambda r: r.path)] == [
        ("/api", 304),
        ("/apis", 304),
    ]


async def test_a_kind_that_came_with_a_crd_is_found_at_once(api):
    await api.resource("v1", "Pod")
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.example.org"},
        "spec": {
            "group": "example.org",
            "scope": "Cluster",
            "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }
    await api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)

    async def known() -> bool:
        try:
            return (await api.resource("example.org/v1", "Gadget")).plural == "gadgets"
        except ClusterRejected:
            return False  # it takes a moment until a CRD is served

    async with asyncio.timeout(10):
        while not await known():  # noqa: ASYNC110 - a condition of the cluster, with a deadline
            await asyncio.sleep(0.02)


async def test_a_server_before_aggregated_discovery_is_asked_for_the_group_alone():
    asked: list[str] = []

    async def classic(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        group = {"name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}]}
        resources = [
            {"name": "deployments", "kind": "Deployment", "namespaced": True},
            {"name": "deployments/scale", "kind": "Scale", "namespaced": True},
        ]
        answers = {
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {"kind": "APIGroupList", "groups": [group]},
            "/apis/apps/v1": {"kind": "APIResourceList", "resources": resources},
        }
        return web.json_response(answers[request.path])

    async with client(classic) as api:
        found = [await api.resource("apps/v1", "Deployment") for _ in range(2)]
        assert await api.served() == {"v1", "apps/v1"}
        with pytest.raises(ClusterRejected, match="no kind Scale"):
            await api.resource("apps/v1", "Scale")
    assert {each.plural for each in found} == {"deployments"}
    assert "/api/v1" not in asked


async def test_a_wrong_token_is_refused_with_a_remedy(simulator):
    cluster = simulator.cluster("sim-1")
    api = Api(Access(cluster.server, token="wrong"))
    with pytest.raises(ClusterRefused, match="does not accept the credentials") as caught:
        await api.server_version()
    assert caught.value.remedy
    assert not isinstance(caught.value, Forbidden)
    await api.close()


async def test_a_cluster_that_hangs_is_unreachable_at_the_deadline(simulator):
    cluster = simulator.add("hanging")
    api = Api(read_kubeconfig(cluster.kubeconfig()), request_seconds=0.3)
    cluster.trouble.hang()
    with pytest.raises(ClusterUnreachable, match=r"has not answered within 0\.3 s"):
        await api.server_version()
    cluster.trouble.recover()
    await api.close()


async def test_a_cluster_that_hangs_up_is_unreachable(simulator):
    cluster = simulator.add("refusing")
    api = Api(read_kubeconfig(cluster.kubeconfig()), request_seconds=2)
    cluster.trouble.refuse()
    with pytest.raises(ClusterUnreachable, match="closed the connection"):
        await api.server_version()
    await api.close()


# On a server that misbehaves.


async def test_nobody_listening_is_unreachable():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    api = Api(Access(f"http://127.0.0.1:{port}", token=TOKEN))
    with pytest.raises(ClusterUnreachable, match=f"127.0.0.1:{port} does not answer"):
        await api.get("/version")
    await api.close()


async def test_an_unknown_host_is_unreachable():
    api = Api(Access("https://no-such-host.invalid", token=TOKEN))
    with pytest.raises(ClusterUnreachable, match="name is not known"):
        await api.get("/version")
    await api.close()


REFUSALS = {
    "401": (lambda: status(401, "Unauthorized"), ClusterRefused, "Unauthorized"),
    "403": (lambda: status(403, 'User "jane" cannot list nodes', "Forbidden"), Forbidden, "jane"),
    "410": (lambda: status(410, "too old", "Expired"), Expired, "too old"),
    "422": (lambda: status(422, "spec.selector: field is immutable", "Invalid"), ClusterRejected, "immutable"),
    "500": (lambda: status(500, "Internal error", "InternalError"), ClusterUnreachable, "failed \\(500\\)"),
    "503 in plain text": (lambda: web.Response(status=503, text="unavailable"), ClusterUnreachable, "HTTP 503"),
    "404 in plain text": (lambda: web.Response(status=404, text="404 page not found"), Missing, "HTTP 404"),
    "a redirect": (
        lambda: web.Response(status=302, headers={"Location": "https://login"}),
        ClusterRejected,
        "redirect",
    ),
    "a login page": (lambda: web.Response(text="<html>"), ClusterRejected, "not Kubernetes JSON"),
    "JSON of another kind": (lambda: web.json_response([1]), ClusterRejected, "not Kubernetes JSON"),
    "429 without a time": (lambda: status(429, "later", "TooManyRequests"), ClusterUnreachable, "overloaded"),
}


@pytest.mark.parametrize(("response", "kind", "says"), REFUSALS.values(), ids=REFUSALS.keys())
async def test_each_refusal_is_an_error_of_its_kind(response, kind, says):
    async with client(answering(response)) as api:
        with pytest.raises(ClusterTrouble, match=says) as caught:
            await api.get("/api/v1/nodes", into=Named)
    assert isinstance(caught.value, kind)
    assert TOKEN not in str(caught.value)


async def test_an_apply_with_unknown_fields_is_a_verdict_though_it_comes_as_500():
    """Recorded from kube-apiserver 1.36: no reason, status 500. Asking again would never help."""
    message = "failed to create typed patch object (/; apps/v1, Kind=Deployment): .spec.nope: field not declared"
    async with client(answering(lambda: status(500, message))) as api:
        with pytest.raises(ClusterRejected, match="not declared"):
            await api.patch("/apis/apps/v1/namespaces/x/deployments/y", {}, kind="apply")


async def test_a_refused_write_does_not_repeat_what_was_sent():
    """Strict validation answers with the whole object, which may be a Secret."""
    message = f'"" is invalid: patch: Invalid value: "{{\\"data\\":{{\\"k\\":\\"{TOKEN}\\"}}}}": strict decoding error'
    for path in ("/api/v1/namespaces/x/secrets/y", "/apis/example.com/v1/namespaces/x/things/y"):
        async with client(answering(lambda: status(422, message, "Invalid"))) as api:
            with pytest.raises(ClusterRejected) as caught:
                await api.patch(path, {}, kind="merge")
        assert TOKEN not in caught.value.message


CONFLICTS = [
    ('conflict with "alpha"', ".spec.replicas", ("spec.replicas", "alpha")),
    ('conflict with "upd" using apps/v1', ".data.k", ("data.k", "upd")),
    ('conflict with "kubectl" with subresource "scale" using apps/v1', ".spec.replicas", ("spec.replicas", "kubectl")),
]


@pytest.mark.parametrize(("message", "field", "conflict"), CONFLICTS)
async def test_each_form_of_an_apply_conflict_is_read(message, field, conflict):
    causes = [{"reason": "FieldManagerConflict", "message": message, "field": field}]
    async with client(answering(lambda: status(409, "Apply failed", "Conflict", causes))) as api:
        with pytest.raises(FieldConflict) as caught:
            await api.patch("/x", {}, kind="apply")
    assert caught.value.conflicts == (conflict,)


def first_then(*responses: Callable[[], web.StreamResponse]) -> tuple[Handler, list[web.Request]]:
    """A handler that gives each response once and the last one for ever, and what it was asked."""
    asked: list[web.Request] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        return responses[min(len(asked), len(responses)) - 1]()

    return handler, asked


@pytest.mark.parametrize("code", [429, 503])
async def test_a_server_that_asks_to_come_back_later_is_asked_again(code):
    handler, asked = first_then(
        lambda: status(code, "later", **{"Retry-After": "0"}), lambda: web.json_response({"gitVersion": "v1"})
    )
    async with client(handler) as api:
        assert await api.server_version() == "v1"
    assert len(asked) == 2


async def test_it_is_asked_again_three_times_at_most():
    handler, asked = first_then(lambda: status(429, "later", **{"Retry-After": "0"}))
    async with client(handler) as api:
        with pytest.raises(ClusterUnreachable, match="overloaded"):
            await api.server_version()
    assert len(asked) == 4


async def test_nobody_waits_beyond_the_deadline_for_a_server_that_says_later():
    handler, asked = first_then(lambda: status(429, "later", **{"Retry-After": "3600"}))
    async with client(handler) as api:
        with pytest.raises(ClusterUnreachable):
            await api.server_version()
    assert len(asked) == 1


def page(*names: str, more: str = "") -> web.Response:
    items = [{"metadata": {"name": name}} for name in names]
    return web.json_response({"metadata": {"resourceVersion": "7", "continue": more}, "items": items})


async def test_a_list_that_expires_half_way_is_begun_again_once():
    handler, asked = first_then(
        lambda: page("old", more="x"), lambda: status(410, "expired", "Expired"), lambda: page("new")
    )
    async with client(handler) as api:
        found, _ = await api.list("/x", Named)
    assert [each.metadata.name for each in found] == ["new"]
    assert "continue" not in asked[2].query


async def test_a_list_that_always_expires_is_an_error():
    async with client(answering(lambda: status(410, "expired", "Expired"))) as api:
        with pytest.raises(Expired):
            await api.list("/x", Named)


async def test_a_list_without_items_is_empty():
    """Go writes null for a list that was never made."""
    async with client(answering(lambda: web.json_response({"metadata": {}, "items": None}))) as api:
        assert await api.list("/x", Named) == ([], "")


async def cut_short(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n{"type":')
    assert request.transport is not None
    request.transport.close()
    return response


async def test_an_answer_that_is_cut_short_is_unreachable():
    async with client(cut_short) as api:
        with pytest.raises(ClusterUnreachable):
            await api.get("/x")


async def test_a_watch_that_is_cut_tells_what_came_before():
    async with client(cut_short) as api:
        events = api.watch("/x", resource_version="1", into=Named)
        assert (await anext(events)).object.metadata.name == "a"
        with pytest.raises(ClusterUnreachable):
            await anext(events)


async def test_a_watch_from_a_version_too_old_says_expired():
    """The server answers 200 and one ERROR event (recorded)."""
    gone = {"kind": "Status", "message": "too old resource version: 1 (1555)", "reason": "Expired", "code": 410}
    line = json.dumps({"type": "ERROR", "object": gone}) + "\n"
    async with client(answering(lambda: web.Response(text=line))) as api:
        with pytest.raises(Expired, match="too old"):
            await anext(api.watch("/x", resource_version="1"))


async def test_a_watch_may_bring_objects_longer_than_any_buffer():
    line = json.dumps({"type": "ADDED", "object": {"metadata": {"name": "n" * 300_000}}}) + "\n"
    async with client(answering(lambda: web.Response(text=line * 2))) as api:
        sizes = [len(e.object.metadata.name) async for e in api.watch("/x", resource_version="1", into=Named)]
    assert sizes == [300_000, 300_000]


async def test_an_answer_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr(api_module, "MAX_ANSWER", 100_000)
    async with client(answering(lambda: web.Response(body=b" " * 200_000))) as api:
        with pytest.raises(ClusterRejected, match="at once"):
            await api.get("/x")


async def test_an_answer_that_never_ends_meets_the_deadline():
    async def dripping(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    async with client(dripping, seconds=0.3) as api:
        with pytest.raises(ClusterUnreachable, match="has not answered"):
            await api.get("/x")


async def test_something_that_speaks_no_http_is_unreachable():
    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        api = Api(Access(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        with pytest.raises(ClusterUnreachable):
            await api.get("/version")
        await api.close()


async def test_cancelled_requests_never_use_up_the_pool():
    """A client of another kind went deaf after minutes of cancellations: its connections were lost to the pool."""
    gate = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        if request.path == "/slow":
            await gate.wait()
        return web.json_response({"gitVersion": "v1"})

    async with client(slow, seconds=10.0) as api:
        for _ in range(20):
            asked = [asyncio.create_task(api.get("/slow")) for _ in range(api_module.CONNECTIONS)]
            await asyncio.sleep(0)
            for each in asked:
                each.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        gate.set()
        assert await api.server_version() == "v1"


async def test_watches_take_no_connection_from_requests():
    async def endless(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return web.json_response({"gitVersion": "v1"})
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"type":"BOOKMARK","object":{}}\n')
        await asyncio.sleep(30)
        return response

    async with client(endless) as api:
        watches = [api.watch("/x", resource_version="1") for _ in range(2 * api_module.CONNECTIONS)]
        await asyncio.gather(*(anext(each) for each in watches))
        assert await api.server_version() == "v1"
        await asyncio.gather(*(each.aclose() for each in watches))


async def test_a_refused_token_is_renewed_and_the_request_sent_again(tmp_path):
    count = tmp_path / "count"
    script = (
        f"import json, os; p = {str(count)!r}; n = os.path.getsize(p) + 1 if os.path.exists(p) else 1; "
        "open(p, 'a').write('x'); print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1', "
        "'kind': 'ExecCredential', 'status': {'token': f'token-{n}'}}))"
    )
    plugin = ExecPlugin("client.authentication.k8s.io/v1", sys.executable, ("-c", script))

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] != "Bearer token-2":
            return status(401, "Unauthorized")
        return web.json_response({"gitVersion": "v1"})

    async with client(handler, plugin=plugin) as api:
        assert await api.server_version() == "v1"
        assert "token: token-2" in await api.kubeconfig()


async def test_impersonation_travels_in_headers():
    handler, asked = first_then(lambda: web.json_response({}))
    whom = Impersonation("jane", uid="7", groups=("dev", "ops"), extra=(("scopes", ("a", "b")),))
    async with client(handler, impersonation=whom) as api:
        await api.get("/x")
    headers = asked[0].headers
    assert (headers["Impersonate-User"], headers["Impersonate-Uid"]) == ("jane", "7")
    assert headers.getall("Impersonate-Group") == ["dev", "ops"]
    assert headers.getall("Impersonate-Extra-scopes") == ["a", "b"]


async def test_a_name_and_password_are_sent_as_such():
    handler, asked = first_then(lambda: web.json_response({}))
    async with client(handler, token="", username="me", password="pa55") as api:
        await api.get("/x")
    assert asked[0].headers["Authorization"] == "Basic bWU6cGE1NQ=="


async def test_a_proxy_is_used_where_the_kubeconfig_names_one():
    asked: list[str] = []

    async def proxy(request: web.Request) -> web.StreamResponse:
        asked.append(request.raw_path)
        return web.json_response({"gitVersion": "v1"})

    async with serving(proxy) as address:
        api = Api(Access("http://cluster.invalid:8080", proxy=address, token=TOKEN))
        assert await api.server_version() == "v1"
        await api.close()
    assert asked == ["http://cluster.invalid:8080/version"]


async def test_no_token_is_sent_in_the_clear_over_a_network():
    """As client-go has it: a kubeconfig with http:// and a token does not shout the token about."""
    handler, asked = first_then(lambda: web.json_response({}))
    async with serving(handler) as address:
        api = Api(Access("http://cluster.invalid:8080", proxy=address, token=TOKEN))
        await api.get("/x")
        await api.close()
    assert "Authorization" not in asked[0].headers


# TLS.


class Authority:
    """A certificate authority of this test."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self.pem = self._sign(self.name, self.key, days=365, ca=True).public_bytes(serialization.Encoding.PEM)

    def context(self, directory, *, days: int = 365, host: str = "127.0.0.1") -> ssl.SSLContext:
        """What a server needs for a certificate of this authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        made = self._sign(name, key, days=days, host=host).public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = directory / "server.pem"
        file.write_bytes(made + private)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _sign(self, name, key, *, days: int, ca: bool = False, host: str = "") -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=400))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if host:
            is_address = host[0].isdigit()
            alternative = x509.IPAddress(ipaddress.ip_address(host)) if is_address else x509.DNSName(host)
            builder = builder.add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        return builder.sign(self.key, hashes.SHA256())


async def ask_over_tls(context: ssl.SSLContext, **access) -> str:
    async with serving(answering(lambda: web.json_response({"gitVersion": "v1"})), context) as address:
        api = Api(Access(address, token=TOKEN, **access))
        try:
            return await api.server_version()
        finally:
            await api.close()


async def test_a_cluster_of_its_own_authority_is_trusted(tmp_path):
    authority = Authority()
    assert await ask_over_tls(authority.context(tmp_path), authority=authority.pem) == "v1"


async def test_another_authority_is_told_as_such(tmp_path):
    with pytest.raises(ClusterUnreachable, match="certificate") as caught:
        await ask_over_tls(Authority().context(tmp_path), authority=Authority().pem)
    assert "certificate-authority-data" in caught.value.remedy


async def test_an_expired_certificate_is_told_as_such(tmp_path):
    authority = Authority()
    with pytest.raises(ClusterUnreachable, match="certificate has expired") as caught:
        await ask_over_tls(authority.context(tmp_path, days=-1), authority=authority.pem)
    assert "Renew" in caught.value.remedy


async def test_a_certificate_for_another_name_is_refused_unless_the_name_is_given(tmp_path):
    authority = Authority()
    context = authority.context(tmp_path, host="kubernetes.default")
    with pytest.raises(ClusterUnreachable, match="certificate"):
        await ask_over_tls(context, authority=authority.pem)
    assert await ask_over_tls(context, authority=authority.pem, tls_server_name="kubernetes.default") == "v1"


async def test_verification_can_be_switched_off(tmp_path):
    assert await ask_over_tls(Authority().context(tmp_path), insecure=True) == "v1"


async def test_a_server_that_hangs_up_on_us_brings_the_client_certificate_to_mind(tmp_path):
    """Python's TLS server ends the handshake without saying why."""
    authority = Authority()
    context = authority.context(tmp_path)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authority.pem.decode())
    with pytest.raises(ClusterUnreachable, match="closed the connection") as caught:
        await ask_over_tls(context, authority=authority.pem)
    assert "client certificate" in caught.value.remedy


async def test_a_client_certificate_that_is_not_accepted_is_a_refusal():
    """The TLS alert bad_certificate (RFC 8446, section 6) in answer to our hello, as Go's server sends it."""

    async def alert(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(bytes([21, 3, 3, 0, 2, 2, 42]))
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(alert, "127.0.0.1", 0)
    async with server:
        api = Api(Access(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", insecure=True))
        with pytest.raises(ClusterRefused, match="refused the client certificate"):
            await api.server_version()
        await api.close()


async def test_a_server_without_tls_is_told_as_such():
    async with serving(answering(lambda: web.json_response({}))) as address:
        api = Api(Access(address.replace("http:", "https:")))
        with pytest.raises(ClusterUnreachable, match="does not speak TLS"):
            await api.get("/version")
        await api.close()
