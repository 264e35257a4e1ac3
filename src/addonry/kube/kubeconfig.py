"""Who and where: a kubeconfig read by ourselves, reduced to what reaches one cluster.

A kubeconfig may name commands to run and files to read; one that was uploaded to a service must do neither, which no
client library refuses. So it is read here, once: ``read_kubeconfig`` gives an Access, or says in KubeconfigRejected
what is wrong, naming the field and never its value. ``Credentials`` then gives the token or certificate of the moment,
where plugins and files are allowed, and ``ssl_context`` trusts the cluster's own authority and no other.

The format: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/. To read one more field, take it in
``_cluster_of`` or ``_user_of``, keep it in Access, and write it back in ``Access.for_helm``.
"""

import asyncio
import base64
import binascii
import json
import os
import ssl
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from addonry.model.errors import ClusterRefused, KubeconfigRejected

MAX_BYTES: Final = 1024 * 1024
_MAX_NODES: Final = 100_000
_MAX_DEPTH: Final = 32
_PLUGIN_SECONDS: Final = 30.0
_PLUGIN_OUTPUT: Final = 1024 * 1024
_TOKEN_FILE_LASTS: Final = timedelta(seconds=60)
"""Projected service account tokens are rotated long before they expire; client-go reads the file every minute too."""

_RENEW_BEFORE: Final = timedelta(seconds=30)
_EXEC_VERSIONS: Final = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_CLUSTER_EXTENSION: Final = "client.authentication.k8s.io/exec"


@dataclass(frozen=True, slots=True)
class ExecPlugin:
    """A command that gives credentials; https://kubernetes.io/docs/reference/access-authn-authz/authentication/."""

    api_version: str
    command: str
    arguments: tuple[str, ...] = field(default=(), repr=False)
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    install_hint: str = ""
    provide_cluster_info: bool = False
    cluster_config: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Impersonation:
    """As whom to act."""

    user: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Credential:
    """What proves who we are, right now. The repr says nothing."""

    token: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach one cluster: everything of a kubeconfig's current context, with its files read in."""

    server: str
    namespace: str = ""
    authority: bytes = field(default=b"", repr=False)
    """PEM of the cluster's own authority; empty: the machine's."""
    insecure: bool = False
    tls_server_name: str = ""
    proxy: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)
    plugin: ExecPlugin | None = None
    impersonation: Impersonation | None = None

    @property
    def host(self) -> str:
        """The server's host and port, for messages."""
        return urlsplit(self.server).netloc

    @property
    def is_encrypted(self) -> bool:
        """Whether what is sent can be read on the way."""
        return urlsplit(self.server).scheme == "https"

    @property
    def certificate_end(self) -> datetime | None:
        """When the client certificate expires; None when there is none."""
        from cryptography.x509 import load_pem_x509_certificate

        try:
            return load_pem_x509_certificate(self.certificate).not_valid_after_utc if self.certificate else None
        except ValueError:
            return None

    def for_helm(self, credential: Credential | None = None) -> str:
        """A kubeconfig of this context alone that runs nothing and reads nothing; with *credential*, where one is
        given, in place of a plugin or token file.
        """
        known = credential or Credential(self.token, self.certificate, self.key)
        cluster = {
            "server": self.server,
            "certificate-authority-data": _encoded(self.authority),
            "insecure-skip-tls-verify": self.insecure,
            "tls-server-name": self.tls_server_name,
            "proxy-url": self.proxy,
        }
        whom = self.impersonation or Impersonation("")
        user = {
            "token": known.token,
            "client-certificate-data": _encoded(known.certificate),
            "client-key-data": _encoded(known.key),
            # client-go refuses a user that has both.
            "username": "" if known.token else self.username,
            "password": "" if known.token else self.password,
            "as": whom.user,
            "as-uid": whom.uid,
            "as-groups": list(whom.groups),
            "as-user-extra": {name: list(values) for name, values in whom.extra},
        }
        name = "cluster"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": _without_empty(cluster)}],
            "users": [{"name": name, "user": _without_empty(user)}],
            "contexts": [
                {"name": name, "context": _without_empty({"cluster": name, "user": name, "namespace": self.namespace})}
            ],
        }
        text: str = yaml.safe_dump(content, sort_keys=False)
        return text


def read_kubeconfig(
    text: str | bytes, *, context: str | None = None, may_run_plugins: bool = False, base: Path | None = None
) -> Access:
    """The access that *context*, or the current one, gives. Raises KubeconfigRejected.

    Sends nothing and runs nothing. Files are read only with *may_run_plugins*; relative ones from *base*.
    """
    document = _parse(text)
    files = _Files(base) if may_run_plugins else None
    chosen = _chosen_context(document, context)
    where = _Part(_named(document, "clusters", _text(chosen, "cluster", "context", required=True)), "cluster", files)
    who_name = _text(chosen, "user", "context")
    who = _Part(_named(document, "users", who_name) if who_name else {}, "user", files)
    access = _with_user(_with_cluster(where, _text(chosen, "namespace", "context")), who, where)
    ssl_context(access)  # so that a damaged certificate is told now
    return access


def ssl_context(access: Access, credential: Credential | None = None) -> ssl.SSLContext | None:
    """What to speak TLS with: the cluster's own authority and our certificate; None for plain HTTP.

    Raises KubeconfigRejected when certificates or keys cannot be used.
    """
    if not access.is_encrypted:
        return None
    known = credential or Credential(access.token, access.certificate, access.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif access.authority:
        try:
            context.load_verify_locations(cadata=access.authority.decode("ascii"))
        except (ssl.SSLError, ValueError) as error:
            raise _rejected("cluster.certificate-authority holds no certificate (PEM).") from error
    else:
        context.load_default_certs()
    if known.certificate:
        try:
            with _readable(known.certificate) as certificate, _readable(known.key) as key:
                # The empty password keeps OpenSSL from asking for one on the terminal.
                context.load_cert_chain(certificate, key, password="")
        except (ssl.SSLError, OSError) as error:
            raise _rejected("user.client-certificate and user.client-key are no matching pair in PEM.") from error
    return context


class Credentials:
    """The credential of the moment: fixed, from a token file, or from a plugin that is asked again when it expires."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._kept: Credential | None = None
        self._asking = asyncio.Lock()

    @property
    def can_change(self) -> bool:
        """Whether asking again may give another one."""
        return self._access.plugin is not None or self._access.token_file is not None

    async def current(self, *, not_this: Credential | None = None) -> Credential:
        """A credential that is still good; never *not_this*, which the server has refused, if another can be had.

        Raises ClusterRefused with the plugin's own words when it fails.
        """
        if not self.can_change:
            return Credential(self._access.token, self._access.certificate, self._access.key)
        async with self._asking:
            kept = self._kept
            if kept is None or kept is not_this or _is_old(kept):
                kept = self._kept = await self._ask()
            return kept

    async def _ask(self) -> Credential:
        if self._access.token_file is not None:
            try:
                token = _read_limited(self._access.token_file).decode().strip()
            except (OSError, ValueError) as error:
                raise ClusterRefused(
                    "The kubeconfig's tokenFile cannot be read.", remedy="Check that the file is there and readable."
                ) from error
            expiry = datetime.now(UTC) + _TOKEN_FILE_LASTS + _RENEW_BEFORE
            return Credential(token, self._access.certificate, self._access.key, expiry)
        assert self._access.plugin is not None, "asked only where a file or plugin gives the credential"
        return await _run_plugin(self._access, self._access.plugin)


def _is_old(credential: Credential) -> bool:
    return credential.expires_at is not None and datetime.now(UTC) >= credential.expires_at - _RENEW_BEFORE


# Reading.


def _rejected(message: str, *, remedy: str | None = None) -> KubeconfigRejected:
    return KubeconfigRejected(f"The kubeconfig cannot be used: {message}", remedy=remedy)


def _parse(text: str | bytes) -> Mapping[str, Any]:
    raw = text.encode() if isinstance(text, str) else text
    if len(raw) > MAX_BYTES:
        raise _rejected(f"it is larger than {MAX_BYTES // 1024} KiB.")
    try:
        _check_shape(raw)
        document = yaml.load(raw, Loader=_LOADER)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        # Neither the error nor its cause is passed on: both quote the file, and what stands there is secret.
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise _rejected(f"it is not YAML{line}.") from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        raise _rejected("it is not YAML.") from None
    if not isinstance(document, dict):
        raise _rejected("it is not a YAML mapping.")
    if document.get("kind", "Config") != "Config":
        raise _rejected("its kind is not Config.")
    return document


_LOADER: Final[type[Any]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _check_shape(raw: bytes) -> None:
    """Refuse what would make a small file large or deep: aliases, endless nesting, more than one document."""
    depth = 0
    for count, event in enumerate(yaml.parse(raw, Loader=_LOADER)):
        if isinstance(event, yaml.AliasEvent):
            raise _rejected("it uses YAML aliases.", remedy="Write the values out instead of referring to anchors.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH or count > _MAX_NODES:
            raise _rejected("it is nested too deep or has too many values.")


def _chosen_context(document: Mapping[str, Any], wanted: str | None) -> Mapping[str, Any]:
    names = [str(each.get("name")) for each in _entries(document, "contexts")]
    if not names:
        raise _rejected("it has no contexts.")
    if not wanted:
        wanted = _text(document, "current-context", "")
        if not wanted:
            raise _rejected(
                "it has no current-context.", remedy=f"Name one of its contexts: {', '.join(names[:10])} (--context)."
            )
    if wanted not in names:
        raise _rejected(f"it has no context {wanted!r}; there are {', '.join(names[:10])}.")
    return _named(document, "contexts", wanted)


def _entries(document: Mapping[str, Any], plural: str) -> list[Mapping[str, Any]]:
    listed = document.get(plural)
    if listed is None:
        return []
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise _rejected(f"{plural} is not a list of mappings.")
    return listed


def _named(document: Mapping[str, Any], plural: str, name: str) -> Mapping[str, Any]:
    singular = plural.removesuffix("s")
    entry = next((each for each in _entries(document, plural) if each.get("name") == name), None)
    if entry is None:
        raise _rejected(f"it has no {singular} {name!r}, which its context names.")
    content = entry.get(singular)
    if content is None and singular == "user":
        return {}
    if not isinstance(content, dict):
        raise _rejected(f"{singular} {name!r} is empty or not a mapping.")
    return content


def _text(values: Mapping[str, Any], key: str, part: str, *, required: bool = False) -> str:
    value = values.get(key)
    where = f"{part}.{key}" if part else key
    if value is None:
        value = ""
    if not isinstance(value, str):
        raise _rejected(f"{where} is not text.")
    if required and not value:
        raise _rejected(f"{where} is missing.")
    return value


@dataclass(frozen=True, slots=True)
class _Files:
    """Leave to read files."""

    base: Path | None

    def path(self, name: str) -> Path:
        return (self.base or Path.cwd()) / Path(name).expanduser()


@dataclass(frozen=True, slots=True)
class _Part:
    """A cluster or user of the file, read field by field; without leave, a field that names a file is refused."""

    values: Mapping[str, Any]
    name: str
    files: _Files | None

    def text(self, key: str, *, required: bool = False) -> str:
        return _text(self.values, key, self.name, required=required)

    def flag(self, key: str) -> bool:
        value = self.values.get(key) or False
        if not isinstance(value, bool):
            raise _rejected(f"{self.name}.{key} is neither true nor false.")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.values.get(key) or []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise _rejected(f"{self.name}.{key} is not a list of texts.")
        return tuple(value)

    def mapping(self, key: str) -> Mapping[str, Any]:
        value = self.values.get(key) or {}
        if not isinstance(value, dict):
            raise _rejected(f"{self.name}.{key} is not a mapping.")
        return value

    def path(self, key: str) -> Path | None:
        name = self.text(key)
        if not name:
            return None
        if self.files is None:
            raise _rejected(f"{self.name}.{key} names a file, which is not read on this machine.")
        return self.files.path(name)

    def pem(self, key: str) -> bytes:
        """The content of ``key-data``, else of the file that ``key`` names, as client-go has it."""
        path = self.path(key)
        data = self.text(f"{key}-data")
        if data:
            try:
                return base64.b64decode("".join(data.split()), validate=True)
            except (binascii.Error, ValueError):
                raise _rejected(f"{self.name}.{key}-data is not base64.") from None
        if path is None:
            return b""
        try:
            return _read_limited(path)
        except OSError as error:
            raise _rejected(
                f"the file that {self.name}.{key} names cannot be read ({error.strerror}).", remedy="Check the path."
            ) from error


def _read_limited(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(27, "File too large")
    return content


def _with_cluster(part: _Part, namespace: str) -> Access:
    server = part.text("server", required=True)
    _check_address(server, "cluster.server", ("http", "https"))
    proxy = part.text("proxy-url")
    if proxy:
        _check_address(proxy, "cluster.proxy-url", ("http", "https"), may_hold_password=True)
    insecure = part.flag("insecure-skip-tls-verify")
    authority = part.pem("certificate-authority")
    if insecure and authority:
        raise _rejected(
            "it names an authority (certificate-authority) and asks not to use it (insecure-skip-tls-verify)."
        )
    return Access(
        server=server.rstrip("/"),
        namespace=namespace,
        authority=authority,
        insecure=insecure,
        tls_server_name=part.text("tls-server-name"),
        proxy=proxy,
    )


def _check_address(address: str, name: str, schemes: Sequence[str], *, may_hold_password: bool = False) -> None:
    try:
        parts = urlsplit(address)
        _ = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError:
        raise _rejected(f"{name} is not a URL.") from None
    if parts.scheme not in schemes or not parts.hostname:
        raise _rejected(f"{name} is not a URL that begins with {' or '.join(f'{each}://' for each in schemes)}.")
    if "@" in parts.netloc and not may_hold_password:
        raise _rejected(f"{name} holds credentials; they belong to the user.")
    if parts.query or parts.fragment or any(character.isspace() or ord(character) < 32 for character in address):
        raise _rejected(f"{name} is not a plain URL of a server.")


def _with_user(access: Access, part: _Part, cluster: _Part) -> Access:
    if part.values.get("auth-provider"):
        raise _rejected(
            "user.auth-provider is no longer supported by Kubernetes (client-go removed it in 1.26).",
            remedy="Use a token, a client certificate or, in your own kubeconfig, an exec plugin.",
        )
    token_path = part.path("tokenFile")
    certificate, key = part.pem("client-certificate"), part.pem("client-key")
    if bool(certificate) is not bool(key):
        raise _rejected(f"user.client-{'key' if certificate else 'certificate'} is missing.")
    token = part.text("token")
    if not token.isprintable() or not token.isascii():
        raise _rejected("user.token holds characters that no token has.")
    return replace(
        access,
        token=token,
        token_file=token_path,
        username=part.text("username"),
        password=part.text("password"),
        certificate=certificate,
        key=key,
        plugin=_plugin_of(part, cluster),
        impersonation=_impersonation_of(part),
    )


def _impersonation_of(part: _Part) -> Impersonation | None:
    user, uid, groups = part.text("as"), part.text("as-uid"), part.texts("as-groups")
    extra = part.mapping("as-user-extra")
    if not (user or uid or groups or extra):
        return None
    if not user:
        raise _rejected("user.as is missing, though it says how to impersonate (as-uid, as-groups, as-user-extra).")
    if not all(isinstance(each, list) and all(isinstance(one, str) for one in each) for each in extra.values()):
        raise _rejected("user.as-user-extra is not a mapping of lists.")
    headers = (user, uid, *groups, *map(str, extra), *(one for each in extra.values() for one in each))
    if not all(each.isprintable() for each in headers):
        raise _rejected("user.as and its kin hold characters that no header can carry.")
    return Impersonation(user, uid, groups, tuple((str(name), tuple(values)) for name, values in extra.items()))


# Plugins.


def _plugin_of(part: _Part, cluster: _Part) -> ExecPlugin | None:
    if not part.values.get("exec"):
        return None
    if part.files is None:
        raise _rejected("user.exec names a command, which is not run on this machine.")
    spec = _Part(part.mapping("exec"), "user.exec", part.files)
    version = spec.text("apiVersion", required=True)
    if version not in _EXEC_VERSIONS:
        raise _rejected(f"user.exec.apiVersion is none of {', '.join(_EXEC_VERSIONS)}.")
    if spec.text("interactiveMode") == "Always":
        raise _rejected(
            "user.exec.interactiveMode is Always, and there is nobody to answer.",
            remedy="Use a plugin that works by itself, or a token.",
        )
    command = spec.text("command", required=True)
    if os.sep in command:
        # As client-go does it: relative to the file, when it is a path at all.
        command = str(part.files.path(command))
    return ExecPlugin(
        api_version=version,
        command=command,
        arguments=spec.texts("args"),
        environment=tuple(_environment_of(spec)),
        install_hint=spec.text("installHint"),
        provide_cluster_info=spec.flag("provideClusterInfo"),
        cluster_config=_cluster_config_of(cluster),
    )


def _environment_of(spec: _Part) -> Iterator[tuple[str, str]]:
    listed = spec.values.get("env") or []
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise _rejected("user.exec.env is not a list of mappings.")
    for each in listed:
        pair = _Part(each, "user.exec.env", None)
        yield pair.text("name", required=True), pair.text("value")


def _cluster_config_of(cluster: _Part) -> Any:
    listed = cluster.values.get("extensions") or []
    if not isinstance(listed, list):
        return None
    found = (each for each in listed if isinstance(each, dict) and each.get("name") == _CLUSTER_EXTENSION)
    return next((each.get("extension") for each in found), None)


async def _run_plugin(access: Access, plugin: ExecPlugin) -> Credential:
    name = Path(plugin.command).name
    environment = {**os.environ, **dict(plugin.environment), "KUBERNETES_EXEC_INFO": _exec_info(access, plugin)}
    try:
        process = await asyncio.create_subprocess_exec(
            plugin.command,
            *plugin.arguments,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_PLUGIN_OUTPUT,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name or arguments are not valid"
        raise ClusterRefused(
            f"The kubeconfig's credential plugin {name} cannot be started: {reason}.",
            remedy=plugin.install_hint or f"Install {name}, or use a kubeconfig with a token.",
        ) from error
    try:
        async with asyncio.timeout(_PLUGIN_SECONDS):
            output, complaint = await process.communicate()
    except TimeoutError:
        raise ClusterRefused(
            f"The kubeconfig's credential plugin {name} has not answered within {_PLUGIN_SECONDS:.0f} s.",
            remedy=f"Run {name} by hand and see what it waits for.",
        ) from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        raise ClusterRefused(
            f"The kubeconfig's credential plugin {name} failed (exit status {process.returncode}): {_tail(complaint)}",
            remedy=f"Run {name} by hand, log in again if it asks for that, and repeat.",
        )
    return _credential_from(output, access, plugin, name)


def _tail(complaint: bytes) -> str:
    text = " ".join(complaint.decode("utf-8", "replace").split())
    return text[-500:] or "it said nothing."


def _exec_info(access: Access, plugin: ExecPlugin) -> str:
    spec: dict[str, Any] = {"interactive": False}
    if plugin.provide_cluster_info:
        cluster = {
            "server": access.server,
            "tls-server-name": access.tls_server_name,
            "insecure-skip-tls-verify": access.insecure,
            "certificate-authority-data": _encoded(access.authority),
            "proxy-url": access.proxy,
            "config": plugin.cluster_config,
        }
        spec["cluster"] = _without_empty(cluster)
    return json.dumps({"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec})


def _credential_from(output: bytes, access: Access, plugin: ExecPlugin, name: str) -> Credential:
    def unusable(why: str) -> ClusterRefused:
        return ClusterRefused(
            f"The kubeconfig's credential plugin {name} gave no credential: {why}.",
            remedy=f"Check that {name} speaks {plugin.api_version}.",
        )

    try:
        answer = json.loads(output)
    except ValueError:
        raise unusable("its output is not JSON") from None
    if not isinstance(answer, dict) or answer.get("kind") != "ExecCredential":
        raise unusable("its output is no ExecCredential")
    if answer.get("apiVersion") != plugin.api_version:
        raise unusable("it speaks another version than the kubeconfig asks for")
    status = answer.get("status")
    if not isinstance(status, dict):
        raise unusable("its answer has no status")
    texts = [
        status.get(key) or "" for key in ("token", "clientCertificateData", "clientKeyData", "expirationTimestamp")
    ]
    if not all(isinstance(each, str) for each in texts):
        raise unusable("its status holds something else than text")
    token, certificate, key, expires = texts
    if not token and not (certificate and key):
        raise unusable("its status holds neither a token nor a certificate with its key")
    return Credential(
        token,
        certificate.encode() or access.certificate,
        key.encode() or access.key,
        _moment(expires, unusable) if expires else None,
    )


def _moment(text: str, unusable: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise unusable("its expirationTimestamp is no moment") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# Small things.


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


@contextmanager
def _readable(content: bytes) -> Iterator[str]:
    """A name under which OpenSSL, which takes certificates and keys from files only, reads *content*; no disk sees it
    where the system has files in memory.
    """
    with ExitStack() as stack:
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("credential")
            stack.callback(os.close, descriptor)
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        else:
            file = stack.enter_context(tempfile.NamedTemporaryFile())  # 0600, and gone with the block
            file.write(content)
            file.flush()
            yield file.name
