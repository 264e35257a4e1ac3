"""Register a cluster, and forget one."""

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import replace

from addonry.lifecycle.discover import Scanner
from addonry.lifecycle.world import World
from addonry.model.clusters import Cluster, Profile, Reach
from addonry.model.errors import ClusterProtected, ClusterTrouble, ClusterUnreachable, ComponentBusy, InvalidParameter
from addonry.model.ids import ClusterId, TaskId
from addonry.model.tasks import LIVE, Event, Status, Task, TaskKind

log = logging.getLogger(__name__)

NAME = re.compile(r"[0-9A-Za-z\u4e00-\u9fff][0-9A-Za-z\u4e00-\u9fff.-]{0,62}")
"""ack-api 06, section 1: 1 to 63 digits, letters, Chinese characters and hyphens, not beginning with one; and dots."""

ANSWER_SECONDS = 4.0
FIRST_SCAN_SECONDS = 4.0
"""Together below the 10 s after which the official SDKs give up reading (ack-gateway, 5.1)."""


async def register(
    world: World,
    scanner: Scanner,
    name: str,
    kubeconfig: str,
    *,
    region: str,
    by: str,
    profile: Profile | None = None,
) -> tuple[Cluster, TaskId]:
    """Check that the cluster answers, remember it and scan it; see ``Lifecycle.register_cluster``.

    A first scan that takes longer goes on by itself after the answer.
    """
    _check_name(name)
    live = world.connections.open_once(kubeconfig)
    try:
        probe = await asyncio.wait_for(live.probe(), ANSWER_SECONDS)
    except TimeoutError as error:
        raise ClusterUnreachable(f"The cluster did not answer within {ANSWER_SECONDS:.0f} s.") from error
    finally:
        await live.close()
    now = world.now()
    cluster = Cluster(
        id=world.ids.cluster(),
        name=name,
        region=region or world.region,
        server=probe.server,
        created_at=now,
        updated_at=now,
        kubernetes=probe.kubernetes,
        nodes=probe.nodes,
        reach=Reach.ANSWERS,
    )
    task = _ended(world, cluster.id, TaskKind.REGISTER, by=by)
    event = _event(task, "Succeeded", f"Registered cluster {name}")
    await world.store.add_cluster(cluster, kubeconfig, [event], record=task)
    set_first = replace(profile or Profile(), init_version=probe.kubernetes)
    await world.store.profiles.change(cluster.id, lambda _: set_first)
    try:
        await asyncio.wait_for(scanner.scan(cluster.id), FIRST_SCAN_SECONDS)
    except (TimeoutError, ClusterTrouble) as error:
        log.info("the first scan of %s is not complete yet: %s", cluster.id, error)
    return await world.store.cluster(cluster.id), task.id


async def modify(
    world: World, cluster: ClusterId, change: Callable[[Profile], Profile], *, name: str | None, by: str
) -> TaskId:
    """See ``Lifecycle.modify_cluster``."""
    known = await world.store.cluster(cluster)
    if name is not None and name != known.name:
        _check_name(name)
        await world.store.rename_cluster(cluster, name, world.now())
    await world.store.profiles.change(cluster, change)
    task = _ended(world, cluster, TaskKind.MODIFY, by=by)
    await world.store.record(task, [_event(task, "Succeeded", f"Changed the settings of cluster {name or known.name}")])
    return task.id


async def remove(world: World, cluster: ClusterId, *, by: str) -> TaskId:
    """Forget a cluster; what runs there stays. Raises ClusterNotFound, ComponentBusy while tasks run there."""
    known = await world.store.cluster(cluster)
    if (await world.store.profiles.profile(cluster)).deletion_protection:
        raise ClusterProtected(f"Cluster {known.name} is protected from deletion.")
    running, _ = await world.store.tasks(cluster, statuses=sorted(LIVE), limit=1)
    if running:
        raise ComponentBusy(f"cluster {known.name}", running[0].id)
    task = _ended(world, cluster, TaskKind.REMOVE, by=by)
    event = _event(task, "Succeeded", f"Forgot cluster {known.name}")
    await world.store.remove_cluster(cluster, [event], record=task)
    await world.connections.drop(cluster)
    return task.id


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidParameter(
            "name",
            "must have 1 to 63 letters, digits, hyphens and dots, and begin with a letter or digit",
            remedy="Choose such a name.",
        )


def _ended(world: World, cluster: ClusterId, kind: TaskKind, *, by: str) -> Task:
    now = world.now()
    return Task(
        id=world.ids.task(),
        cluster=cluster,
        kind=kind,
        changes=(),
        created_at=now,
        updated_at=now,
        status=Status.SUCCESS,
        finished_at=now,
        requested_by=by,
    )


def _event(task: Task, reason: str, message: str) -> Event:
    return Event(
        cluster=task.cluster,
        task=task.id,
        component=None,
        kind=task.kind,
        reason=reason,
        message=message,
        at=task.created_at,
    )
