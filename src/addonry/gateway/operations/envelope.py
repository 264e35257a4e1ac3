"""What more than one family of operations answers."""

from typing import Any, TypedDict

import msgspec


class Accepted(msgspec.Struct):
    """The answer of an asynchronous operation: where to follow it."""

    cluster_id: str
    request_id: str
    task_id: str


class Nothing(TypedDict):
    """The answer of an operation that has none: an empty object, for some clients fail on an empty body."""


class Tag(msgspec.Struct):
    """One label of a cluster."""

    key: str
    value: str = ""


Free = dict[str, Any]
"""An object whose members are free."""
