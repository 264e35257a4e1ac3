"""What was given to a component, against what its next version understands."""

from addonry.model.catalog import Offer
from addonry.model.readiness import Blocker, Facts


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
