"""How the gateway works: limits, and where its clock and ids come from."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from addonry.gateway.origin import Network
from addonry.gateway.throttle import Rate


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _new_request_id() -> str:
    return str(uuid4()).upper()


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """How the gateway works."""

    body_limit: int = 4 * 1024 * 1024
    query_limit: int = 16 * 1024
    path_limit: int = 4 * 1024
    header_limit: int = 32 * 1024
    """Of all headers together."""
    body_seconds: float = 30.0
    """How long a body may take to arrive."""
    nonce_capacity: int = 1_000_000
    rate: Rate | None = None
    """What one access key may do; None: as much as it likes."""
    trusted_proxies: tuple[Network, ...] = ()
    """Whose word counts on where a request comes from."""
    legacy_signatures: bool = True
    """Whether signatures of the legacy style (acs, HMAC-SHA1) are taken."""
    legacy_uncovered_bodies: bool = True
    """Whether a legacy request may come without Content-MD5; its signature then does not cover its body."""
    now: Callable[[], datetime] = _utc_now
    new_request_id: Callable[[], str] = _new_request_id
    """An upper-case UUID."""
