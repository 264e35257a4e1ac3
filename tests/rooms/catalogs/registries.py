"""OCI registries that really answer: a small one of our own, and Debian's docker-registry where it is installed."""

import base64
import contextlib
import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import parse_qs

import aiohttp
from aiohttp import web

from tests.rooms.catalogs.sites import Site, an_archive

CONFIG = "application/vnd.cncf.helm.config.v1+json"
CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
USER, PASSWORD = "robot", "hunter2"
PASSWORD_FILE = f"{USER}:$2y$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm\n"
"""The password's hash (bcrypt), as htpasswd writes it."""


def digest_of(body):
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


class SmallRegistry(Site):
    """The distribution API as far as pushing and pulling charts goes. ``Site.pages`` answer before it does."""

    def __init__(self, *, page_size=1000):
        super().__init__()
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, dict[str, bytes]] = {}
        """By name, then by tag and digest."""
        self.page_size = page_size
        self.password = ""
        """Whom to let in: ``Basic ...``; everybody when empty."""
        self.token_service = ""
        """Where tokens are made; then only ``Bearer`` tokens of its making are let in."""
        self.secret = "for"
        """What the tokens of its making begin with."""
        self.tells_etags = False

    async def answer(self, request):
        if request.path in self.pages:
            return await super().answer(request)
        self.requests.append(request)
        if refusal := self._refusal(request):
            return refusal
        for method, form, does in _ROUTES:
            match = re.fullmatch(form, request.path)
            if match and request.method in method:
                return await does(self, request, *match.groups())
        return web.json_response({"errors": [{"code": "UNSUPPORTED"}]}, status=404)

    def _refusal(self, request):
        said = request.headers.get("Authorization", "")
        if request.path == "/token":
            return None
        if self.token_service and said != f"Bearer {self._token(request.path)}":
            challenge = f'Bearer realm="{self.token_service}",service="small",scope="repository:everything:*"'
        elif self.password and not self.token_service and said != self.password:
            challenge = 'Basic realm="small"'
        else:
            return None
        return web.json_response({"errors": []}, status=401, headers={"WWW-Authenticate": challenge})

    def _token(self, path):
        return (
            f"{self.secret}-"
            + path.removeprefix("/v2/").partition("/manifests/")[0].partition("/blobs/")[0].partition("/tags/")[0]
        )

    async def token(self, request):
        if self.password and request.headers.get("Authorization") != self.password:
            return web.json_response({}, status=401)
        scope = parse_qs(request.query_string)["scope"][0]
        kind, name, may = scope.split(":")
        assert (kind, may) == ("repository", "pull")
        return web.json_response({"token": f"{self.secret}-{name}", "expires_in": 300})

    async def tags(self, request, name):
        if name not in self.manifests:
            return web.json_response({"errors": [{"code": "NAME_UNKNOWN"}]}, status=404)
        tags = sorted(tag for tag in self.manifests[name] if not tag.startswith("sha256:"))
        etag = f'"{digest_of(json.dumps(tags).encode())}"' if self.tells_etags else ""
        if etag and request.headers.get("If-None-Match") == etag:
            return web.Response(status=304)
        last = request.query.get("last", "")
        page = [tag for tag in tags if tag > last][: self.page_size]
        headers = {"ETag": etag} if etag else {}
        if page and page[-1] != tags[-1]:
            headers["Link"] = f'</v2/{name}/tags/list?n={self.page_size}&last={page[-1]}>; rel="next"'
        return web.json_response({"name": name, "tags": page}, headers=headers)

    async def manifest(self, request, name, reference):
        body = self.manifests.get(name, {}).get(reference)
        if body is None:
            return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, status=404)
        headers = {"Docker-Content-Digest": digest_of(body), "Content-Type": MANIFEST}
        return web.Response(body=body, headers=headers)

    async def blob(self, _request, _name, digest):
        if digest not in self.blobs:
            return web.json_response({"errors": [{"code": "BLOB_UNKNOWN"}]}, status=404)
        return web.Response(body=self.blobs[digest])

    async def begin(self, _request, name):
        return web.Response(status=202, headers={"Location": f"/v2/{name}/blobs/uploads/1?state=x"})

    async def take(self, request, _name):
        body = await request.read()
        self.blobs[request.query["digest"]] = body
        assert digest_of(body) == request.query["digest"]
        return web.Response(status=201, headers={"Docker-Content-Digest": request.query["digest"]})

    async def take_manifest(self, request, name, reference):
        body = await request.read()
        self.manifests.setdefault(name, {}).update({reference: body, digest_of(body): body})
        return web.Response(status=201, headers={"Docker-Content-Digest": digest_of(body)})


_ROUTES = (
    (("GET",), r"/token", SmallRegistry.token),
    (("GET",), r"/v2/", lambda _self, _request: _fine()),
    (("GET",), r"/v2/(.+)/tags/list", SmallRegistry.tags),
    (("GET", "HEAD"), r"/v2/(.+)/manifests/([^/]+)", SmallRegistry.manifest),
    (("PUT",), r"/v2/(.+)/manifests/([^/]+)", SmallRegistry.take_manifest),
    (("GET", "HEAD"), r"/v2/(.+)/blobs/(sha256:[0-9a-f]+)", SmallRegistry.blob),
    (("POST",), r"/v2/(.+)/blobs/uploads/", SmallRegistry.begin),
    (("PUT",), r"/v2/(.+)/blobs/uploads/1", SmallRegistry.take),
)


async def _fine():
    return web.json_response({})


def parts_of(chart, version, *, archive=None, layers=1, kind=CHART, **config):
    """A chart as it lies in a registry: its archive, its config and its manifest, as bodies."""
    archive = archive or an_archive(name=chart, version=version)
    body = json.dumps({"apiVersion": "v2", "name": chart, "version": version, **config}).encode()
    manifest = {
        "schemaVersion": 2,
        "config": {"mediaType": CONFIG, "digest": digest_of(body), "size": len(body)},
        "layers": [{"mediaType": kind, "digest": digest_of(archive), "size": len(archive)}] * layers,
        "annotations": {"org.opencontainers.image.created": "2026-05-19T13:10:00Z"},
    }
    return archive, body, json.dumps(manifest).encode()


def stock(registry: SmallRegistry, chart, version, *, folder="charts", tag=None, **config):
    """Put a chart into a small registry without asking it."""
    archive, body, manifest = parts_of(chart, version, **config)
    registry.blobs |= {digest_of(archive): archive, digest_of(body): body}
    tagged = registry.manifests.setdefault(f"{folder}/{chart}", {})
    tagged |= {tag or version.replace("+", "_"): manifest, digest_of(manifest): manifest}
    return archive


async def push(address, chart, version, **config):
    """Push a chart to ``oci://HOST/FOLDER`` by the distribution API, to whichever registry."""
    host, _, folder = address.removeprefix("oci://").partition("/")
    base = f"http://{host}/v2/{folder}/{chart}"
    archive, body, manifest = parts_of(chart, version, **config)
    async with aiohttp.ClientSession() as session:
        for part in (archive, body):
            async with session.post(f"{base}/blobs/uploads/") as begun:
                begun.raise_for_status()
                ahead = begun.headers["Location"]
            ahead = ahead if ahead.startswith("http") else f"http://{host}{ahead}"
            # As it is: the state in it is signed.
            url = aiohttp.client.URL(f"{ahead}&digest={digest_of(part)}", encoded=True)
            async with session.put(url, data=part) as done:
                done.raise_for_status()
        tag = version.replace("+", "_")
        async with session.put(f"{base}/manifests/{tag}", data=manifest, headers={"Content-Type": MANIFEST}) as done:
            done.raise_for_status()
    return archive


def why_not_docker_registry():
    """Why Debian's registry cannot be asked here; empty when it can."""
    return (
        "" if shutil.which("docker-registry") else "docker-registry is not installed (apt-get install docker-registry)"
    )


@contextlib.contextmanager
def docker_registry(*, password=False):
    """The host and port of a docker-registry of our own, on loopback."""
    with tempfile.TemporaryDirectory(prefix="registry-") as folder:
        config = {
            "version": 0.1,
            "log": {"level": "info", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": f"{folder}/data"}, "delete": {"enabled": True}},
            "http": {"addr": "127.0.0.1:0"},
        }
        if password:
            (Path(folder) / "passwords").write_text(PASSWORD_FILE)
            config["auth"] = {"htpasswd": {"realm": "ours", "path": f"{folder}/passwords"}}
        file = Path(folder) / "config.yml"
        file.write_text(json.dumps(config))
        process = subprocess.Popen(
            ["docker-registry", "serve", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            with process.stderr as log:
                heard = []
                for line in log:
                    heard.append(line)
                    if listening := re.search(r"listening on (127\.0\.0\.1:\d+)", line):
                        yield listening.group(1)
                        break
                else:
                    raise AssertionError("".join(heard)[-2000:])
        finally:
            process.terminate()
            process.wait(timeout=20)


def basic(user=USER, password=PASSWORD):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
