"""Importers: what others publish of compatibility, as component files of ours.

To add a form, write a module with a function from a text to ``Finding`` values and name it in ``forms``. The lists say
what was tested, seldom what works, and are taken so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Count(StrEnum):
    """Which version number a form counts, as component files call it."""

    CHART = "versions"
    APP = "app_versions"


@dataclass(frozen=True, slots=True)
class Row:
    """Some versions of a component, and the Kubernetes versions that they go with: two constraints."""

    versions: str
    kubernetes: str
    is_tested: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """What a form says of one component."""

    name: str
    rows: tuple[Row, ...]
    count: Count
    evidence: str
    repository: str = ""
    chart: str = ""
    apis: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    """What could not be taken, and why, in sentences."""


def forms() -> Mapping[str, Callable[[bytes, str], list[Finding]]]:
    """The readers by the name of their form. Each takes a text and the file's name, and raises ``Unreadable``."""
    from addonry.catalogs.importers import eks, gonogo, plural

    return {"eks": eks.read, "plural": plural.read, "gonogo": gonogo.read}
