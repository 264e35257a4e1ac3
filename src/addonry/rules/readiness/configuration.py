"""What was given to a component, against what its next version understands."""

import re
from collections.abc import Mapping

from addonry.model.catalog import CatalogEntry, Offer
from addonry.model.readiness import Blocker, Facts
from addonry.rules.offers import covers


def values_are_valid(facts: Facts, target: Offer | None) -> Blocker | None:
    """The present values pass the new chart's schema."""
    if target is None or facts.values_errors is None:
        return None
    errors = facts.values_errors.get(target.version, ())
    if not errors:
        return None
    return Blocker(
        "ValuesInvalid",
        f"The present values do not fit the schema of {target.version}: {'; '.join(errors)}.",
        "Give corrected values with the upgrade (--set or --values).",
    )


LONGEST_LINE = 2000
"""Of a configuration, as far as a line is looked at."""


def held_settings(entry: CatalogEntry, config_map: str, texts: Mapping[str, str]) -> dict[str, str]:
    """Which patterns of the entry's obsolete settings the texts of one ConfigMap hold, and where."""
    held = {}
    for each in entry.obsolete:
        if each.config_map == config_map:
            pattern = re.compile(each.pattern)
            lines = enumerate(texts.get(each.key, "").splitlines(), 1)
            first = next((number for number, line in lines if pattern.search(line[:LONGEST_LINE])), None)
            if first is not None:
                held[each.pattern] = f"ConfigMap {config_map}, {each.key}, line {first}"
    return held


def settings_are_understood(facts: Facts, target: Offer | None) -> Blocker | None:
    """Its configuration holds nothing that the version no longer knows: it would not start with it."""
    held = facts.surroundings.obsolete.get(facts.name, {})
    if target is None or facts.entry is None or not held:
        return None
    dropped = [
        each
        for each in facts.entry.obsolete
        if each.pattern in held and covers(each.versions, target.version, target.app_version)
    ]
    if not dropped:
        return None
    return Blocker(
        "ObsoleteSetting",
        " ".join(each.message for each in dropped),
        " ".join(dict.fromkeys(each.remedy for each in dropped)),
        evidence=tuple(piece for each in dropped for piece in (held[each.pattern], each.evidence)),
    )
