"""Signatures: who sent this, and is it as they sent it. Request in, verdict out; and the client's side of the same.

Two styles are served: ``v3`` (``ACS3-HMAC-SHA256``, every current SDK) and ``legacy`` (``acs key:signature``, the
aliyun CLI, older SDKs, parts of the Terraform provider).

``checks.CHECKS`` is the whole of the verification, in order; the first refusal is the answer. Where two orders would
do, the one that tells a stranger less comes first: nothing is said of tokens or nonces before the signature has proved
the secret. What differs between the styles is behind ``claim.Style``, so no check asks which style it looks at.

To add a style: a module with a ``Style``, and its name in ``checks.STYLES``. Two ways of calling are apart, because
nothing is in an ``Authorization`` header there: ``bearer`` (the token of a session alone) and ``rpc`` (``POST /``).
"""

from addonry.gateway.signing.checks import CHECKS, STYLES, judge, read_authorization
from addonry.gateway.signing.claim import Authorization, Claim, SigningRules, Style
from addonry.gateway.signing.client import sign_request
from addonry.gateway.signing.v3 import VERSION, canonical_query, canonical_requests, string_to_sign

__all__ = [
    "CHECKS",
    "STYLES",
    "VERSION",
    "Authorization",
    "Claim",
    "SigningRules",
    "Style",
    "canonical_query",
    "canonical_requests",
    "judge",
    "read_authorization",
    "sign_request",
    "string_to_sign",
]
