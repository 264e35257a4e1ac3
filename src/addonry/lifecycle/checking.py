"""Checks on request: what stands in the way of upgrading a component, or the cluster under all of them."""

from collections.abc import Mapping
from dataclasses import replace

from addonry.kube import Target
from addonry.lifecycle.crds import judge_crds, unsafe_changes
from addonry.lifecycle.facts import gather
from addonry.lifecycle.world import World
from addonry.model.checks import CheckItem, CheckOutcome, CheckType, ClusterCheck
from addonry.model.clusters import Cluster, Reach
from addonry.model.errors import ChartTrouble, ClusterTrouble, ComponentNotFound, HelmFailed, InvalidParameter
from addonry.model.ids import ClusterId, ComponentName, Version
from addonry.model.readiness import Facts, Readiness
from addonry.model.tasks import TaskKind
from addonry.rules.offers import find_offer, next_offer, version_of
from addonry.rules.readiness import assess_change, assess_cluster_upgrade
from addonry.rules.readiness.apis import requested_apis_will_stay
from addonry.rules.versions import minor_after, minor_of


async def run(world: World, cluster: ClusterId, kind: str, target: str, options: Mapping[str, str]) -> ClusterCheck:
    """See ``Lifecycle.run_check``."""
    known = await world.store.cluster(cluster)
    began = world.now()
    facts, _ = await gather(world, cluster)
    wanted = str(options.get("version", ""))
    match kind:
        case CheckType.ADDON_UPGRADE:
            entry = world.catalog.entry(target)
            each = facts.get(entry.name if entry else ComponentName(target))
            if each is None:
                raise ComponentNotFound(target) if target else InvalidParameter("target", "must name a component")
            version = Version(wanted) if wanted else None
            each = replace(
                each,
                missing_rights=await _missing_rights(world, each),
                unsafe_crds=await _unsafe_crds(world, each, version),
            )
            items = [_item(each, assess_change(each, version, TaskKind.UPGRADE))]
        case CheckType.CLUSTER_UPGRADE | CheckType.MASTER_UPGRADE:
            minor = minor_of(wanted) if wanted else minor_after(known.kubernetes)
            if not minor:
                raise InvalidParameter("options", f"version {wanted!r} is no Kubernetes version", remedy="Send 1.36.")
            installed = [each for each in facts.values() if each.component is not None]
            items = [_item(each, assess_cluster_upgrade(each, minor)) for each in installed]
            items += await _of_the_cluster(world, known, minor)
            target = minor
        case CheckType.NODE_POOL_UPGRADE | CheckType.CLUSTER_MIGRATE:
            raise InvalidParameter(
                "type",
                f"{kind} is about machines, which Addonry does not have",
                remedy=f"Ask for {CheckType.CLUSTER_UPGRADE} or {CheckType.ADDON_UPGRADE}.",
            )
        case _:
            raise InvalidParameter("type", f"must be one of {', '.join(CheckType)}")
    blocked = [item.component for item in items if not Readiness(item.findings, None).is_ready]
    outcome = CheckOutcome(
        began,
        world.now(),
        not blocked,
        f"blocked by {', '.join(blocked)}" if blocked else "task succeed",
        tuple(items),
    )
    check = ClusterCheck(world.ids.check(cluster), cluster, kind, target, outcome)
    await world.store.profiles.add_check(check)
    return check


async def _of_the_cluster(world: World, cluster: Cluster, minor: str) -> list[CheckItem]:
    """What stands in the way beside the components: asked of the cluster itself, and nothing where it does not answer."""
    if cluster.reach is not Reach.ANSWERS:
        return []
    live = await world.connections.get(cluster.id)
    try:
        requested = await live.requested_apis()
    except ClusterTrouble:
        return []
    finding = requested_apis_will_stay(requested, minor)
    return [CheckItem("kubernetes", cluster.kubernetes, (finding,) if finding else ())]


async def _missing_rights(world: World, facts: Facts) -> tuple[str, ...]:
    """Asked of the cluster itself, for no scan does; one that does not answer is told of by another check."""
    if facts.component is None or facts.cluster.reach is not Reach.ANSWERS:
        return ()
    live = await world.connections.get(facts.cluster.id)
    try:
        return await live.missing_rights(facts.component.found.placement)
    except ClusterTrouble:
        return ()


async def _unsafe_crds(world: World, facts: Facts, version: Version | None) -> tuple[str, ...]:
    """What the CRDs of the version asked about would break. Needs its chart; without it, the change finds out itself."""
    offer = find_offer(facts, version) if version else next_offer(facts)
    if facts.component is None or offer is None or facts.cluster.reach is not Reach.ANSWERS:
        return ()
    placement = facts.component.found.placement
    live = await world.connections.get(facts.cluster.id)
    try:
        target = Target(version_of(offer, facts.component, facts.entry), await world.catalog.fetch(offer))
        return unsafe_changes(await judge_crds(live, placement, target, of_templates=True))
    except (ClusterTrouble, ChartTrouble, HelmFailed):
        return ()


def _item(facts: Facts, readiness: Readiness) -> CheckItem:
    version = facts.component.version if facts.component else ""
    return CheckItem(facts.name, version, readiness.findings)
