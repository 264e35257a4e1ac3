"""A request that claims to come from the holder of a key, and what a style of signing has to say about it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from addonry.gateway.errors import Refusal
from addonry.gateway.nonces import Nonces
from addonry.gateway.request import WireRequest
from addonry.model.keys import Credential

TOKEN_HEADERS: Final = frozenset({"x-acs-security-token", "x-acs-bearer-token", "x-acs-zero-trust-idtoken"})
"""Headers that are credentials themselves: signed like others, but never repeated in an answer."""


@dataclass(frozen=True, slots=True)
class SigningRules:
    """Which signatures this server takes, beside right ones."""

    legacy: bool = True
    """Whether legacy signatures are taken at all."""
    uncovered_bodies: bool = True
    """Whether a legacy request may come without Content-MD5, which leaves its body unsigned."""


@dataclass(frozen=True, slots=True)
class Authorization:
    """The parts of an ``Authorization`` header."""

    style: "Style"
    key_id: str
    signature: str
    signed_headers: tuple[str, ...] = ()
    """As the header lists them; empty in a style that settles which headers are signed."""


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
    rules: SigningRules = field(default=SigningRules())
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


class Style(Protocol):
    """What differs between the ways of signing. The secret is used in ``signatures`` only."""

    @property
    def looks(self) -> str:
        """What an ``Authorization`` header of this style looks like, for the remedy."""

    @property
    def date_looks(self) -> str:
        """Which header dates the request, and how it looks."""

    @property
    def needs_nonce(self) -> bool:
        """Whether every client of this style sends ``x-acs-signature-nonce``."""

    def read(self, text: str) -> Authorization | None:
        """What follows the scheme in the header; None when a part is missing or there twice."""

    def read_date(self, request: WireRequest) -> datetime | None:
        """When the request was signed, as it says; None when that is no date."""

    def admit(self, claim: Claim) -> None:
        """Raise Refusal for a variant of the style that is not served here."""

    def cover(self, claim: Claim) -> None:
        """Raise Refusal when something that has a meaning for the server is not signed."""

    def signatures(self, claim: Claim) -> Iterator[str]:
        """The signatures that would be right: one for each form that clients are known to sign."""

    def mismatch(self, claim: Claim) -> Refusal:
        """Why the signature is none of those, told without tokens."""
