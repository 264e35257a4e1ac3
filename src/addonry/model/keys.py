"""Access keys: who may call."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A key as it is listed. The secret is shown once, when the key is made, and is not part of this value."""

    id: str
    name: str
    created_at: datetime
    is_root: bool = False
    enabled: bool = True
    user: str = ""
    """Whose policies decide what it may do; empty: the account's own, which may do everything."""
    expires_at: datetime | None = None
    """When a temporary key ends; None for one that stays until it is deleted."""


@dataclass(frozen=True, slots=True, repr=False)
class Credential:
    """A key with its secret, for signing and verifying. Has no repr, so that it cannot be logged by accident."""

    id: str
    secret: str
    enabled: bool = True
    security_token: str | None = None
    """A temporary key is good together with this token only."""
    expires_at: datetime | None = None
    user: str = ""
    session_policy: dict[str, Any] | None = field(default=None)
    """A policy document that a temporary key is confined to, whatever its user may do."""
