"""Who may do what: users, policies, and the record of every call."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

ACCOUNT: Final = "1000000000000000"
"""The id of the account: one Addonry is one account."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A named policy document, as ACK's RAM writes it. See ``rules.access`` for its language."""

    name: str
    document: Mapping[str, Any]
    description: str = ""
    updated_at: datetime | None = None
    is_system: bool = False
    """It comes with Addonry and can be neither changed nor deleted."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may do what the attached policies allow, and nothing else."""

    name: str
    created_at: datetime
    policies: tuple[str, ...] = ()
    """The names of the attached policies."""


@dataclass(frozen=True, slots=True)
class Grants:
    """The policies that decide for a caller, layer by layer; every layer must allow."""

    layers: tuple[tuple[Policy, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One call: who asked for what, from where, how it was answered, and which statement decided."""

    request_id: str
    at: datetime
    operation: str
    """Empty when method and path select none."""
    method: str
    path: str
    cluster: str
    key: str
    """The access key whose signature was accepted; empty when none was."""
    user: str
    """Empty for the account itself."""
    source: str
    """The address it came from."""
    status: int
    code: str
    """The error's code; empty when it was answered."""
    verdict: str = ""
    """What decided: ``account``, or the policy and the number of its statement; empty when nothing matched."""
    milliseconds: int = field(default=0)
