"""Many tasks, several workers, and everything that can go wrong, by dice: what is left when the storm is over.

A service and two workers as processes on one PostgreSQL, simulated clusters that answer badly. While tasks are asked for,
paused, resumed and canceled, workers are killed and frozen, clusters vanish, and the database is restarted. Then all
becomes quiet, and the books are checked: each task has ended, each component runs what its last task says, nothing is
held, no change was made twice, and no two workers were at the same step of the same task.

The dice are the seed's; how the processes are scheduled is not, so a seed tells what was done, not what came of it.
"""

import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from alibabacloud_cs20151215 import models
from alibabacloud_tea_openapi.exceptions import ClientException

from addonry.engine.membership import LEASE_LOST
from addonry.kube.helm.releases import Release, newest_deployed, release_from_secret
from addonry.kube.holding import HELD
from addonry.model.components import ReleaseStatus
from addonry.simulator import SimulatedCluster, Simulator
from addonry.simulator.charts import ChartRepository, find_charts, pack
from addonry.simulator.cluster import LoggedRequest
from addonry.simulator.trouble import Chaos, Kind
from tests.scenario.test_first_upgrade import get, register
from tests.support.helm import helm
from tests.support.postgres import Postgres
from tests.support.recorder import deletions_among
from tests.support.sdk import sdk
from tests.support.service import Service

CLUSTERS: Final = 4
WORKERS: Final = 2
TIME_TO_LIVE: Final = 4.0
RATES: Final = {
    Kind.CONFLICT: 0.01,
    Kind.TOO_MANY: 0.02,
    Kind.ERROR: 0.01,
    Kind.UNAVAILABLE: 0.01,
    Kind.HUNG_UP: 0.01,
    Kind.CUT: 0.2,
    Kind.STALE: 0.02,
}
INSTALLED: Final = {
    "metrics-server": ("3.12.1", {"replicas": 2}),
    "node-problem-detector": ("2.3.13", {}),
}
NEWER: Final = {"metrics-server": ["3.13.0", "3.12.2"], "node-problem-detector": ["2.3.14", "2.3.15"]}
"""Of the last one the image cannot be pulled: that upgrade fails and goes back."""

ENDED: Final = {"success", "fail", "canceled"}


GOING: Final = frozenset({"install", "uninstall"})
"""What may delete a component's objects."""


@dataclass
class Report:
    """What was done, and what must be nothing."""

    seed: int
    tasks: int = 0
    done: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    unfinished: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    overlaps: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)

    @property
    def violations(self) -> list[str]:
        """Everything that broke a promise."""
        return [*self.unfinished, *self.wrong, *self.doubled, *self.overlaps, *self.deleted]

    def __str__(self) -> str:
        counts = ", ".join(f"{count} x {what}" for what, count in sorted(self.done.items()))
        ends = ", ".join(f"{count} {what}" for what, count in sorted(self.ends.items()))
        lines = [
            f"seed {self.seed}: {self.tasks} tasks ({ends})",
            f"  {counts}",
            (
                f"  lost {len(self.unfinished)}, wrong {len(self.wrong)}, doubled effects {len(self.doubled)}, "
                f"overlaps {len(self.overlaps)}, deletions {len(self.deleted)}"
            ),
        ]
        return "\n".join([*lines, *(f"  ! {each}" for each in self.violations)])


@dataclass
class Asked:
    """A task that was asked for."""

    id: str
    cluster: str
    component: str
    kind: str
    wanted: str
    before: str


@dataclass
class Worker:
    """A process that may be killed, frozen, or end by itself, and is then started again."""

    number: int
    folder: Path
    environment: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None
    frozen_until: float = 0.0

    def start(self) -> None:
        """Start it; it is ready when it is."""
        data = self.folder / f"worker-{self.number}"
        with (self.folder / f"worker-{self.number}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.journaling_service", "worker", "--data", str(data)],
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=self.environment,
                cwd=Path(__file__).parents[2],
            )

    def end(self) -> int:
        """Kill it, whatever state it is in."""
        assert self.process is not None
        self.process.kill()
        return self.process.wait(20)


class Storm:
    """One run. See the module."""

    def __init__(self, seed: int, folder: Path, postgres: Postgres, *, restarts: bool = True) -> None:
        self.report = Report(seed)
        self._dice = random.Random(seed)
        self._folder = folder
        self._postgres = postgres
        self._restarts = restarts
        self._asked: list[Asked] = []
        self._deletions: defaultdict[str, list[LoggedRequest]] = defaultdict(list)
        self._journal = folder / "journal"
        self._journal.touch()

    def run(self, seconds: float, *, tasks: int = 0) -> Report:
        """Blow for so long, and longer on a busy machine until so many tasks were taken; calm down, and count."""
        with self._world() as (simulator, client, workers):
            self._simulator, self._client, self._workers = simulator, client, workers
            self._register()
            until_calm = time.monotonic() + seconds
            for number, cluster in enumerate(simulator.clusters):
                # All of them: the cluster itself keeps only its latest requests.
                cluster.record(self._deletions[cluster.name].append)
                cluster.trouble.unleash(Chaos(self.report.seed + number, RATES, stall_seconds=1.0))
            while time.monotonic() < until_calm or self.report.tasks < tasks:
                self._blow()
                time.sleep(self._dice.uniform(0.05, 0.25))  # the weather's pace, not a wait for anything
            self._calm_down()
            self._check()
        return self.report

    @contextmanager
    def _world(self) -> Iterator[tuple[Simulator, Any, list[Worker]]]:
        charts = ChartRepository(pack(find_charts()))
        with self._postgres.fresh_database() as url, Simulator(clusters=1, charts=charts, speed=20.0) as simulator:
            self._furnish(simulator)
            environment = {
                "ADDONRY_DATABASE_URL": url,
                "ADDONRY_SECRET_KEY": "s" * 43,
                "ADDONRY_CHART_MIRROR": f"{simulator.url}/charts",
                "ADDONRY_STALL_SECONDS": "1",
                "ADDONRY_REQUEST_SECONDS": "2",
                "ADDONRY_SCAN_SECONDS": "2",
                "ADDONRY_BEAT_SECONDS": "0.5",
                "ADDONRY_WORKER_SECONDS": str(TIME_TO_LIVE),
                "ADDONRY_TEST_JOURNAL": str(self._journal),
                "NO_PROXY": "127.0.0.1",
            }
            # The one that is asked is left alive, and takes as few tasks as it can.
            asked = {**environment, "ADDONRY_CONCURRENCY": "1"}
            workers = [Worker(number, self._folder, environment) for number in range(WORKERS)]
            with Service(self._folder / "service", asked, module="tests.support.journaling_service") as service:
                for worker in workers:
                    worker.start()
                try:
                    yield simulator, sdk(service.host, service.root_key), workers
                finally:
                    for worker in workers:
                        worker.end()

    def _furnish(self, simulator: Simulator) -> None:
        first = simulator.cluster("sim-1")
        for name, (version, values) in INSTALLED.items():
            where = {"chart_repo_url": f"{simulator.url}/charts", "chart_version": version}
            helm(first.kubeconfig(), "install", name, name, values, **where, wait="watcher", timeout=30)
        snapshot = simulator.snapshot("sim-1")
        for number in range(2, CLUSTERS + 1):
            simulator.add(f"sim-{number}", snapshot=snapshot)

    def _register(self) -> None:
        self._ids = {
            register(self._client, cluster.kubeconfig(), cluster.name): cluster for cluster in self._simulator.clusters
        }

    # The weather

    def _blow(self) -> None:
        self._tend()
        deed = self._dice.choices(
            [self._ask, self._wish, self._kill, self._freeze, self._vanish, self._restart_database],
            [50, 25, 6, 3, 5, 1 if self._restarts else 0],
        )[0]
        # What is refused is refused; what the service cannot do while its database is away is asked for no more.
        with suppress(Exception):
            deed()

    def _tend(self) -> None:
        """Thaw who was frozen for long enough, start who has ended."""
        for worker in self._workers:
            assert worker.process is not None
            if worker.frozen_until and time.monotonic() > worker.frozen_until:
                worker.process.send_signal(signal.SIGCONT)
                worker.frozen_until = 0.0
            if (status := worker.process.poll()) is not None:
                self.report.done["ended by itself" if status == LEASE_LOST else f"status {status}"] += 1
                worker.start()

    def _ask(self) -> None:
        cluster_id = self._dice.choice(list(self._ids))
        component = self._dice.choice(list(INSTALLED))
        before = self._version(cluster_id, component)
        task_id, kind, wanted = self._change(cluster_id, component, before)
        if task_id:
            self._asked.append(Asked(task_id, cluster_id, component, kind, wanted, before))
            self.report.tasks += 1
            self.report.done[kind] += 1

    def _change(self, cluster_id: str, component: str, before: str) -> tuple[str, str, str]:
        if not before:
            version = INSTALLED[component][0]
            item = models.InstallClusterAddonsRequestBody(name=component, version=version)
            request = models.InstallClusterAddonsRequest(body=[item])
            return self._client.install_cluster_addons(cluster_id, request).body.task_id, "install", version
        kind = self._dice.choices(["upgrade", "canary", "configure", "uninstall"], [4, 2, 4, 1])[0]
        if kind == "uninstall":
            gone = models.UnInstallClusterAddonsRequestAddons(name=component)
            request = models.UnInstallClusterAddonsRequest(addons=[gone])
            return self._client.un_install_cluster_addons(cluster_id, request).body.task_id, kind, ""
        if kind == "configure":
            config = f'{{"podAnnotations": {{"storm": "{self._dice.randrange(1000)}"}}}}'
            self._client.modify_cluster_addon(cluster_id, component, models.ModifyClusterAddonRequest(config=config))
            listed = self._client.describe_cluster_tasks(cluster_id, models.DescribeClusterTasksRequest(page_size=1))
            return listed.body.tasks[0].task_id, kind, before
        version = self._dice.choice(NEWER[component])
        item = models.UpgradeClusterAddonsRequestBody(component_name=component, next_version=version)
        item.policy = "canary" if kind == "canary" else None
        request = models.UpgradeClusterAddonsRequest(body=[item])
        return self._client.upgrade_cluster_addons(cluster_id, request).body.task_id, kind, version

    def _wish(self) -> None:
        if self._asked:
            word = self._dice.choice(["pause", "resume", "resume", "cancel"])
            asked = self._dice.choice(self._asked[-8:])
            getattr(self._client, f"{word}_task")(asked.id)
            self.report.done[word] += 1

    def _kill(self) -> None:
        worker = self._dice.choice(self._workers)
        worker.end()
        worker.frozen_until = 0.0
        self.report.done["kill -9"] += 1
        worker.start()

    def _freeze(self) -> None:
        worker = self._dice.choice(self._workers)
        assert worker.process is not None
        if not worker.frozen_until and not any(each.frozen_until for each in self._workers):
            worker.process.send_signal(signal.SIGSTOP)
            worker.frozen_until = time.monotonic() + TIME_TO_LIVE * self._dice.choice([0.3, 1.6])
            self.report.done["freeze"] += 1

    def _vanish(self) -> None:
        cluster = self._dice.choice(self._simulator.clusters)
        seed = self.report.seed + self._dice.randrange(1000)
        if self._dice.random() < 0.5:
            cluster.trouble.refuse()
        else:
            cluster.trouble.hang()
        self.report.done["cluster away"] += 1
        time.sleep(self._dice.uniform(0.2, 1.0))  # how long it is away
        cluster.trouble.recover()
        cluster.trouble.unleash(Chaos(seed, RATES, stall_seconds=1.0))

    def _restart_database(self) -> None:
        self._postgres.restart()
        self.report.done["database restart"] += 1

    # Afterwards

    def _calm_down(self) -> None:
        for cluster in self._simulator.clusters:
            for kind, count in cluster.trouble.befallen.items():
                self.report.done[f"answer {kind}"] += count
            cluster.trouble.recover()
        for worker in self._workers:
            worker.frozen_until = worker.frozen_until and 1.0
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            self._tend()
            states = {asked.id: self._client.describe_task_info(asked.id).body.state for asked in self._asked}
            for task_id, state in states.items():
                if state == "paused":
                    with suppress(ClientException):
                        self._client.resume_task(task_id)
            if set(states.values()) <= ENDED:
                break
            time.sleep(0.1)  # the tasks' own pace; the deadline is what decides
        self.report.ends = Counter(states.values()) if self._asked else Counter()
        self.report.unfinished = [f"{task_id} is {state}" for task_id, state in states.items() if state not in ENDED]

    def _check(self) -> None:
        for cluster_id, cluster in self._ids.items():
            for component in INSTALLED:
                self._check_component(cluster_id, cluster, component)
            # A first install that fails is taken back, so what was installed anew may go as well.
            asked = {each.component for each in self._asked if each.cluster == cluster_id and each.kind in GOING}
            self.report.deleted += deletions_among(self._deletions[cluster.name], asked=asked)
        self._check_journal()

    def _check_component(self, cluster_id: str, cluster: Any, component: str) -> None:
        tasks = [each for each in self._asked if (each.cluster, each.component) == (cluster_id, component)]
        expected = INSTALLED[component][0]
        for asked in tasks:
            task = self._client.describe_task_info(asked.id).body
            if task.state == "success":
                expected = asked.wanted
            if task.error and task.error.code == "RollbackFailed":
                self.report.wrong.append(f"{asked.id} {asked.kind} of {component}: {task.error.message}")
        history = _history(cluster, component)
        # When the write that makes the old revision superseded fails, Helm leaves two deployed, and goes by the newer.
        deployed = newest_deployed(history)
        running = deployed.chart_version if deployed else ""
        if running != expected:
            told = [self._told(each) for each in tasks]
            self.report.wrong.append(
                f"{component} of {cluster.name} runs {running!r}, its tasks say {expected!r}: {told}"
            )
        lived = {ReleaseStatus.DEPLOYED, ReleaseStatus.SUPERSEDED}
        done = Counter(each.description for each in history if each.status in lived)
        self.report.doubled += [
            f"{component} of {cluster.name}: {count} revisions of {what!r}"
            for what, count in done.items()
            if count > 1 and what.startswith("Addonry task")
        ]
        for plural in ("deployments", "daemonsets"):
            for item in get(cluster, f"/apis/apps/v1/namespaces/kube-system/{plural}")["items"]:
                if HELD in (item["metadata"].get("annotations") or {}):
                    self.report.wrong.append(f"{item['metadata']['name']} of {cluster.name} is still held")

    def _told(self, asked: Asked) -> str:
        task = self._client.describe_task_info(asked.id).body
        stages = [f"{each.outputs['name']}:{each.state}" for each in task.stages[-4:]]
        return f"{asked.id} {asked.kind} to {asked.wanted} {task.state} {stages} {task.error.message}"

    def _check_journal(self) -> None:
        """Whoever writes for a task after another process has begun one of its steps works beside that other."""
        at_work: dict[str, str] = {}
        for line in self._journal.read_text().splitlines():
            process, task, _, step, what = line.split()
            if what == "begin":
                at_work[task] = process
            elif at_work.get(task) != process:
                self.report.overlaps.append(f"{task} {step}: {process} wrote after {at_work.get(task)} had begun")
            else:
                self.report.done["write"] += 1

    def _version(self, cluster_id: str, component: str) -> str:
        request = models.DescribeClusterAddonsUpgradeStatusRequest(component_ids=[component])
        told = self._client.describe_cluster_addons_upgrade_status(cluster_id, request).body[component]
        return str(told["addon_info"]["version"])


def _history(cluster: SimulatedCluster, component: str) -> list[Release]:
    """Every stored revision of a release."""
    secrets = get(cluster, f"/api/v1/namespaces/kube-system/secrets?labelSelector=name={component},owner=helm")
    return [release_from_secret(each) for each in secrets["items"]]
