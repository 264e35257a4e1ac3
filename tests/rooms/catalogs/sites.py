"""A chart repository that really answers, and archives good and bad."""

import asyncio
import gzip
import hashlib
import io
import ssl
import tarfile
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import yaml
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


class Site:
    """A web server on loopback whose pages the test sets; it keeps the requests it got."""

    def __init__(self):
        self.pages: dict[str, Callable[[web.Request], web.StreamResponse] | bytes] = {}
        self.requests: list[web.Request] = []
        self.address = ""

    async def answer(self, request):
        self.requests.append(request)
        page = self.pages.get(request.path)
        if page is None:
            return web.Response(status=404, text="not here")
        if isinstance(page, bytes):
            tag = f'"{hashlib.sha256(page).hexdigest()}"'
            if request.headers.get("If-None-Match") == tag:
                return web.Response(status=304, headers={"ETag": tag})
            return web.Response(body=page, headers={"ETag": tag})
        answer = page(request)
        return await answer if asyncio.iscoroutine(answer) else answer

    def paths(self):
        return [request.path for request in self.requests]


@asynccontextmanager
async def serving(site, *, tls=None):
    runner = web.AppRunner(_application(site), shutdown_timeout=0.1)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await listener.start()
    site.address = "{}://{}:{}".format("https" if tls else "http", *runner.addresses[0][:2])
    try:
        yield site
    finally:
        await runner.cleanup()


def _application(site):
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", site.answer)
    return application


def an_archive(name="coredns", version="1.45.0", files=None, members=(), folder=None):
    """A chart's .tgz with *files* by path, and *members* (TarInfo, body) as they are."""
    contents = {"Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: {version}\n", **(files or {})}
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for path, body in contents.items():
            data = body.encode() if isinstance(body, str) else body
            info = tarfile.TarInfo(f"{folder or name}/{path}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info, body in members:
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return gzip.compress(plain.getvalue(), mtime=0)


def an_index(*lines, chart="coredns", **more):
    return yaml.safe_dump({"apiVersion": "v1", "entries": {chart: list(lines)}, **more}).encode()


def a_line(version, archive=b"", **more):
    line = {"name": "coredns", "version": version, "appVersion": "1.13.1", "urls": [f"coredns-{version}.tgz"]}
    return line | {"digest": hashlib.sha256(archive).hexdigest()} | more


def a_component(folder: Path, name="mine", **more):
    folder.mkdir(exist_ok=True)
    content = {"name": name, "title": "Mine", "chart": {"repository": "https://example.test/charts", "name": name}}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content | more))
    return folder


def a_certificate(folder: Path) -> ssl.SSLContext:
    """A server's TLS context with a certificate that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    file = folder / "server.pem"
    file.write_bytes(
        certificate.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context
