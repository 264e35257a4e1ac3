"""Who we are to the hosts that charts come from: one credential for each host, from a file or the shelf.

The file is ours (a mapping of hosts) or Docker's, as ``docker login`` and ``helm registry login`` write it:
https://github.com/docker/cli/blob/master/cli/config/configfile/file.go. Programs that Docker's file names are not
run. No error repeats what the file holds.
"""

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from addonry.catalogs.documents import Unreadable, read_mapping
from addonry.model.catalog import ChartCredential
from addonry.model.errors import InvalidParameter
from addonry.rules.chart_hosts import checked, host_of

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_MOST_BYTES: Final = 256 * 1024
_REMEDY: Final = "Correct the file; docs/guides/catalog.md says what it may hold."
_MEMBERS: Final = frozenset({"username", "password", "token", "ca_file", "realm", "plain_http"})


class Credentials:
    """Credentials by host. Has no repr that tells more than the hosts."""

    def __init__(self, by_host: Mapping[str, ChartCredential] | None = None) -> None:
        self.by_host: Final[Mapping[str, ChartCredential]] = {
            host_of(host): credential for host, credential in (by_host or {}).items()
        }

    def __repr__(self) -> str:
        return f"Credentials({', '.join(sorted(self.by_host))})"

    def of(self, host: str) -> ChartCredential:
        """The credential of *host*, or of the host of that address; an empty one where none is known."""
        return self.by_host.get(host_of(host), _NOBODY)

    def but(self, other: "Credentials") -> "Credentials":
        """These, with those of *other* in their place where both know a host."""
        return Credentials({**self.by_host, **other.by_host})


_NOBODY: Final = ChartCredential()


def is_loopback(host: str) -> bool:
    """Whether *host*, with or without a port, is this machine."""
    return _without_port(host) in _LOOPBACK


def authorization(credential: ChartCredential) -> str:
    """The header's value for *credential*; empty for an anonymous one."""
    if credential.token:
        return f"Bearer {credential.token}"
    if credential.is_anonymous:
        return ""
    pair = f"{credential.username}:{credential.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def read_credentials(file: Path) -> Credentials:
    """What *file* holds, in our form or Docker's. Raises InvalidParameter that names the file and the host at most."""
    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InvalidParameter(str(file), f"cannot be read: {error.strerror}", remedy=_REMEDY) from error
    if len(text) > _MOST_BYTES:
        raise InvalidParameter(str(file), f"is larger than {_MOST_BYTES // 1024} KiB", remedy=_REMEDY)
    try:
        content = read_mapping(text)
    except Unreadable:
        # What was unreadable may be a password without quotes.
        raise InvalidParameter(str(file), "is no mapping of hosts, in YAML or JSON", remedy=_REMEDY) from None
    docker = {"auths", "credsStore", "credHelpers"} & content.keys()
    try:
        return Credentials(_dockers(content) if docker else _ours(content, file.parent))
    except ValueError as error:
        raise InvalidParameter(str(file), str(error), remedy=_REMEDY) from None


def _ours(content: Mapping[str, Any], folder: Path) -> dict[str, ChartCredential]:
    found = {}
    for host, said in content.items():
        if not isinstance(said, dict) or not said.keys() <= _MEMBERS:
            raise ValueError(f"{host_of(host)}: known members are {', '.join(sorted(_MEMBERS))}")
        texts = {name: said.get(name, "") for name in _MEMBERS - {"plain_http"}}
        if not all(isinstance(text, str) for text in texts.values()):
            raise ValueError(f"{host_of(host)}: everything but plain_http must be a text; put it in quotes")
        plain = said.get("plain_http", False)
        if plain not in (True, False):
            raise ValueError(f"{host_of(host)}: plain_http must be true or false")
        authority = _authority(folder / texts["ca_file"], host_of(host)) if texts["ca_file"] else ""
        found[host] = checked(
            ChartCredential(
                texts["username"],
                texts["password"],
                texts["token"],
                authority=authority,
                realm=texts["realm"],
                plain_http=plain,
            ),
            host_of(host),
        )
    return found


def _authority(file: Path, host: str) -> str:
    try:
        return file.read_text()
    except (OSError, ValueError) as error:
        raise ValueError(f"{host}: ca_file cannot be read ({type(error).__name__})") from None


def _dockers(content: Mapping[str, Any]) -> dict[str, ChartCredential]:
    found = {}
    auths = content.get("auths")
    for host, said in auths.items() if isinstance(auths, dict) else ():
        credential = _docker(said if isinstance(said, dict) else {}, host_of(host))
        if not credential.is_anonymous:
            found[host] = checked(credential, host_of(host))
    if not found and (content.get("credsStore") or content.get("credHelpers")):
        raise ValueError("keeps its passwords with another program (credsStore, credHelpers), which is not run")
    return found


def _docker(said: Mapping[str, Any], host: str) -> ChartCredential:
    """User and password stand in ``auth`` together, or beside each other; ``registrytoken`` is a bearer token."""
    packed, token = said.get("auth"), said.get("registrytoken")
    if isinstance(token, str) and token:
        return ChartCredential(token=token)
    if isinstance(packed, str) and packed:
        try:
            pair = base64.b64decode(packed, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise ValueError(f"{host}: auth is no user and password in Base64") from None
        return ChartCredential(pair[0], pair[2].rstrip("\0"))
    user, password = said.get("username"), said.get("password")
    return ChartCredential(user, password) if isinstance(user, str) and isinstance(password, str) else ChartCredential()


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0]
