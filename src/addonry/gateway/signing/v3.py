"""The current style, ``ACS3-HMAC-SHA256``: the header lists what is signed, and the body's hash is part of it.

https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature
"""

import hashlib
import hmac
import re
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from addonry.gateway.errors import Refusal
from addonry.gateway.request import WireRequest
from addonry.gateway.signing.claim import TOKEN_HEADERS, Authorization, Claim
from addonry.gateway.signing.query import PLAIN_NAME, signed_paths, sorted_pairs

SCHEME: Final = "ACS3-HMAC-SHA256"
VERSION: Final = "2015-12-15"

REQUIRED: Final = frozenset(
    {"host", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"},
)
"""Headers that must be signed, beside every other ``x-acs-`` header that was sent."""

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


class V3:
    """The style as ``checks`` asks for it."""

    looks: Final = f"{SCHEME} Credential=...,SignedHeaders=...,Signature=..."
    date_looks: Final = "x-acs-date in UTC, for example 2026-01-02T03:04:05Z"
    needs_nonce: Final = True

    def read(self, text: str) -> Authorization | None:
        """Parts separated by commas, with or without blanks: other implementations than the official ones add them."""
        parts: dict[str, str] = {}
        for part in text.split(","):
            name, equals, value = part.strip().partition("=")
            if not equals or name in parts:
                return None
            parts[name] = value
        try:
            signed = tuple(parts["SignedHeaders"].split(";"))
            return Authorization(self, parts["Credential"], parts["Signature"], signed)
        except KeyError:
            return None

    def read_date(self, request: WireRequest) -> datetime | None:
        """``x-acs-date``, an ISO 8601 time in UTC."""
        text = request.header("x-acs-date")
        if not _DATE.fullmatch(text):
            return None
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return None

    def admit(self, claim: Claim) -> None:
        """There is one variant."""

    def cover(self, claim: Claim) -> None:
        """The list is well-formed and names every header that the server reads."""
        signed = claim.parts.signed_headers
        listed = ";".join(signed)
        if listed != listed.lower() or list(signed) != sorted(set(signed)):
            raise Refusal(
                "IncompleteSignature", remedy="SignedHeaders is a sorted list of lower-case names, each once."
            )
        headers = claim.request.headers
        needed = REQUIRED.union([name for name in headers if name.startswith("x-acs-")])
        if claim.request.body and "content-type" in headers:
            needed = needed.union({"content-type"})
        missing = needed.difference(signed)
        if missing:
            raise Refusal("IncompleteSignature", remedy=f"Sign these headers too: {', '.join(sorted(missing))}.")

    def signatures(self, claim: Claim) -> Iterator[str]:
        """None are right when the body is not the one whose hash was signed."""
        request = claim.request
        payload_hash = hashlib.sha256(request.body).hexdigest()
        if request.header("x-acs-content-sha256") != payload_hash:
            return
        for canonical in canonical_requests(request, claim.parts.signed_headers, payload_hash):
            yield hmac_hex(claim.known.secret, string_to_sign(canonical))

    def mismatch(self, claim: Claim) -> Refusal:
        """What the server calculated from, for comparison with the caller's own."""
        request, signed = claim.request, claim.parts.signed_headers
        payload_hash = hashlib.sha256(request.body).hexdigest()
        canonical = next(canonical_requests(request, signed, payload_hash))
        told = string_to_sign(canonical)
        # The sender knows its tokens anyway, but the message ends up in logs.
        masked = {name: "***" if name in TOKEN_HEADERS else value for name, value in request.headers.items()}
        shown = next(
            canonical_requests(
                WireRequest(request.method, request.path, request.query, masked, request.body), signed, payload_hash
            )
        )
        return Refusal(
            "SignatureDoesNotMatch",
            "Specified signature does not match our calculation. Check the access key secret; if it is right, compare: "
            f"server StringToSign is [{told}] server CanonicalRequest is [{shown}]",
        )


def canonical_requests(request: WireRequest, signed: tuple[str, ...], payload_hash: str) -> Iterator[str]:
    """The canonical form of the request; then the forms that clients with a known defect sign instead.

    The official clients leave the names of query parameters unencoded, and Node signs an apostrophe in a path
    that it sends as ``%27`` (ack-gateway 1.2). None of the forms covers less than the first.
    """
    encoded, literal = canonical_query(request.query), canonical_query(request.query, encode_names=False)
    queries = [encoded] if literal in {None, encoded} else [encoded, literal]
    headers = "".join(f"{name}:{request.header(name)}\n" for name in signed)
    for path in signed_paths(request.path):
        for query in queries:
            yield f"{request.method}\n{path}\n{query}\n{headers}\n{';'.join(signed)}\n{payload_hash}"


# Callers poll, so the same query comes again and again; a pure function of bounded text may be remembered.
@lru_cache(maxsize=128)
def canonical_query(query: str, *, encode_names: bool = True) -> str | None:
    """The query decoded, sorted by name and encoded again, byte for byte (RFC 3986).

    With names left as they are, None if one holds a byte that could be taken for the query's own punctuation:
    two different queries would then have one form.
    """
    pairs = sorted_pairs(query)
    if not encode_names and any(not PLAIN_NAME.fullmatch(name) for name, _ in pairs):
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
    return hmac.digest(secret.encode(), text.encode("latin-1"), hashlib.sha256).hex()
