"""What the bodies of changes and plans have in common: names, versions, values, and how a change is made."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from addonry.gateway.codec import read_json_text
from addonry.model.errors import InvalidParameter
from addonry.model.ids import Version
from addonry.model.tasks import Edits, Pace

Words = TypeVar("Words", bound=StrEnum)


class Policy(StrEnum):
    """The published upgrade policies."""

    OVERWRITE = "overwrite"
    CANARY = "canary"


def check_names(names: list[str]) -> None:
    """Raises InvalidParameter for none, an empty one, and one that is there twice."""
    if not names:
        raise InvalidParameter("body", "names no component", remedy="Send an array with at least one element.")
    if not all(names):
        raise InvalidParameter("body", "has an element without a component's name")
    if len(set(names)) < len(names):
        raise InvalidParameter("body", "names a component twice", remedy="Name each component once.")


def needed(values: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Values that have to be given: an empty text taken for "none at all" would throw the present ones away."""
    if values is None:
        raise InvalidParameter("config", "is missing", remedy='Send {"config": "{\\"replicas\\": 2}"}, for example.')
    return values


def pace_of(policy: str | None = None, *, canary: bool | None) -> Pace:
    """How a change is brought to the pods; *policy* as ACK spells it."""
    # To take a canary for an ordinary upgrade would move all pods at once, against the caller's word. Clients that know
    # of ACK's policies only always send one, so that overwrite does not speak against `canary`.
    is_canary = choice_of(Policy, "policy", policy) is Policy.CANARY or canary
    return Pace.CANARY if is_canary else Pace.AT_ONCE


def edits_of(text: str | None) -> Edits:
    """What becomes of fields that others have set."""
    return choice_of(Edits, "edits", text) or Edits.OVERWRITE


def choice_of(words: type[Words], parameter: str, text: str | None) -> Words | None:
    """The word that *text* is; None when nothing was said. Raises InvalidParameter for another word."""
    if not text:
        return None
    try:
        return words(text)
    except ValueError:
        allowed = " or ".join(words)
        raise InvalidParameter(parameter, "is a word that is not known", remedy=f"Send {allowed}.") from None


def version_of(text: str | None) -> Version | None:
    """A version, or None where nothing was said."""
    return Version(text.strip()) if text and text.strip() else None


def values_of(config: str | dict[str, Any] | None) -> Mapping[str, Any] | None:
    """The values in *config*, which clients send as an object or as text; None where nothing was said."""
    if not config:
        # `{}` as an object is an answer ("no values"); no text and no member are none.
        return config if isinstance(config, dict) else None
    read = read_json_text(config, "config") if isinstance(config, str) else config
    if not isinstance(read, dict):
        raise InvalidParameter("config", "must be a JSON object as text", remedy='For example "{\\"replicas\\": 2}".')
    return read
