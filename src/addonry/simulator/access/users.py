"""Who asks: by bearer token, by client certificate, in somebody else's name, or nobody.

What they may do is decided in `authorization`. See https://kubernetes.io/docs/reference/access-authn-authz/authentication/
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from addonry.simulator import errors
from addonry.simulator.messages import ClientCertificate, Request

EVERYBODY: Final = "system:authenticated"
_MASTERS: Final = "system:masters"
_CREDENTIAL: Final = "authentication.kubernetes.io/credential-id"


@dataclass(frozen=True, slots=True)
class Identity:
    """A name, the groups that come with it, and by which credential it is known."""

    name: str
    groups: tuple[str, ...]
    extra: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def is_unrestricted(self) -> bool:
        """Members of system:masters may do everything, whatever the roles say."""
        return _MASTERS in self.groups

    def info(self) -> dict[str, object]:
        """As `UserInfo` in answers."""
        shown: dict[str, object] = {"username": self.name, "groups": list(self.groups)}
        return {**shown, "extra": dict(self.extra)} if self.extra else shown


ADMINISTRATOR: Final = Identity("admin", (_MASTERS, EVERYBODY))
ANONYMOUS: Final = Identity("system:anonymous", ("system:unauthenticated",))


class Users:
    """Who is known to one cluster, by their tokens; certificates speak for themselves."""

    def __init__(self, *, administrators_token: str, open_door: bool) -> None:
        """With an *open_door*, whoever brings no credentials is the administrator.

        client-go, and with it kubectl and Helm, sends no credentials over plain HTTP, see clientcmd's
        `IsConfigTransportTLS`: https://github.com/kubernetes/client-go/blob/master/tools/clientcmd/client_config.go
        """
        self._open_door = open_door
        # Looked up by digest, so that the time it takes tells nothing about a token.
        self._by_digest = {_digest(administrators_token): ADMINISTRATOR}

    def add(self, name: str, groups: Iterable[str] = ()) -> str:
        """A new token of a user."""
        token = secrets.token_urlsafe(24)
        self._by_digest[_digest(token)] = Identity(name, (*groups, EVERYBODY))
        return token

    def forget(self, token: str) -> None:
        """The token is good for nothing any more."""
        self._by_digest.pop(_digest(token), None)

    def bearer(self, token: str) -> Identity | None:
        """Whose token it is; None for one that is good for nothing."""
        return self._by_digest.get(_digest(token))

    def identify(self, request: Request, now: datetime) -> Identity:
        """Who sent the request; 401 for credentials that are unknown or expired."""
        given = request.headers.get("authorization", "")
        if given:
            scheme, _, token = given.partition(" ")
            found = self.bearer(token.strip()) if scheme.lower() == "bearer" else None
            if found is None:
                raise errors.unauthorized()
            return found
        if request.certificate is not None:
            return _of_certificate(request.certificate, now)
        return ADMINISTRATOR if self._open_door else ANONYMOUS


def impersonated(request: Request) -> Identity | None:
    """In whose name the request asks to be taken, if in another's than its own.

    See https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/
    """
    name = request.headers.get("impersonate-user", "")
    if not name:
        return None
    groups = [group.strip() for group in request.headers.get("impersonate-group", "").split(",") if group.strip()]
    return Identity(name, tuple(dict.fromkeys((*groups, EVERYBODY))))


def _of_certificate(certificate: ClientCertificate, now: datetime) -> Identity:
    if not certificate.begins_at <= now <= certificate.ends_at:
        raise errors.unauthorized()
    extra = {_CREDENTIAL: [f"X509SHA256={certificate.fingerprint}"]}
    return Identity(certificate.name, (*certificate.groups, EVERYBODY), extra)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
