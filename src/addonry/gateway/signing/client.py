"""The client's side: a request signed in the current style, for the command line, the tests and the benchmarks."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

from addonry.gateway.request import WireRequest
from addonry.gateway.signing.v3 import SCHEME, VERSION, canonical_requests, hmac_hex, string_to_sign


def sign_request(
    method: str,
    path_with_query: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    key_id: str,
    secret: str,
    now: datetime,
    nonce: str,
    action: str | None = None,
    security_token: str | None = None,
) -> dict[str, str]:
    """The headers to send: the given ones (they must hold ``host`` as it will be sent) and those of the signature.

    *path_with_query* is the request target exactly as it will be sent, percent-encoded.
    """
    path, _, query = path_with_query.partition("?")
    sent = {name.lower(): value.strip() for name, value in headers.items()}
    sent["x-acs-version"] = VERSION
    sent["x-acs-date"] = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    sent["x-acs-signature-nonce"] = nonce
    sent["x-acs-content-sha256"] = hashlib.sha256(body).hexdigest()
    if action is not None:
        sent["x-acs-action"] = action
    if security_token is not None:
        sent["x-acs-security-token"] = security_token
        sent["x-acs-accesskey-id"] = key_id
    signed = tuple(sorted(name for name in sent if name in {"host", "content-type"} or name.startswith("x-acs-")))
    request = WireRequest(method.upper(), path or "/", query, sent, body)
    canonical = next(canonical_requests(request, signed, sent["x-acs-content-sha256"]))
    signature = hmac_hex(secret, string_to_sign(canonical))
    sent["authorization"] = f"{SCHEME} Credential={key_id},SignedHeaders={';'.join(signed)},Signature={signature}"
    return sent
