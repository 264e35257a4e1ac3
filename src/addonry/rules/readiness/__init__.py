"""Can a component be changed now, and if not, why not and what to do about it.

All checks are asked, so that a caller sees every obstacle at once. They live beside this file, by topic. To add one,
write a function that takes the facts and the target and returns a Blocker or None, name it in CHECKS, and give its id
a row in ``docs/reference/checks.md``.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from addonry.model.catalog import Offer
from addonry.model.ids import Version
from addonry.model.readiness import Blocker, Facts, Readiness
from addonry.model.tasks import TaskKind
from addonry.rules.offers import find_offer, next_offer
from addonry.rules.readiness.cluster import is_reachable
from addonry.rules.readiness.component import (
    is_a_release,
    is_installed,
    is_not_installed,
    no_task_running,
    release_is_not_stuck,
    was_made_by_hand,
    workloads_are_healthy,
)
from addonry.rules.readiness.configuration import values_are_valid
from addonry.rules.readiness.ownership import (
    has_one_owner,
    is_at_rest,
    is_managed_here,
    release_is_where_helm_looks,
    version_is_known,
)
from addonry.rules.readiness.publishers import breaks_nothing, has_no_known_holes, was_tested
from addonry.rules.readiness.relations import has_what_it_requires, is_not_required
from addonry.rules.readiness.versions import (
    catalog_is_fresh,
    explain_no_target,
    fits_kubernetes,
    is_known,
    is_newer_version,
    is_offered,
    outlives_upgrade,
    skips_no_version,
    way_is_open,
)

Check = Callable[[Facts, Offer | None], Blocker | None]


def assess(facts: Facts) -> Readiness:
    """Weigh the component's next change: the upgrade to the newest version that fits, or its installation.

    Being up to date is no obstacle: such a component is ready and has no target. Looks nothing up and reserves
    nothing: the cluster may change between this answer and the upgrade, so the preflight step asks again.
    """
    target = next_offer(facts)
    return Readiness(_ask(CHECKS, facts, target), target)


def assess_change(facts: Facts, version: Version | None, kind: TaskKind) -> Readiness:
    """Weigh one change that was asked for: to *version*, or to the newest that fits when it is None.

    Beside the checks of ``assess``, those of the kind of change are asked. The target of an uninstall is None.
    """
    if kind is TaskKind.UNINSTALL:
        target = None
    else:
        target = next_offer(facts) if version is None else find_offer(facts, version)
    return Readiness(_ask(FOR[kind], facts, target), target)


def assess_cluster_upgrade(facts: Facts, kubernetes: str) -> Readiness:
    """Weigh what an upgrade of the cluster to *kubernetes* means for a component that stays as it is.

    The target is the version to go to before, when one is needed.
    """
    there = replace(facts, cluster=replace(facts.cluster, kubernetes=kubernetes))
    needed = next_offer(there) if outlives_upgrade(there, None) else None
    return Readiness(_ask(CLUSTER_UPGRADE, there, needed), needed)


def _ask(checks: tuple[Check, ...], facts: Facts, target: Offer | None) -> tuple[Blocker, ...]:
    found = (check(facts, target) for check in checks)
    return tuple(blocker for blocker in found if blocker is not None)


ASKED: Final[tuple[Check, ...]] = (is_offered, fits_kubernetes)
"""Asked of a version somebody wants."""

OURS: Final[tuple[Check, ...]] = (release_is_where_helm_looks, has_one_owner, is_managed_here)
"""Asked of whatever is installed: is it ours to change."""

CHECKS: Final[tuple[Check, ...]] = (
    is_reachable,
    no_task_running,
    release_is_not_stuck,
    *OURS,
    workloads_are_healthy,
    values_are_valid,
    explain_no_target,
    way_is_open,
    is_known,
    catalog_is_fresh,
    was_tested,
    has_no_known_holes,
    breaks_nothing,
    version_is_known,
    is_at_rest,
    was_made_by_hand,
)
"""Asked always, in the order in which they are told."""

CLUSTER_UPGRADE: Final[tuple[Check, ...]] = (outlives_upgrade, is_reachable, no_task_running, workloads_are_healthy)
"""Asked of what stays while the cluster under it is upgraded."""

FOR: Final[Mapping[TaskKind, tuple[Check, ...]]] = {
    TaskKind.INSTALL: (is_not_installed, has_what_it_requires, *ASKED, *CHECKS),
    TaskKind.UPGRADE: (is_installed, is_newer_version, skips_no_version, *ASKED, *CHECKS),
    # Other values may be what mends it, so neither its health nor its present values are in the way.
    TaskKind.CONFIGURE: (
        is_installed,
        is_a_release,
        *ASKED,
        is_reachable,
        no_task_running,
        release_is_not_stuck,
        *OURS,
    ),
    TaskKind.UNINSTALL: (is_installed, is_a_release, is_not_required, is_reachable, no_task_running, *OURS),
}
"""Asked of a change of each kind, in the order in which they are told."""
