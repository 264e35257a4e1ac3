"""Starts the controllers of one cluster and calls them when there is something to do.

Work is done in slices on the event loop, so that requests are answered in between.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from addonry.simulator.admission.webhooks import AnswerNeeded, Call, ask
from addonry.simulator.clock import Clock, Timer
from addonry.simulator.life.accounts import default_accounts, root_certificates
from addonry.simulator.life.apiservices import ApiServices, CustomApis
from addonry.simulator.life.autoscalers import Autoscalers
from addonry.simulator.life.crds import Definitions
from addonry.simulator.life.cronjobs import CronJobs
from addonry.simulator.life.daemonsets import DaemonSets
from addonry.simulator.life.deployments import Deployments
from addonry.simulator.life.disruptions import Disruptions
from addonry.simulator.life.endpoints import Endpoints
from addonry.simulator.life.garbage import Garbage
from addonry.simulator.life.jobs import Jobs
from addonry.simulator.life.namespaces import Namespaces
from addonry.simulator.life.nodes import Nodes
from addonry.simulator.life.pods import Pods
from addonry.simulator.life.quotas import Quotas
from addonry.simulator.life.replicasets import ReplicaSets
from addonry.simulator.life.roles import AggregatedRoles
from addonry.simulator.life.services import Services
from addonry.simulator.life.statefulsets import StatefulSets
from addonry.simulator.life.volumes import Claims
from addonry.simulator.life.world import Controller, World
from addonry.simulator.resources import Served
from addonry.simulator.storage import Change, ChangeType, ObjectKey, Store

# Reconciliations before other work of the loop gets its turn.
_SLICE: Final = 20

log = logging.getLogger(__name__)


class Life:
    """The running controllers of one cluster."""

    def __init__(self, store: Store, served: Served, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._queue: dict[tuple[int, ObjectKey], Controller] = {}
        self._timers: dict[tuple[int, ObjectKey], tuple[float, Timer]] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._asked: set[tuple[str, ...]] = set()
        self._scheduled = False
        self._stopped = False
        world = World(store, served, clock, wake=self._wake_later)
        self._world = world
        # The order matters only for the look of it: what depends on another's result comes after.
        self._controllers: tuple[Controller, ...] = (
            Definitions(world),
            Deployments(world),
            ReplicaSets(world),
            DaemonSets(world),
            StatefulSets(world),
            CronJobs(world),
            Jobs(world),
            Autoscalers(world),
            Claims(world),
            Nodes(world),
            Pods(world),
            Services(world),
            Endpoints(world),
            ApiServices(world),
            CustomApis(world),
            Quotas(world),
            AggregatedRoles(world),
            default_accounts(world),
            root_certificates(world),
            Disruptions(world),
            Garbage(world),
            Namespaces(world),
        )
        self._remembering = tuple(c for c in self._controllers if isinstance(c, Definitions | Garbage | CronJobs))
        self._schedulers = {id(c) for c in self._controllers if isinstance(c, CronJobs)}
        self._unsubscribe = store.subscribe(self._take)

    @property
    def is_idle(self) -> bool:
        """Whether nothing will happen by itself, but for what has a schedule."""
        return not self._queue and not self._asking and all(owner in self._schedulers for owner, _ in self._timers)

    def resume(self, *, settled: bool) -> None:
        """Get to know the objects of a snapshot, and look after those that may not be as they should.

        A settled snapshot needs no second look at every object, which makes thousands of copies affordable; only
        those controllers are told that remember something about objects at rest.
        """
        for record in list(self._store.everything()):
            change = Change(ChangeType.ADDED, record.version, record, None)
            self._world.note(change)
            for controller in self._remembering if settled else self._controllers:
                for key in controller.keys(change):
                    self._enqueue(controller, key)

    def stop(self) -> None:
        """No controller acts any more."""
        self._stopped = True
        self._unsubscribe()
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._queue.clear()

    def _take(self, change: Change) -> None:
        self._world.note(change)
        for controller in self._controllers:
            for key in controller.keys(change):
                self._enqueue(controller, key)

    def _enqueue(self, controller: Controller, key: ObjectKey) -> None:
        self._queue[id(controller), key] = controller
        if not self._scheduled and not self._stopped:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._work)

    def _work(self) -> None:
        for _ in range(min(_SLICE, len(self._queue))):
            task = next(iter(self._queue))
            controller = self._queue.pop(task)
            # Whoever still needs waking asks again each time; so what has come to rest leaves no timer behind.
            if known := self._timers.pop(task, None):
                known[1].cancel()
            try:
                controller.reconcile(task[1])
            except AnswerNeeded as needed:
                self._ask(controller, task[1], needed.call)
            except Exception:
                # One object that a controller cannot handle must not stop the others; tests fail on logged errors.
                log.exception("%s failed on %s", type(controller).__name__, task[1])
        if self._queue and not self._stopped:
            asyncio.get_running_loop().call_soon(self._work)
        else:
            self._scheduled = False

    def _ask(self, controller: Controller, key: ObjectKey, call: Call) -> None:
        """Call a webhook, then let the controller begin again with its answer."""
        if call.id in self._asked:
            return  # the answer is on its way, and will begin the work again

        async def asking() -> None:
            self._world.webhooks.answers[call.id] = await ask(call)
            self._asked.discard(call.id)
            if not self._stopped:
                self._enqueue(controller, key)

        self._asked.add(call.id)
        task = asyncio.get_running_loop().create_task(asking())
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    def _wake_later(self, controller: Controller, key: ObjectKey, seconds: float) -> None:
        task, due = (id(controller), key), self._clock.elapsed() + seconds
        known = self._timers.get(task)
        if known is not None:
            if known[0] <= due:
                return  # it will be asked sooner, and can ask again
            known[1].cancel()

        def ring() -> None:
            self._timers.pop(task, None)
            if not self._stopped:
                self._enqueue(controller, key)

        self._timers[task] = (due, self._clock.call_later(seconds, ring))


def start_life(store: Store, served: Served, clock: Clock) -> Life:
    """Begin to look after the objects of a cluster."""
    return Life(store, served, clock)
