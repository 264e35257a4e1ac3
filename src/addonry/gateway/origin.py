"""Where a request comes from: the address and whether it was encrypted.

What the caller says of himself (``x-acs-source-ip``, ``x-acs-secure-transport``) never counts. A proxy's
``X-Forwarded-For`` and ``X-Forwarded-Proto`` count only when the connection comes from a proxy that the settings name.
"""

import ipaddress
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from addonry.model.errors import InvalidParameter

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from."""

    address: str
    """Empty when it is unknown."""
    is_encrypted: bool


def read_networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks, separated by commas. Raises InvalidParameter."""
    try:
        return tuple(ipaddress.ip_network(each.strip(), strict=False) for each in text.split(",") if each.strip())
    except ValueError as error:
        raise InvalidParameter(
            "trusted-proxies", f"{error}", remedy="Give addresses and networks like 10.0.0.7,192.168.0.0/16."
        ) from error


def origin_of(scope: MutableMapping[str, Any], headers: Mapping[str, str], trusted: Sequence[Network]) -> Origin:
    """By the connection, or by what a trusted proxy says of it."""
    client = scope.get("client")
    address = client[0] if client else ""
    is_encrypted = scope.get("scheme") == "https"
    if not trusted or not _is_within(address, trusted):
        return Origin(address, is_encrypted)
    # Each proxy adds the address it was called from at the end; the last that is no proxy of ours is the caller.
    hops = [each.strip() for each in headers.get("x-forwarded-for", "").split(",") if each.strip()]
    caller = next((each for each in reversed(hops) if not _is_within(each, trusted)), hops[0] if hops else address)
    protocol = headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
    return Origin(caller if _is_address(caller) else address, protocol == "https" if protocol else is_encrypted)


def _is_within(address: str, networks: Sequence[Network]) -> bool:
    try:
        read = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(read in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
