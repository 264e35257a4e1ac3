"""The legacy style, ``acs key:signature``: HMAC-SHA1 over a fixed list of headers, the ``x-acs-`` ones and the target.

https://www.alibabacloud.com/help/en/sdk/product-overview/roa-mechanism
Spoken by the aliyun CLI, the older SDKs and parts of the Terraform provider.

Two things it cannot do, whoever verifies: without Content-MD5 the body is not signed (three clients send none;
``SigningRules`` can demand it), and without a nonce a recorded request is good again for as long as its date is.

A third it could not do if all forms that clients sign were simply tried. Most sign *decoded* parameters and one the
raw target, so one text could stand for several queries: ``a=1%26b=2`` for ``a=1&b=2``, ``q=%2541`` for ``q=%41``.
``query_forms`` therefore offers a form only where it can be read in one way; a test holds it to that.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from addonry.gateway.errors import Refusal
from addonry.gateway.request import WireRequest
from addonry.gateway.signing.claim import TOKEN_HEADERS, Authorization, Claim
from addonry.gateway.signing.query import PLAIN_NAME, signed_paths, sorted_pairs

LEGACY: Final = "acs"
METHOD: Final = "HMAC-SHA1"

MISMATCH: Final = "Specified signature is not matched with our calculation. server string to sign is:"
"""The CLI and the Go SDK compare what follows with their own text, to tell a wrong secret from a defect of their own:
https://github.com/aliyun/alibaba-cloud-sdk-go/blob/master/sdk/errors/signature_does_not_match_wrapper.go"""

_LISTED: Final = ("accept", "content-md5", "content-type", "date")
_BODILESS: Final = frozenset({"GET", "HEAD"})
_DATE: Final = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_RAW: Final = re.compile(rb"[0-9A-Za-z._~*%+=&!'():,;/@-]+")
"""What an encoded query consists of."""
_ESCAPE: Final = re.compile(rb"%[0-9A-Fa-f]{2}")


class Legacy:
    """The style as ``checks`` asks for it."""

    looks: Final = f"{LEGACY} <access key id>:<base64 of the {METHOD}>"
    date_looks: Final = "Date as in RFC 1123, for example Fri, 02 Jan 2026 03:04:05 GMT"
    needs_nonce: Final = False

    def read(self, text: str) -> Authorization | None:
        """Key and signature; the signature is base64 and holds no colon."""
        key_id, colon, signature = text.strip().rpartition(":")
        return Authorization(self, key_id, signature) if colon else None

    def read_date(self, request: WireRequest) -> datetime | None:
        """``Date`` of RFC 1123, read by hand: strptime would want the names of the server's own language."""
        found = _DATE.fullmatch(request.header("date"))
        if found is None:
            return None
        day, month, year, *clock = found.groups()
        try:
            hour, minute, second = map(int, clock)
            return datetime(int(year), _MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=UTC)
        except ValueError:
            return None

    def admit(self, claim: Claim) -> None:
        """The style is taken here, and its algorithm is the one there is."""
        if not claim.rules.legacy:
            raise Refusal(
                "InvalidSignatureMethod",
                "This server does not take legacy signatures (acs, HMAC-SHA1).",
                remedy="Use a current SDK, which signs with ACS3-HMAC-SHA256.",
            )
        if claim.request.header("x-acs-signature-method") not in {"", METHOD}:
            raise Refusal(
                "InvalidSignatureMethod",
                f"Legacy signatures are {METHOD} only.",
                remedy=f"Send x-acs-signature-method: {METHOD}, or sign with ACS3-HMAC-SHA256.",
            )

    def cover(self, claim: Claim) -> None:
        """The body is signed, if the rules want that of this style.

        Asked of requests that came without a body too: somebody in between could have taken it away.
        """
        request = claim.request
        if claim.rules.uncovered_bodies or request.header("content-md5"):
            return
        if request.body or request.method not in _BODILESS:
            raise Refusal(
                "IncompleteSignature",
                "This server does not take legacy signatures that leave the body unsigned.",
                remedy="Send Content-MD5, or use a current SDK, which signs with ACS3-HMAC-SHA256.",
            )

    def signatures(self, claim: Claim) -> Iterator[str]:
        """One for each form of path and query."""
        secret = claim.known.secret.encode()
        for text in strings_to_sign(claim.request):
            yield base64.b64encode(hmac.digest(secret, text, hashlib.sha1)).decode()

    def mismatch(self, claim: Claim) -> Refusal:
        """The server's string to sign, which nothing may follow; or that the query cannot be signed in this style."""
        request = claim.request
        # Of the forms that of Go and the CLI, since they are the ones that compare.
        form = _decoded(request.query, bare=True)
        if form not in query_forms(request.query):
            return Refusal(
                "IncompleteSignature",
                "The legacy signature does not match, and could not: its string to sign holds the parameters decoded, "
                "and an ampersand or a percent-escape inside one of these could be taken for another query.",
                remedy="Sign with ACS3-HMAC-SHA256, or leave such characters out.",
            )
        told = _head(request, masked=True) + _resource(request.path, form)
        return Refusal("SignatureDoesNotMatch", MISMATCH + told.decode("utf-8", "replace"))


def strings_to_sign(request: WireRequest) -> Iterator[bytes]:
    """What clients apply the secret to, the form of most first."""
    head = _head(request)
    return (head + resource for resource in resources(request.path, request.query))


def resources(path: str, query: str) -> Iterator[bytes]:
    """Path and query in the forms that clients sign."""
    for signed_path in signed_paths(path):
        for form in query_forms(query):
            yield _resource(signed_path, form)


# Callers poll, so the same query comes again and again; a pure function of bounded text may be remembered.
@lru_cache(maxsize=128)
def query_forms(query: str) -> tuple[bytes, ...]:
    """The query in the forms that clients sign, without those that could stand for another query as well.

    Decoded, an empty parameter as ``name=`` (Python, Node); decoded, an empty one as ``name`` (Go, the CLI); as it was
    sent (aliyungo inside the Terraform provider). A text that consists of nothing but what an encoded query may hold,
    escapes among it, is taken for a query as it was sent; any other for a decoded one.
    """
    raw = query.encode("latin-1")
    forms: list[bytes] = []
    if _is_plain(query):
        forms += (_decoded(query, bare=False), _decoded(query, bare=True))
        forms = [form for form in forms if not _looks_raw(form)]
    # Without an escape a plus could be meant as one, or as a blank; a decoded text means it as one.
    if _looks_raw(raw) or (_RAW.fullmatch(raw) and b"+" not in raw):
        forms.append(raw)
    return tuple(dict.fromkeys(forms))


def _resource(path: str, form: bytes) -> bytes:
    return path.encode("latin-1") + (b"?" + form if form else b"")


def _is_plain(query: str) -> bool:
    return all(PLAIN_NAME.fullmatch(name) and b"&" not in value for name, value in sorted_pairs(query))


def _looks_raw(text: bytes) -> bool:
    return bool(_RAW.fullmatch(text) and _ESCAPE.search(text))


def _decoded(query: str, *, bare: bool) -> bytes:
    return b"&".join(name if bare and not value else name + b"=" + value for name, value in sorted_pairs(query))


def _head(request: WireRequest, *, masked: bool = False) -> bytes:
    listed = (request.method, *(request.header(name) for name in _LISTED))
    own = sorted(item for item in request.headers.items() if item[0].startswith("x-acs-"))
    lines = [*listed, *(f"{name}:{'***' if masked and name in TOKEN_HEADERS else value}" for name, value in own)]
    return "".join(f"{line}\n" for line in lines).encode("latin-1")
