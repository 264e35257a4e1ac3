"""Hosts of charts: how they are called, and which credentials make sense."""

import re
from typing import Final

from addonry.model.catalog import ChartCredential

DOCKER_HUB: Final = "registry-1.docker.io"
# Docker's own clients store the login of Docker Hub under the first address of its old API.
_HUB_NAMES: Final = frozenset({"docker.io", "index.docker.io", "registry.hub.docker.com", DOCKER_HUB})
_HOST: Final = re.compile(r"(?:[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?")


def host_of(address: str) -> str:
    """The host that an address or a key of a credentials file is about, as it is looked up: ``name`` or ``name:port``."""
    host = address.strip().partition("://")[2] or address.strip()
    host = host.partition("/")[0].rpartition("@")[2].lower()
    for default in (":443", ":80"):
        host = host.removesuffix(default)
    return DOCKER_HUB if host in _HUB_NAMES else host


def checked(credential: ChartCredential, host: str) -> ChartCredential:
    """The same. Raises ValueError, which names the host and no secret, for what makes no sense."""
    if not _HOST.fullmatch(host_of(host)):
        raise ValueError("a host is a name, with a port behind a colon where it is not the usual one")
    if credential.token and (credential.username or credential.password):
        raise ValueError(f"{host}: give a token, or a user and a password, not both")
    if bool(credential.username) is not bool(credential.password):
        raise ValueError(f"{host}: a user needs a password, and a password a user")
    if any(ord(each) < 32 or ord(each) == 127 for each in credential.username + credential.password + credential.token):
        raise ValueError(f"{host}: user, password and token must have no control characters")
    if credential.realm and not credential.realm.startswith("https://"):
        raise ValueError(f"{host}: realm must be an https address")
    if credential.authority and "-----BEGIN CERTIFICATE-----" not in credential.authority:
        raise ValueError(f"{host}: the authority is no PEM certificate")
    return credential
