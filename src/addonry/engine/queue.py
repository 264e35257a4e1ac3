"""The durable queue: DBOS Transact, through a narrow waist.

DBOS hands out runs of tasks and knows nothing else of them: no DBOS steps, events, cancel or resume, because its own
let a step run twice and its progress would be stored a second time (docs/decisions/0001-engine.md). Its tables may
be thrown away at any time; ``worker.reconcile`` rebuilds them from the task rows. All calls to it are in this module:
``migrate``, ``launch``, ``workflow``, ``destroy``, and the client's ``register_queue``, ``enqueue_in_transaction``,
``list_workflows``,
``cancel_workflows`` and ``delete_workflows`` (https://docs.dbos.dev/python/reference/client).
"""

import asyncio
import contextlib
import logging
import random
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from dbos import DBOS, DBOSClient, DBOSConfig, WorkflowSerializationFormat

from addonry.engine import EngineSettings, Steps, TaskLog
from addonry.engine.membership import SHARE_OF_LIFE, Lease, Membership, Roll
from addonry.engine.runner import LONGEST_PAUSE, Clockwork, Limits, drive
from addonry.engine.wishes import Ear, Watch
from addonry.engine.worker import Lanes, executor_id, hand_out, reconcile, run_id
from addonry.model.errors import AddonryError, StoreUnavailable
from addonry.model.ids import TaskId

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = logging.getLogger(__name__)

APPLICATION: Final = "addonry"
QUEUE: Final = "upgrades"
WORKFLOW: Final = "task"
APPLICATION_VERSION: Final = "1"
"""Constant: DBOS hands a run only to the version it was enqueued for, and ours outlive releases (their plan is in the
row). By default it is a hash of the sources, and every release would strand its tasks."""

RECONCILE_SECONDS: Final = 30.0
RETENTION: Final = timedelta(hours=1)
STOP_SECONDS: Final = 0.4
_LIVE: Final = ["ENQUEUED", "PENDING", "DELAYED"]
_ENDED: Final = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]


def real_clock() -> Clockwork:
    """Time as it passes."""
    dice = random.Random()  # noqa: S311 - jitter only
    return Clockwork(now=lambda: datetime.now(UTC), elapsed=time.monotonic, sleep=asyncio.sleep, dice=dice.random)


class DbosEngine:
    """See ``engine.Engine``. One per process: DBOS itself is one per process."""

    def __init__(
        self,
        settings: EngineSettings,
        *,
        clock: Clockwork | None = None,
        roll: Roll | None = None,
        lease: Lease | None = None,
    ) -> None:
        self._settings = settings
        self._worker = executor_id(settings.database_url)
        self._membership: Membership | None = None
        if roll is not None:
            pulse = settings.pulse
            lease = lease or Lease(pulse.time_to_live * SHARE_OF_LIFE)
            self._membership = Membership(roll, self._worker, pulse=pulse, lease=lease)
        self._limits = Limits(step_seconds=settings.step_seconds, crash_limit=settings.crash_limit)
        self._clock = clock or real_clock()
        self._lanes = Lanes(settings.lanes)
        self._client: DBOSClient | None = None
        self._running: set[asyncio.Task[object]] = set()
        self._watch: Watch | None = None
        self._beside: list[asyncio.Task[None]] = []
        self._stopping = False

    def enqueue(self, connection: "Connection", task: TaskId, *, run: int, cluster: str) -> None:
        """See ``engine.Engine``. Before ``start`` there is no queue yet: start finds the task by its row."""
        if self._client is None:
            return
        lane = self._lanes.take(cluster)
        self._client.enqueue_in_transaction(
            connection,
            {
                "workflow_name": WORKFLOW,
                "queue_name": QUEUE,
                "workflow_id": run_id(task, run),
                "queue_partition_key": lane,
                "app_version": APPLICATION_VERSION,
                # JSON; by default DBOS writes pickles.
                "serialization_type": WorkflowSerializationFormat.PORTABLE,
            },
            task,
            run,
            lane,
        )

    async def start(self, log: TaskLog, steps: Steps) -> None:
        """See ``engine.Engine``."""
        try:
            _quiet()
            if self._membership is not None:
                await self._membership.enter()
            self._client = await asyncio.to_thread(self._open_queue)
            self._watch = Watch(log, self._clock.sleep)
            self._launch(log, steps, self._watch)
        except BaseException:
            await self.stop()
            raise
        # Beside the work: handing out ten thousand tasks anew takes seconds, and what the queue knows need not wait.
        self._beside = [
            asyncio.create_task(self._keep_house(log), name="engine housekeeping"),
            asyncio.create_task(self._watch.look_forever(), name="engine wishes"),
        ]
        if (member := self._membership) is not None:
            self._beside += [
                asyncio.create_task(member.beat_forever(), name="engine heartbeat"),
                asyncio.create_task(
                    member.reap_forever(self._held, partial(self._hand_out, log)), name="engine reaper"
                ),
            ]

    async def stop(self) -> None:
        """See ``engine.Engine``."""
        self._stopping = True
        # It would warn of each run that is canceled here on purpose.
        logging.getLogger("dbos").setLevel(logging.ERROR)
        client, self._client = self._client, None
        ending = [*self._running, *self._beside]
        for each in ending:
            each.cancel()
        if ending:
            await asyncio.wait(ending, timeout=STOP_SECONDS)
        if client is not None:
            await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
            await asyncio.to_thread(client.destroy)
        if self._membership is not None:
            # Only now: nothing of what was begun here goes on.
            await self._membership.leave()

    def _open_queue(self) -> DBOSClient:
        url = self._settings.database_url
        DBOS.migrate(url)
        client = DBOSClient(system_database_url=url, application_name=APPLICATION)
        # Through the client and before the launch: the launched engine looks for new queues only once a second.
        client.register_queue(
            QUEUE,
            partition_concurrency=1,
            worker_concurrency=self._settings.concurrency,
            polling_interval_sec=self._settings.poll_seconds,
        )
        return client

    def _launch(self, log: TaskLog, steps: Steps, watch: Watch) -> None:
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": self._settings.database_url,
            "application_version": APPLICATION_VERSION,
            "executor_id": self._worker,
            "log_level": "WARNING",
            "run_migrations": False,
            "sys_db_pool_size": 5,
            # A process that stands still must not keep what others wait for (see ``store.connections``).
            "sys_db_idle_transaction_timeout_sec": 5.0,
            # Woken a hundred times a second by default, for notifications that are not used here.
            "notification_coalesce_sec": 1.0,
            # Also the time that stopping takes on SQLite.
            "notification_listener_polling_interval_sec": STOP_SECONDS,
            "scheduler_polling_interval_sec": 3600.0,
        }
        DBOS(config=config)

        # Crashes are counted in the task's row, where they lead to a decision.
        @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)
        async def task(task_id: str, run: int, lane: str) -> None:
            with watch.ear(TaskId(task_id)) as ear:
                await self._carry_out(TaskId(task_id), run, lane, log, steps, ear)

        # Within the running loop, so that DBOS runs workflows on it and steps share its connections.
        DBOS.launch()

    async def _carry_out(
        self, task: TaskId, run: int, lane: str, log_of_tasks: TaskLog, steps: Steps, ear: Ear
    ) -> None:
        """One run as DBOS hands it out. Canceled, it stays pending there, and the next start hands it out again."""
        if self._stopping:
            raise asyncio.CancelledError
        mine = asyncio.current_task()
        assert mine is not None, "DBOS runs a workflow as a task of the loop"
        self._running.add(mine)
        claim = uuid.uuid4().hex
        try:
            await self._drive(task, run, claim, log_of_tasks, steps, ear)
            self._lanes.give_back(lane)
        except asyncio.CancelledError:
            with contextlib.suppress(AddonryError):
                await log_of_tasks.release(task, claim=claim)
            raise
        finally:
            self._running.discard(mine)

    async def _drive(self, task: TaskId, run: int, claim: str, log_of_tasks: TaskLog, steps: Steps, ear: Ear) -> None:
        pause = 0.5
        while True:
            try:
                await drive(
                    task,
                    run=run,
                    claim=claim,
                    log=log_of_tasks,
                    steps=steps,
                    limits=self._limits,
                    clock=self._clock,
                    ear=ear,
                )
            except StoreUnavailable as error:
                # A full disk or a restarting server: the task keeps its place and its claim.
                log.warning("task %s waits for the database: %s", task, error.message)
                await self._clock.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)
            else:
                return

    async def _keep_house(self, log_of_tasks: TaskLog) -> None:
        """At the start, and now and then: no task forgotten, no finished run kept for ever."""
        cleaned = float("-inf")
        while True:
            try:
                await self._reconcile(log_of_tasks)
                if self._clock.elapsed() - cleaned >= RETENTION.total_seconds():
                    await asyncio.to_thread(self._forget_finished)
                    cleaned = self._clock.elapsed()
            except Exception:
                log.exception("the engine's housekeeping failed; it is tried again")
            await self._clock.sleep(RECONCILE_SECONDS)

    async def _reconcile(self, log_of_tasks: TaskLog) -> None:
        await reconcile(log_of_tasks, self._live_runs, self._enqueue_again)

    def _enqueue_again(self, connection: "Connection", task: TaskId, run: int, cluster: str) -> None:
        self.enqueue(connection, task, run=run, cluster=cluster)

    async def _live_runs(self) -> frozenset[str]:
        client = self._client
        assert client is not None, "asked between start and stop"
        found = await asyncio.to_thread(
            client.list_workflows, status=_LIVE, queue_name=QUEUE, load_input=False, load_output=False
        )
        self._lanes.reset(each.queue_partition_key or "" for each in found)
        return frozenset(each.workflow_id for each in found)

    def _held(self) -> dict[str, list[str]]:
        """The runs that workers have taken and not ended, by worker."""
        client = self._client
        found: dict[str, list[str]] = {}
        if client is not None:
            for each in client.list_workflows(status="PENDING", queue_name=QUEUE, load_input=False, load_output=False):
                found.setdefault(each.executor_id or "", []).append(each.workflow_id)
        return found

    async def _hand_out(self, log_of_tasks: TaskLog, runs: Sequence[str]) -> None:
        """See ``membership.HandOut``. By the number of the run in the task's row, not by the queue's own resume: that
        would let a process that stood still meanwhile hand a run out from under the worker that has it now.
        """
        dead = frozenset(runs)
        lost = [each for each in await log_of_tasks.unfinished() if run_id(each[0], each[1]) in dead]
        await hand_out(log_of_tasks, lost, self._enqueue_again)
        if (client := self._client) is not None:
            # They free their lanes. Only now: one that is still held is found again, should this process die here.
            await asyncio.to_thread(client.cancel_workflows, list(runs))

    def _forget_finished(self) -> None:
        client = self._client
        if client is None:
            return
        before = (self._clock.now() - RETENTION).isoformat()
        while found := client.list_workflows(
            status=_ENDED, completed_before=before, limit=500, load_input=False, load_output=False
        ):
            client.delete_workflows([each.workflow_id for each in found])


def _quiet() -> None:
    """DBOS's warnings go where all others go; its greetings, one with its maker's address, nowhere."""
    logger = logging.getLogger("dbos")
    logger.setLevel(logging.WARNING)
    # With a handler present it adds none of its own for standard error.
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.propagate = True
