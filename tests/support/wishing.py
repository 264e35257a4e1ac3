"""A working Addonry in the test's own process, and one cluster of it: to ask for things at chosen moments."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from addonry.kube.holding import HELD
from addonry.lifecycle import ConfigureRequest, InstallRequest, UpgradeRequest
from addonry.lifecycle.service import Service
from addonry.model.components import Health
from addonry.model.ids import ClusterId
from addonry.model.tasks import LIVE, Task
from addonry.simulator import SimulatedCluster
from tests.scenario.test_first_upgrade import get

PATIENCE = 30.0


@dataclass
class Wishing:
    """What a test asks of one cluster, and what it sees there."""

    service: Service
    cluster: ClusterId
    simulated: SimulatedCluster

    async def upgrade(self, name: str, version: str, **more: Any) -> Task:
        """Begin an upgrade."""
        return await self.service.upgrade(self.cluster, [UpgradeRequest(name, version, **more)], by="test")

    async def install(self, *names: str, **more: Any) -> Task:
        """Begin one task that installs all."""
        return await self.service.install(self.cluster, [InstallRequest(name, **more) for name in names], by="test")

    async def configure(self, name: str, values: dict[str, Any], **more: Any) -> Task:
        """Begin a change of values."""
        return await self.service.configure(self.cluster, [ConfigureRequest(name, values, **more)], by="test")

    async def uninstall(self, *names: str) -> Task:
        """Begin one task that uninstalls all."""
        return await self.service.uninstall(self.cluster, names, by="test")

    async def pause(self, task: Task) -> Task:
        """Ask for a pause."""
        return await self.service.pause(task.id, by="test")

    async def resume(self, task: Task) -> Task:
        """Ask to go on."""
        return await self.service.resume(task.id, by="test")

    async def cancel(self, task: Task) -> Task:
        """Ask to end it."""
        return await self.service.cancel(task.id, by="test")

    async def until(self, task: Task, come: Callable[[Task], object], what: str = "") -> Task:
        """The task once *come* is true of it; fails with what it was last."""
        async with asyncio.timeout(PATIENCE) as deadline:
            while True:
                now = (await self.service.task(task.id)).task
                if come(now):
                    return now
                left = (deadline.when() or 0) - asyncio.get_running_loop().time()
                assert left > 1, f"did not come: {what}; last seen: {now}"
                await asyncio.sleep(0.02)

    async def ended(self, task: Task) -> Task:
        """The task once it has ended."""
        return await self.until(task, lambda now: now.status not in LIVE, "the end")

    async def reasons(self, task: Task) -> list[str]:
        """The reasons of its events, in order."""
        return [event.reason for event in (await self.service.task(task.id)).events]

    async def settled(self, name: str) -> None:
        """Once a component that somebody has just changed is well again."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = {each.name: each for each in await self.service.scan(self.cluster)}[name]
                if found.component is not None and found.component.found.health is Health.CURRENT:
                    return
                await asyncio.sleep(0.05)

    def seen(self, path: str) -> dict[str, Any]:
        """An object of the cluster."""
        return get(self.simulated, path)

    def is_held(self, path: str) -> bool:
        """Whether a workload bears the mark of a hold."""
        return HELD in (self.seen(path)["metadata"].get("annotations") or {})
