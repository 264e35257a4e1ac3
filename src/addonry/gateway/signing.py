"""Signatures: who sent this, and is it as they sent it. Request in, verdict out; and the client's side of the same.

The style is Alibaba Cloud's ``ACS3-HMAC-SHA256`` (V3):
https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature

``CHECKS`` is the whole of the verification, in order; the first refusal is the answer. Where two orders would do, the
one that tells a stranger less comes first: nothing is said of tokens or nonces before the signature has proved the
secret. The legacy style (``acs key:signature``) and bearer tokens are not served yet and are refused by name.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from addonry.gateway.errors import Refusal
from addonry.gateway.nonces import Nonces
from addonry.gateway.request import WireRequest
from addonry.model.keys import Credential

SCHEME: Final = "ACS3-HMAC-SHA256"
VERSION: Final = "2015-12-15"
WINDOW: Final = timedelta(minutes=15)
"""How far a request's date may be from the server's clock, on either side."""

REQUIRED: Final = frozenset(
    {"host", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"},
)
"""Headers that must be signed, beside every other ``x-acs-`` header that was sent."""

FULL_RETRY_MS: Final = 60_000

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_PLAIN_NAME: Final = re.compile(rb"[0-9A-Za-z_.~\[\]:-]+")


@dataclass(frozen=True, slots=True)
class Authorization:
    """The parts of an ``Authorization`` header of this scheme."""

    key_id: str
    signed_headers: tuple[str, ...]
    signature: str


@dataclass(slots=True)
class Claim:
    """A request with what is needed to judge it."""

    request: WireRequest
    operation: str
    """The name of the operation that method and path select."""
    now: datetime
    nonces: Nonces
    authorization: Authorization | None
    credential: Credential | None
    date: datetime | None = field(default=None)

    @property
    def parts(self) -> Authorization:
        """The authorization, once a check has seen that it is there."""
        assert self.authorization is not None
        return self.authorization

    @property
    def known(self) -> Credential:
        """The credential, once a check has seen that it is there."""
        assert self.credential is not None
        return self.credential


def judge(claim: Claim) -> str:
    """The id of the key that signed the request. Raises Refusal."""
    for check in CHECKS:
        check(claim)
    return claim.known.id


def read_authorization(value: str) -> Authorization | None:
    """The parts of the header; None when it is of another scheme, or a part is missing or there twice."""
    scheme, _, rest = value.partition(" ")
    if scheme != SCHEME:
        return None
    parts: dict[str, str] = {}
    for part in rest.split(","):
        name, equals, text = part.strip().partition("=")
        if not equals or name in parts:
            return None
        parts[name] = text
    try:
        return Authorization(parts["Credential"], tuple(parts["SignedHeaders"].split(";")), parts["Signature"])
    except KeyError:
        return None


# The checks


def version_is_served(claim: Claim) -> None:
    """There is one version of this API."""
    version = claim.request.header("x-acs-version")
    if not version:
        raise Refusal("MissingVersion")
    if version != VERSION:
        raise Refusal("InvalidProduct.NotFound")


def scheme_is_served(claim: Claim) -> None:
    """The request is signed, and in a style that is served."""
    headers = claim.request.headers
    value = headers.get("authorization", "")
    if not value and not any(headers.get(name) for name in ("x-acs-bearer-token", "x-acs-zero-trust-idtoken")):
        raise Refusal("MissingAccessKeyId", remedy="Sign it with ACS3-HMAC-SHA256; every current SDK does by itself.")
    if value.partition(" ")[0] != SCHEME:
        raise Refusal(
            "InvalidSignatureMethod",
            remedy="Use a current SDK, or signature_algorithm ACS3-HMAC-SHA256; legacy (acs) and bearer are to come.",
        )


def authorization_is_whole(claim: Claim) -> None:
    """The header has all its parts, once."""
    parts = claim.authorization
    if parts is None or not all((parts.key_id, parts.signature, *parts.signed_headers)):
        raise Refusal(
            "IncompleteSignature",
            remedy="Send Authorization: ACS3-HMAC-SHA256 Credential=...,SignedHeaders=...,Signature=...",
        )


def date_is_readable(claim: Claim) -> None:
    """``x-acs-date`` is an ISO 8601 time in UTC."""
    text = claim.request.header("x-acs-date")
    if _DATE.fullmatch(text):
        try:
            claim.date = datetime.fromisoformat(text)
        except ValueError:
            claim.date = None
    if claim.date is None:
        raise Refusal("InvalidTimeStamp.Format", remedy="Send x-acs-date in UTC, for example 2026-01-02T03:04:05Z.")


def date_is_near(claim: Claim) -> None:
    """The request is fresh."""
    assert claim.date is not None
    if abs(claim.now - claim.date) > WINDOW:
        raise Refusal(
            "InvalidTimeStamp.Expired", remedy="Set the clock of the machine that calls (see the Date header)."
        )


def key_is_known(claim: Claim) -> None:
    """There is such a key."""
    if claim.credential is None:
        raise Refusal("InvalidAccessKeyId.NotFound", remedy="List the keys with `addonry keys list`.")


def key_is_enabled(claim: Claim) -> None:
    """The key may be used."""
    if not claim.known.enabled:
        raise Refusal("InvalidAccessKeyId.Inactive")


def digest_is_right(claim: Claim) -> None:
    """A Content-MD5, if one is sent, is that of the body."""
    announced = claim.request.header("content-md5")
    # A checksum against accidents, named by the protocol; what protects the body is the SHA-256 below.
    digest = hashlib.md5(claim.request.body, usedforsecurity=False).digest() if announced else b""
    if announced and announced != base64.b64encode(digest).decode():
        raise Refusal("ContentMD5NotMatched")


def covers_what_matters(claim: Claim) -> None:
    """Everything that has a meaning for the server is signed; otherwise a stranger in between could add to it."""
    signed = claim.parts.signed_headers
    if list(signed) != sorted(set(signed)) or any(name != name.lower() for name in signed):
        raise Refusal("IncompleteSignature", remedy="SignedHeaders is a sorted list of lower-case names, each once.")
    headers = claim.request.headers
    needed = REQUIRED.union(name for name in headers if name.startswith("x-acs-"))
    if claim.request.body and "content-type" in headers:
        needed = needed.union({"content-type"})
    missing = needed.difference(signed)
    if missing:
        raise Refusal("IncompleteSignature", remedy=f"Sign these headers too: {', '.join(sorted(missing))}.")


def signature_matches(claim: Claim) -> None:
    """The body is the one whose hash was signed, and the secret signed all of it."""
    request, parts = claim.request, claim.parts
    payload_hash = hashlib.sha256(request.body).hexdigest()
    announced = request.header("x-acs-content-sha256")
    secret = claim.known.secret
    matched = False
    for canonical in canonical_requests(request, parts.signed_headers, payload_hash):
        expected = hmac_hex(secret, string_to_sign(canonical))
        # Compared to the end whatever came before, so that time tells nothing of how much was right.
        matched |= hmac.compare_digest(expected.encode(), parts.signature.encode("latin-1", "replace"))
    if not matched or not hmac.compare_digest(announced.encode("latin-1", "replace"), payload_hash.encode()):
        raise Refusal("SignatureDoesNotMatch", _explain_mismatch(claim, payload_hash))


def token_belongs_to_key(claim: Claim) -> None:
    """Temporary keys come with their token, others without; asked after the signature, see the module."""
    sent, expected = claim.request.header("x-acs-security-token"), claim.known.security_token
    if expected is None:
        if sent:
            raise Refusal("InvalidSecurityToken.MismatchWithAccessKey")
        return
    if not sent:
        raise Refusal("MissingSecurityToken")
    if not hmac.compare_digest(sent.encode("latin-1", "replace"), expected.encode()):
        raise Refusal("InvalidSecurityToken.Malformed")


def action_is_the_routes(claim: Claim) -> None:
    """The operation that the caller named, if any, is the one that the path selects."""
    action = claim.request.header("x-acs-action")
    if action and action != claim.operation:
        raise Refusal("InvalidApi.NotFound", f"Method and path are those of {claim.operation}, not of {action}.")


def nonce_is_new(claim: Claim) -> None:
    """The request was not sent before."""
    nonce = claim.request.header("x-acs-signature-nonce")
    if not nonce:
        raise Refusal("IncompleteSignature", remedy="Send a fresh x-acs-signature-nonce with each request.")
    if claim.nonces.is_full(now=claim.now):
        raise Refusal("Throttling.User", headers=(("x-acs-retry-after", str(FULL_RETRY_MS)),))
    if not claim.nonces.remember(claim.known.id, nonce, now=claim.now):
        raise Refusal("SignatureNonceUsed", remedy="Sign each request afresh, retries too.")


CHECKS: Final[tuple[Callable[[Claim], None], ...]] = (
    version_is_served,
    scheme_is_served,
    authorization_is_whole,
    date_is_readable,
    date_is_near,
    key_is_known,
    key_is_enabled,
    digest_is_right,
    covers_what_matters,
    signature_matches,
    token_belongs_to_key,
    action_is_the_routes,
    nonce_is_new,
)


# What is signed


def canonical_requests(request: WireRequest, signed: tuple[str, ...], payload_hash: str) -> Iterator[str]:
    """The canonical form of the request; then the forms that clients with a known defect sign instead.

    The official clients leave the names of query parameters unencoded, and Node signs an apostrophe in a path
    that it sends as ``%27`` (ack-gateway 1.2). None of the forms covers less than the first.
    """
    encoded, literal = canonical_query(request.query), canonical_query(request.query, encode_names=False)
    queries = [encoded] if literal in {None, encoded} else [encoded, literal]
    paths = [request.path]
    if "%27" in request.path:
        paths.append(request.path.replace("%27", "'"))
    headers = "".join(f"{name}:{request.header(name)}\n" for name in signed)
    for path in paths:
        for query in queries:
            yield f"{request.method}\n{path}\n{query}\n{headers}\n{';'.join(signed)}\n{payload_hash}"


# Callers poll, so the same query comes again and again; a pure function of bounded text may be remembered.
@lru_cache(maxsize=128)
def canonical_query(query: str, *, encode_names: bool = True) -> str | None:
    """The query decoded, sorted by name and encoded again, byte for byte (RFC 3986).

    With names left as they are, None if one holds a byte that could be taken for the query's own punctuation:
    two different queries would then have one form.
    """
    pairs: list[tuple[bytes, bytes]] = []
    for piece in query.split("&"):
        if piece:
            name, _, value = piece.replace("+", " ").encode("latin-1").partition(b"=")
            pairs.append((unquote_to_bytes(name), unquote_to_bytes(value)))
    # By name alone: values of a repeated name keep their order, which may mean something.
    pairs.sort(key=lambda pair: pair[0])
    if not encode_names and any(not _PLAIN_NAME.fullmatch(name) for name, _ in pairs):
        return None
    return "&".join(
        f"{quote(name, safe='-_.~') if encode_names else name.decode()}={quote(value, safe='-_.~')}"
        for name, value in pairs
    )


def string_to_sign(canonical: str) -> str:
    """What the secret is applied to."""
    return f"{SCHEME}\n{hashlib.sha256(canonical.encode('latin-1')).hexdigest()}"


def hmac_hex(secret: str, text: str) -> str:
    """HMAC-SHA256 in lower-case hexadecimal; the secret itself is the key."""
    return hmac.new(secret.encode(), text.encode("latin-1"), hashlib.sha256).hexdigest()


def _explain_mismatch(claim: Claim, payload_hash: str) -> str:
    canonical = next(canonical_requests(claim.request, claim.parts.signed_headers, payload_hash))
    told = string_to_sign(canonical)
    # The sender knows the token anyway, but the message ends up in logs.
    token = claim.request.header("x-acs-security-token")
    if token:
        canonical = canonical.replace(f"\nx-acs-security-token:{token}\n", "\nx-acs-security-token:***\n")
    return (
        "Specified signature does not match our calculation. Check the access key secret; if it is right, compare: "
        f"server StringToSign is [{told}] server CanonicalRequest is [{canonical}]"
    )


# The client's side


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
