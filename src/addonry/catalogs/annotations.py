"""What publishers say of a version in the annotations of Artifact Hub: its changes, fixes of security, pre-releases.

https://artifacthub.io/docs/topics/annotations/helm/. An annotation that cannot be read says nothing; a version is not
lost for it.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from addonry.catalogs.documents import Unreadable, read_documents
from addonry.model.catalog import Note

_CHANGES: Final = "artifacthub.io/changes"
_PRERELEASE: Final = "artifacthub.io/prerelease"
_SECURITY: Final = "artifacthub.io/containsSecurityUpdates"

ANNOTATIONS: Final = frozenset({_CHANGES, _PRERELEASE, _SECURITY})
MOST_ANNOTATION: Final = 8_000
"""Characters; longer ones are left out."""
MOST_NOTES: Final = 30
_MOST_TEXT: Final = 300


@dataclass(frozen=True, slots=True)
class Told:
    """What the annotations of a version say."""

    is_prerelease: bool = False
    fixes_security: bool = False
    notes: tuple[Note, ...] = ()


_NOTHING: Final = Told()


def read_annotations(annotations: Mapping[str, str]) -> Told:
    """What *annotations* say, as far as it can be read."""
    if not annotations:
        return _NOTHING
    notes = _notes(annotations.get(_CHANGES, ""))
    return Told(
        is_prerelease=_is_true(annotations, _PRERELEASE),
        fixes_security=_is_true(annotations, _SECURITY) or any(note.kind == "security" for note in notes),
        notes=notes,
    )


def write_annotations(told: Told) -> dict[str, str]:
    """Annotations that say *told*, for what is handed on."""
    changes = [{"kind": note.kind, "description": note.text} for note in told.notes]
    return {
        **({_CHANGES: json.dumps(changes)} if changes else {}),
        **({_PRERELEASE: "true"} if told.is_prerelease else {}),
        **({_SECURITY: "true"} if told.fixes_security else {}),
    }


def plain_annotations(annotations: Mapping[str, str]) -> dict[str, str]:
    """The same in the form that is read fastest, for what is kept and read at every start."""
    return write_annotations(read_annotations(annotations)) if annotations else {}


def _is_true(annotations: Mapping[str, str], name: str) -> bool:
    return annotations.get(name, "").strip().lower() == "true"


def _notes(text: str) -> tuple[Note, ...]:
    """A list of sentences, or of mappings with a kind and a description."""
    notes = []
    for each in _listed(text)[:MOST_NOTES]:
        match each:
            case str():
                notes.append(Note("", _line(each)))
            case {"kind": str(kind), "description": str(said)}:
                notes.append(Note(kind.lower()[:20], _line(said)))
            case {"description": str(said)}:
                notes.append(Note("", _line(said)))
    return tuple(note for note in notes if note.text)


def _listed(text: str) -> list[Any]:
    if text.startswith("["):
        # As ``plain_annotations`` has written it, in a fraction of the time that YAML takes.
        with contextlib.suppress(msgspec.DecodeError, RecursionError):
            said = msgspec.json.decode(text)
            return said if isinstance(said, list) else []
    try:
        documents = read_documents(text.encode()) if text else []
    except Unreadable:
        return []
    return documents[0] if documents and isinstance(documents[0], list) else []


def _line(text: str) -> str:
    """One line without control characters, for terminals and pages."""
    printable = text if text.isprintable() else "".join(each if each.isprintable() else " " for each in text)
    plain = " ".join(printable.split())
    return plain if len(plain) <= _MOST_TEXT else plain[: _MOST_TEXT - 1] + "…"
