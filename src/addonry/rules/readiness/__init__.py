"""Can a component be changed now, and if not, why not and what to do about it.

All checks are asked, so that a caller sees every obstacle at once. They live beside this file, by topic. To add one,
write a function that takes the facts and the target and returns a Blocker or None, name it in CHECKS, and give its id
a row in ``docs/reference/checks.md``, and a failing and a passing case in ``tests/rules/test_checks.py``.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from addonry.model.catalog import Offer
from addonry.model.ids import Version
from addonry.model.readiness import Blocker, Facts, Readiness
from addonry.model.tasks import TaskKind
from addonry.rules.offers import find_offer, next_offer
from addonry.rules.readiness.apis import (
    apis_are_served,
    crds_stay_safe,
    fits_next_kubernetes,
    release_apis_are_there,
    release_apis_will_stay,
)
from addonry.rules.readiness.cluster import (
    certificates_hold,
    credentials_hold,
    every_node_is_ready,
    everything_was_seen,
    foreign_apis_answer,
    is_reachable,
    kubelets_fit,
    kubelets_will_fit,
    own_api_answers,
    pods_have_slots,
    some_node_is_ready,
    webhooks_answer,
    webhooks_may_answer,
)
from addonry.rules.readiness.component import (
    has_a_way_back,
    is_a_release,
    is_installed,
    is_not_installed,
    may_be_changed,
    no_task_running,
    release_is_not_stuck,
    was_made_by_hand,
    workloads_are_healthy,
)
from addonry.rules.readiness.configuration import settings_are_understood, values_are_valid
from addonry.rules.readiness.lifetime import (
    carries_no_lesser_risk,
    carries_no_risk,
    is_in_its_window,
    is_in_its_wished_window,
    is_maintained,
)
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
    has_versions,
    is_known,
    is_newer_version,
    is_offered,
    outlives_upgrade,
    skips_no_version,
    way_is_open,
)
from addonry.rules.readiness.waiving import with_waivers
from addonry.rules.readiness.workloads import (
    balancers_have_addresses,
    budgets_allow_a_drain,
    fields_are_its_own,
    has_room_to_surge,
    is_not_scaled,
    is_probed,
    outlives_a_drain,
    stays_up,
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
    return with_waivers((blocker for blocker in found if blocker is not None), facts)


ASKED: Final[tuple[Check, ...]] = (is_offered, fits_kubernetes)
"""Asked of a version somebody wants."""

OURS: Final[tuple[Check, ...]] = (release_is_where_helm_looks, has_one_owner, is_managed_here)
"""Asked of whatever is installed: is it ours to change."""

ANY_CHANGE: Final[tuple[Check, ...]] = (
    is_reachable,
    no_task_running,
    release_is_not_stuck,
    some_node_is_ready,
    pods_have_slots,
    webhooks_answer,
    is_in_its_window,
    may_be_changed,
)
"""What no change gets around, whatever it is."""

CHECKS: Final[tuple[Check, ...]] = (
    *ANY_CHANGE,
    *OURS,
    workloads_are_healthy,
    own_api_answers,
    apis_are_served,
    crds_stay_safe,
    release_apis_are_there,
    values_are_valid,
    settings_are_understood,
    carries_no_risk,
    explain_no_target,
    way_is_open,
    carries_no_lesser_risk,
    is_maintained,
    release_apis_will_stay,
    fits_next_kubernetes,
    has_a_way_back,
    fields_are_its_own,
    is_not_scaled,
    has_room_to_surge,
    stays_up,
    is_probed,
    balancers_have_addresses,
    is_known,
    has_versions,
    catalog_is_fresh,
    was_tested,
    has_no_known_holes,
    breaks_nothing,
    version_is_known,
    is_at_rest,
    was_made_by_hand,
    webhooks_may_answer,
    every_node_is_ready,
    kubelets_fit,
    foreign_apis_answer,
    certificates_hold,
    credentials_hold,
    is_in_its_wished_window,
    everything_was_seen,
)
"""Asked always, in the order in which they are told: what blocks, what to know of the component, and of the cluster."""

CLUSTER_UPGRADE: Final[tuple[Check, ...]] = (
    outlives_upgrade,
    is_reachable,
    no_task_running,
    workloads_are_healthy,
    budgets_allow_a_drain,
    kubelets_will_fit,
    release_apis_are_there,
    webhooks_answer,
    outlives_a_drain,
    is_maintained,
    webhooks_may_answer,
    every_node_is_ready,
    foreign_apis_answer,
    certificates_hold,
    everything_was_seen,
)
"""Asked of what stays while the cluster under it is upgraded and every node is drained."""

FOR: Final[Mapping[TaskKind, tuple[Check, ...]]] = {
    TaskKind.INSTALL: (is_not_installed, has_what_it_requires, *ASKED, *CHECKS),
    TaskKind.UPGRADE: (is_installed, is_newer_version, skips_no_version, *ASKED, *CHECKS),
    # Other values may be what mends it, so neither its health nor its present values are in the way.
    TaskKind.CONFIGURE: (is_installed, is_a_release, *ASKED, *ANY_CHANGE, *OURS),
    TaskKind.UNINSTALL: (
        is_installed,
        is_a_release,
        is_not_required,
        is_reachable,
        no_task_running,
        is_in_its_window,
        may_be_changed,
        *OURS,
    ),
}
"""Asked of a change of each kind, in the order in which they are told."""
