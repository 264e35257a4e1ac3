"""Bearer tokens: the token of a session, sent by itself (ack-gateway 3.2).

Nothing is signed, so whoever reads such a request on its way can send others like it: taken over TLS and from this machine
only. There is no nonce to be seen, and the date, if any, proves nothing; the token itself ends with its session.
"""

import ipaddress
from datetime import datetime
from typing import Final

from addonry.gateway.errors import Refusal
from addonry.gateway.origin import Origin
from addonry.gateway.request import WireRequest
from addonry.model.keys import Credential

HEADER: Final = "x-acs-bearer-token"


def is_bearer(request: WireRequest) -> bool:
    """Whether the request has a token in place of a signature."""
    return bool(request.header(HEADER)) and not request.header("authorization")


def judge_bearer(credential: Credential | None, origin: Origin, *, now: datetime) -> Credential:
    """The holder of the token. Raises Refusal."""
    if not (origin.is_encrypted or _is_here(origin.address)):
        raise Refusal("InvalidProtocol.NeedSsl", remedy="Send a bearer token over https only.")
    if credential is None or not credential.enabled:
        raise Refusal("InvalidBearerToken")
    if credential.expires_at is not None and credential.expires_at <= now:
        raise Refusal("InvalidBearerToken", remedy="It has expired; ask for a new session.")
    return credential


def _is_here(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
