"""The checks of a signature, in their order; see the package for the rule of the order."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from addonry.gateway.errors import Refusal
from addonry.gateway.signing.claim import Authorization, Claim, Style
from addonry.gateway.signing.legacy import LEGACY, Legacy
from addonry.gateway.signing.v3 import SCHEME, V3, VERSION
from addonry.model.keys import Credential

STYLES: Final[Mapping[str, Style]] = {SCHEME: V3(), LEGACY: Legacy()}
"""The styles that are served, by the first word of the ``Authorization`` header."""

WINDOW: Final = timedelta(minutes=15)
"""How far a request's date may be from the server's clock, on either side."""

FULL_RETRY_MS: Final = 60_000

_TOKENS_ALONE: Final = ("x-acs-bearer-token", "x-acs-zero-trust-idtoken")


def judge(claim: Claim) -> Credential:
    """The key that signed the request. Raises Refusal."""
    for check in CHECKS:
        check(claim)
    return claim.known


def read_authorization(value: str) -> Authorization | None:
    """The parts of the header; None when its style is not served, or a part is missing or there twice."""
    scheme, _, rest = value.partition(" ")
    style = STYLES.get(scheme)
    return style.read(rest) if style is not None else None


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
    if not value and not any(headers.get(name) for name in _TOKENS_ALONE):
        raise Refusal("MissingAccessKeyId", remedy="Sign it with ACS3-HMAC-SHA256; every current SDK does by itself.")
    if value.partition(" ")[0] not in STYLES:
        raise Refusal(
            "InvalidSignatureMethod",
            "Signatures of the styles ACS3-HMAC-SHA256 and acs (HMAC-SHA1) are served.",
            remedy="Use a current SDK with an access key; signature_algorithm is ACS3-HMAC-SHA256 by itself.",
        )


def authorization_is_whole(claim: Claim) -> None:
    """The header has all its parts, once."""
    parts = claim.authorization
    if parts is None or not all((parts.key_id, parts.signature, *parts.signed_headers)):
        style = STYLES[claim.request.header("authorization").partition(" ")[0]]
        raise Refusal(
            "IncompleteSignature",
            "The Authorization header lacks a part, or has one twice.",
            remedy=f"Send Authorization: {style.looks}",
        )


def variant_is_admitted(claim: Claim) -> None:
    """The variant of the style is one that this server takes."""
    claim.parts.style.admit(claim)


def date_is_readable(claim: Claim) -> None:
    """The request says when it was signed."""
    style = claim.parts.style
    claim.date = style.read_date(claim.request)
    if claim.date is None:
        raise Refusal("InvalidTimeStamp.Format", remedy=f"Send {style.date_looks}.")


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
    if not announced:
        return
    # Named by the protocol. Against accidents it is enough; against others it is as strong as the style it belongs to.
    digest = hashlib.md5(claim.request.body, usedforsecurity=False).digest()
    if announced != base64.b64encode(digest).decode():
        raise Refusal("ContentMD5NotMatched")


def covers_what_matters(claim: Claim) -> None:
    """Everything that has a meaning for the server is signed; otherwise a stranger in between could add to it."""
    claim.parts.style.cover(claim)


def signature_matches(claim: Claim) -> None:
    """The secret signed all of it, in one of the forms that clients sign."""
    parts = claim.parts
    sent = parts.signature.encode("latin-1", "replace")
    matched = False
    for expected in parts.style.signatures(claim):
        # Compared to the end whatever came before, so that time tells nothing of how much was right.
        matched |= hmac.compare_digest(expected.encode(), sent)
    if not matched:
        raise parts.style.mismatch(claim)


def token_belongs_to_key(claim: Claim) -> None:
    """Temporary keys come with their token, others without; asked after the signature, see the package."""
    sent, expected = claim.request.header("x-acs-security-token"), claim.known.security_token
    if expected is None:
        if sent:
            raise Refusal("InvalidSecurityToken.MismatchWithAccessKey")
        return
    if not sent:
        raise Refusal("MissingSecurityToken")
    if not hmac.compare_digest(sent.encode("latin-1", "replace"), expected.encode()):
        raise Refusal("InvalidSecurityToken.Malformed")
    if claim.known.expires_at is not None and claim.known.expires_at <= claim.now:
        raise Refusal("InvalidSecurityToken.Expired", remedy="Ask for a new session.")


def action_is_the_routes(claim: Claim) -> None:
    """The operation that the caller named, if any, is the one that the path selects."""
    action = claim.request.header("x-acs-action")
    if action and action != claim.operation:
        raise Refusal("InvalidApi.NotFound", f"Method and path are those of {claim.operation}, not of {action}.")


def nonce_is_new(claim: Claim) -> None:
    """The request was not sent before.

    A legacy client may have sent none; two equal calls in one second then carry one signature, so a repeated signature
    is no sign of a replay (ack-gateway 2.3), and only the date bounds how long such a request is good for.
    """
    nonce = claim.request.header("x-acs-signature-nonce")
    if not nonce:
        if claim.parts.style.needs_nonce:
            raise Refusal("IncompleteSignature", remedy="Send a fresh x-acs-signature-nonce with each request.")
        return
    if claim.nonces.is_full(now=claim.now):
        raise Refusal("Throttling.User", headers=(("x-acs-retry-after", str(FULL_RETRY_MS)),))
    if not claim.nonces.remember(claim.known.id, nonce, now=claim.now):
        raise Refusal("SignatureNonceUsed", remedy="Sign each request afresh, retries too.")


CHECKS: Final[tuple[Callable[[Claim], None], ...]] = (
    version_is_served,
    scheme_is_served,
    authorization_is_whole,
    variant_is_admitted,
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
