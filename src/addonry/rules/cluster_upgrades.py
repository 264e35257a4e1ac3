"""What an upgrade of Kubernetes needs of the components: which go before, which after, and which are in the way.

A cluster goes up one minor at a time, so an upgrade over several is one leg after another, and each leg begins with what
the one before has left. A component moves only where it must, or where the catalog says on which side it does.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from addonry.model.catalog import When
from addonry.model.ids import ComponentName, Version
from addonry.model.readiness import Facts
from addonry.rules.offers import best_way, fits, fitting_offers, installed_misfits, version_of, way_to
from addonry.rules.paths import Way
from addonry.rules.planning import ordered


@dataclass(frozen=True, slots=True)
class Move:
    """One component that is upgraded on one side of a leg."""

    component: ComponentName
    from_version: Version
    hops: tuple[Version, ...]
    """Where to go, one after the other."""
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """One component that is in the way of a leg, and what to do about it."""

    component: ComponentName
    version: Version
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Leg:
    """One minor up."""

    from_kubernetes: str
    to_kubernetes: str
    before: tuple[Move, ...] = ()
    """In the order in which they are made."""
    after: tuple[Move, ...] = ()
    stops: tuple[Stop, ...] = ()
    unknown: tuple[ComponentName, ...] = ()
    """Of these nobody knows which Kubernetes they run on."""


def plan_cluster_upgrade(facts: Iterable[Facts], minors: Sequence[str]) -> tuple[Leg, ...]:
    """The legs of an upgrade to each of *minors* in turn, up to the first that something is in the way of.

    *facts* are those of the cluster as it runs now; what is not installed does not matter.
    """
    standing = {each.name: each for each in facts if each.component is not None}
    legs: list[Leg] = []
    for at, minor in enumerate(minors):
        beyond = minors[at + 1 :]
        before, after, stops, unknown = _sorted_out(standing, minor, beyond)
        leg = Leg(
            minors[at - 1] if at else next(iter(each.kubernetes for each in standing.values()), ""),
            minor,
            _told(standing, before),
            _told(standing, after),
            tuple(stops),
            tuple(unknown),
        )
        legs.append(leg)
        if stops:
            break
        standing = {name: _moved(each, before.get(name) or after.get(name), minor) for name, each in standing.items()}
    return tuple(legs)


_Chosen = dict[ComponentName, tuple[Way, str]]


def _sorted_out(
    standing: dict[ComponentName, Facts], minor: str, beyond: Sequence[str]
) -> tuple[_Chosen, _Chosen, list[Stop], list[ComponentName]]:
    before: _Chosen = {}
    after: _Chosen = {}
    stops: list[Stop] = []
    unknown: list[ComponentName] = []
    for name, facts in standing.items():
        if facts.entry is None and not facts.offers:
            unknown.append(name)
            continue
        needed = installed_misfits(facts, minor)
        side = facts.entry.cluster_upgrade if facts.entry else None
        if (needed or side is When.BEFORE) and (way := _way_across(facts, minor, beyond)):
            reason = f"the installed version needs Kubernetes {needed}" if needed else _rule(facts, side)
            before[name] = (way, reason)
        elif side is When.AFTER and (later := best_way(_on(facts, minor))):
            after[name] = (later, _rule(facts, side))
        elif needed:
            stops.append(_stop(facts, minor, needed))
    return before, after, stops, unknown


def _way_across(facts: Facts, minor: str, beyond: Sequence[str]) -> Way | None:
    """To a version that fits both the present Kubernetes and *minor*: one that lasts *beyond* before one that is newer."""
    across = [offer for offer in fitting_offers(facts) if fits(offer, minor, facts.entry)]
    lasting = [offer for offer in across if all(fits(offer, later, facts.entry) for later in beyond)]
    ways = (way_to(facts, offer) for offer in (*lasting, *across))
    return next((way for way in ways if way.hops), None)


def _rule(facts: Facts, side: When | None) -> str:
    evidence = facts.entry.cluster_upgrade_evidence if facts.entry else ""
    return f"goes {side} Kubernetes" + (f" ({evidence})" if evidence else "")


def _stop(facts: Facts, minor: str, needed: str) -> Stop:
    assert facts.component is not None, "what is not installed is in nobody's way"
    there = next((offer for offer in facts.offers if fits(offer, minor, facts.entry)), None)
    words = (
        f"{facts.name} {facts.component.version} needs Kubernetes {needed}, and no version that can be come to fits "
    )
    return Stop(
        facts.name,
        facts.component.version,
        f"{words}both {facts.kubernetes} and {minor}.",
        f"{version_of(there, facts.component, facts.entry)} fits {minor} only: remove the component before and install "
        "that after."
        if there
        else f"Stay below {minor}, or replace the component.",
    )


def _on(facts: Facts, kubernetes: str) -> Facts:
    return replace(facts, cluster=replace(facts.cluster, kubernetes=kubernetes))


def _told(standing: dict[ComponentName, Facts], chosen: _Chosen) -> tuple[Move, ...]:
    relations = {
        name: (*facts.entry.requires, *facts.entry.after) for name, facts in standing.items() if facts.entry is not None
    }
    return tuple(_move(standing[name], *chosen[name]) for name in ordered(tuple(chosen), relations))


def _move(facts: Facts, way: Way, reason: str) -> Move:
    assert facts.component is not None, "what is not installed does not move"
    hops = tuple(version_of(offer, facts.component, facts.entry) for offer in way.hops)
    return Move(facts.name, facts.component.version, hops, reason)


def _moved(facts: Facts, chosen: tuple[Way, str] | None, minor: str) -> Facts:
    """The same on the next Kubernetes, with what has been done to it."""
    there = _on(facts, minor)
    if chosen is None or there.component is None:
        return there
    offer = chosen[0].hops[-1]
    found = replace(
        there.component.found,
        version=version_of(offer, there.component, there.entry),
        app_version=offer.app_version,
    )
    return replace(there, component=replace(there.component, found=found))
