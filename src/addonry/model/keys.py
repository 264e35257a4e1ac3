"""Access keys: who may call."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A key as it is listed. The secret is shown once, when the key is made, and is not part of this value."""

    id: str
    name: str
    created_at: datetime
    is_root: bool = False
    enabled: bool = True


@dataclass(frozen=True, slots=True, repr=False)
class Credential:
    """A key with its secret, for signing and verifying. Has no repr, so that it cannot be logged by accident."""

    id: str
    secret: str
    enabled: bool = True
    security_token: str | None = None
