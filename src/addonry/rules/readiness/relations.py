"""What a component needs of the others, and the others of it."""

from addonry.model.catalog import Offer
from addonry.model.readiness import Blocker, Facts


def has_what_it_requires(facts: Facts, _target: Offer | None) -> Blocker | None:
    """What the component needs is there, or comes with the same task."""
    if not facts.lacking:
        return None
    return Blocker(
        "Requires",
        f"{facts.name} requires {', '.join(facts.lacking)}, which {facts.cluster.name} does not have.",
        f"Install it with it: addonry install {facts.cluster.name} {' '.join(facts.lacking)} {facts.name}",
    )


def is_not_required(facts: Facts, _target: Offer | None) -> Blocker | None:
    """Nothing else on the cluster needs it, and the cluster works without it."""
    if facts.entry is not None and facts.entry.required:
        return Blocker(
            "Required",
            f"A cluster does not work without {facts.name}.",
            "Leave it installed; another version or other values can be had with upgrade and configure.",
        )
    if facts.required_by:
        return Blocker(
            "RequiredBy",
            f"{facts.name} is required by {', '.join(facts.required_by)}.",
            f"Uninstall what requires it as well: addonry uninstall {facts.cluster.name} "
            f"{' '.join(facts.required_by)} {facts.name}",
        )
    return None
