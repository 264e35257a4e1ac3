"""The RPC style: everything in the query, one parameter of which is the signature (ack-gateway 3.3).

Clients use it for the calls they make outside of the Container Service: who am I, and where is its endpoint.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from addonry.gateway.errors import Refusal
from addonry.gateway.nonces import Nonces
from addonry.gateway.signing.checks import WINDOW
from addonry.model.keys import Credential

METHOD: Final = "HMAC-SHA1"
_SAFE: Final = "-_.~"


def key_of(parameters: Mapping[str, str]) -> str:
    """The access key that the parameters name. Raises Refusal."""
    key = parameters.get("AccessKeyId", "")
    if not key:
        raise Refusal("MissingAccessKeyId")
    return key


def judge_rpc(
    method: str,
    parameters: Mapping[str, str],
    credential: Credential | None,
    *,
    nonces: Nonces,
    now: datetime,
) -> Credential:
    """The key that signed the parameters. Raises Refusal; the order of the checks is that of the other styles."""
    if parameters.get("SignatureMethod") != METHOD:
        raise Refusal("InvalidSignatureMethod", f"Signatures of the RPC style are taken with {METHOD}.")
    if not parameters.get("Signature"):
        raise Refusal("IncompleteSignature", "The parameter Signature is missing.")
    _check_date(parameters.get("Timestamp", ""), now)
    if credential is None:
        raise Refusal("InvalidAccessKeyId.NotFound", remedy="List the keys with `addonry keys list`.")
    if not credential.enabled:
        raise Refusal("InvalidAccessKeyId.Inactive")
    signed = string_to_sign(method, parameters)
    if not hmac.compare_digest(_signature(signed, credential.secret), parameters["Signature"].encode()):
        raise Refusal(
            "SignatureDoesNotMatch",
            "Specified signature is not matched with our calculation. server string to sign is:"
            + string_to_sign(method, _without_token(parameters)),
        )
    _check_token(parameters.get("SecurityToken", ""), credential, now)
    nonce = parameters.get("SignatureNonce", "")
    if not nonce:
        raise Refusal("IncompleteSignature", remedy="Send a fresh SignatureNonce with each request.")
    if not nonces.remember(credential.id, nonce, now=now):
        raise Refusal("SignatureNonceUsed", remedy="Sign each request afresh, retries too.")
    return credential


def string_to_sign(method: str, parameters: Mapping[str, str]) -> str:
    """What the secret signs."""
    pairs = sorted((_encode(name), _encode(value)) for name, value in parameters.items() if name != "Signature")
    query = "&".join(f"{name}={value}" for name, value in pairs)
    return f"{method}&%2F&{_encode(query)}"


def _signature(signed: str, secret: str) -> bytes:
    return base64.b64encode(hmac.new(f"{secret}&".encode(), signed.encode(), hashlib.sha1).digest())


def _encode(text: str) -> str:
    return quote(text, safe=_SAFE)


def _without_token(parameters: Mapping[str, str]) -> Mapping[str, str]:
    return {name: "***" if name == "SecurityToken" else value for name, value in parameters.items()}


def _check_date(text: str, now: datetime) -> None:
    try:
        date = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Refusal("InvalidTimeStamp.Format", remedy="Send Timestamp like 2026-01-02T03:04:05Z.") from None
    if abs(now - date) > WINDOW:
        raise Refusal("InvalidTimeStamp.Expired")


def _check_token(sent: str, credential: Credential, now: datetime) -> None:
    expected = credential.security_token
    if expected is None:
        if sent:
            raise Refusal("InvalidSecurityToken.MismatchWithAccessKey")
        return
    if not sent:
        raise Refusal("MissingSecurityToken")
    if not hmac.compare_digest(sent.encode("utf-8", "replace"), expected.encode()):
        raise Refusal("InvalidSecurityToken.Malformed")
    if credential.expires_at is not None and credential.expires_at <= now:
        raise Refusal("InvalidSecurityToken.Expired", remedy="Ask for a new session.")
