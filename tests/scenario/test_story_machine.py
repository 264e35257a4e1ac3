"""Any story a component can have: changes and wishes in any order, and what the cluster shows must be what the tasks say.

Hypothesis tells the stories, one cluster each; one Addonry in this process lives through all of them. What is installed
is never asked of Addonry but read from the cluster: Helm's stored revisions, and the workload itself.
"""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from addonry.app import App, open_app
from addonry.kube.helm.releases import newest_deployed, release_from_secret
from addonry.lifecycle import ConfigureRequest, InstallRequest, UpgradeRequest
from addonry.model.errors import (
    AlreadyInstalled,
    ComponentBusy,
    ComponentNotFound,
    IllegalMove,
    UpgradeNotPossible,
)
from addonry.model.tasks import LIVE, Pace, Status, StepName, Task, TaskKind
from addonry.settings import Settings
from addonry.simulator import Simulator
from addonry.simulator.charts import ChartRepository, find_charts, pack
from tests.scenario.test_first_upgrade import get
from tests.support.helm import helm
from tests.support.wishing import Wishing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

NAME = "node-problem-detector"
FIRST = "2.3.13"
GOOD, BAD = "2.3.14", "2.3.15"
PATH = f"/apis/apps/v1/namespaces/kube-system/daemonsets/{NAME}"
IMAGES = {"2.3.13": "v0.8.19", "2.3.14": "v0.8.20"}


@dataclass
class Stage:
    """What all stories share."""

    runner: asyncio.Runner
    app: App
    simulator: Simulator
    snapshot: dict[str, Any]
    numbers: Iterator[int]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """Fast: a rollout takes some tenths of a second."""
    with Simulator(clusters=1, charts=ChartRepository(pack(find_charts())), speed=20.0) as running:
        yield running


@pytest.fixture(scope="module")
def stage(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One Addonry, and a cluster to copy on which the first version was installed without it."""
    where = {"chart_repo_url": f"{simulator.url}/charts", "chart_version": FIRST}
    helm(simulator.cluster("sim-1").kubeconfig(), "install", NAME, NAME, {}, **where, wait="watcher", timeout=30)
    data: Path = tmp_path_factory.mktemp("stories") / "data"
    given = Settings(data_directory=data, chart_mirror=f"{simulator.url}/charts", stall_seconds=0.5)
    with asyncio.Runner() as runner:
        opening = open_app(given)
        app = runner.run(opening.__aenter__())
        runner.run(app.service.sync_catalog())
        yield Stage(runner, app, simulator, simulator.snapshot("sim-1"), itertools.count())
        runner.run(opening.__aexit__(None, None, None))


class Story(RuleBasedStateMachine):
    """One component of one cluster."""

    stage: ClassVar[Stage]

    def __init__(self) -> None:
        super().__init__()
        number = next(self.stage.numbers)
        simulated = self.stage.simulator.add(f"story-{number}", snapshot=self.stage.snapshot)
        service = self.stage.app.service
        registering = service.register_cluster(f"story-{number}", simulated.kubeconfig(), region="local", by="test")
        cluster, _ = self.stage.runner.run(registering)
        self.wishing = Wishing(service, cluster.id, simulated)
        self.version, self.values = FIRST, {}
        self.task: Task | None = None
        self.wanted: tuple[str, dict[str, Any]] = (FIRST, {})

    # What can be begun

    @rule(version=st.sampled_from([GOOD, BAD]), pace=st.sampled_from(Pace))
    @precondition(lambda self: self.version)
    def upgrade(self, version: str, pace: Pace) -> None:
        asked = UpgradeRequest(NAME, version, pace=pace)
        self._begin(self.wishing.service.upgrade(self.wishing.cluster, [asked], by="test"), version, self.values)

    @rule(number=st.integers(1, 3), pace=st.sampled_from(Pace))
    @precondition(lambda self: self.version)
    def configure(self, number: int, pace: Pace) -> None:
        values = {"podAnnotations": {"story": str(number)}}
        asked = ConfigureRequest(NAME, values, pace=pace)
        self._begin(self.wishing.service.configure(self.wishing.cluster, [asked], by="test"), self.version, values)

    @rule()
    @precondition(lambda self: self.version)
    def uninstall(self) -> None:
        self._begin(self.wishing.service.uninstall(self.wishing.cluster, [NAME], by="test"), "", {})

    @rule(version=st.sampled_from([FIRST, GOOD, BAD]))
    @precondition(lambda self: not self.version)
    def install(self, version: str) -> None:
        asked = InstallRequest(NAME, version)
        self._begin(self.wishing.service.install(self.wishing.cluster, [asked], by="test"), version, {})

    # What can be wished

    @rule(
        wish=st.sampled_from(["pause", "resume", "cancel"]),
        step=st.sampled_from([StepName.PREFLIGHT, StepName.RENDER, StepName.APPLY, StepName.ROLLOUT, StepName.RELEASE]),
    )
    @precondition(lambda self: self.task)
    def wish_at(self, wish: str, step: StepName) -> None:
        """At that step, or wherever the task rests or ends before it comes there."""
        assert self.task is not None
        resting = {Status.PAUSED, Status.SUCCESS, Status.FAILED, Status.CANCELED}
        at = self._run(self.wishing.until(self.task, lambda now: now.change.step == step or now.status in resting))
        try:
            said = self._run(getattr(self.wishing, wish)(self.task))
        except IllegalMove:
            # Refused: it had ended or turned by the time it was asked, or lies past its point of no return.
            now = self._run(self.wishing.service.task(self.task.id)).task
            assert now.status not in LIVE or now.canceled or now.trouble or now.wish or at.kind is TaskKind.UNINSTALL
            return
        if wish == "cancel":
            assert said.status is Status.CANCELED or said.wish or said.canceled or said.trouble

    @rule()
    @precondition(lambda self: self.task)
    def see_the_end(self) -> None:
        self._finish()

    # What must be true

    def _begin(self, asking: Any, version: str, values: dict[str, Any]) -> None:
        try:
            task = self._run(asking)
        except ComponentBusy:
            assert self.task is not None
            now = self._run(self.wishing.service.task(self.task.id)).task
            assert now.status in LIVE
            return
        except (ComponentNotFound, AlreadyInstalled) as refused:
            # An uninstall or install that nobody has looked at since has ended in between.
            self._expect(self.task is not None)
            self._expect((not self.wanted[0]) is isinstance(refused, ComponentNotFound))
            self._finish()
            return
        except UpgradeNotPossible as refused:
            # Not newer than what runs.
            self._expect({blocker.id for blocker in refused.blockers} <= {"NotNewer", "NoVersion", "TaskRunning"})
            return
        if self.task is not None:
            self._finish()  # it had ended in between, or this one would have been refused
        self.task, self.wanted = task, (version, values)

    def _finish(self) -> None:
        assert self.task is not None
        resting = {Status.PAUSED, Status.SUCCESS, Status.FAILED, Status.CANCELED}
        while (now := self._run(self.wishing.until(self.task, lambda now: now.status in resting))).status in LIVE:
            self._run(self.wishing.resume(self.task))
        if now.status is Status.SUCCESS:
            assert self.wanted[0] != BAD, "its image cannot be pulled"
            self.version, self.values = self.wanted
        assert now.canceled is (now.status is Status.CANCELED) or now.status is Status.FAILED, now
        assert now.trouble is None or now.trouble.code != "RollbackFailed", now
        self.task = None
        self._check(now)

    def _check(self, task: Task) -> None:
        secrets = get(
            self.wishing.simulated, f"/api/v1/namespaces/kube-system/secrets?labelSelector=name={NAME},owner=helm"
        )
        history = [release_from_secret(each) for each in secrets["items"]]
        deployed = newest_deployed(history)
        assert (deployed.chart_version if deployed else "") == self.version, task
        sets = get(self.wishing.simulated, "/apis/apps/v1/namespaces/kube-system/daemonsets")["items"]
        assert len(sets) == (1 if self.version else 0), task
        if deployed is not None:
            assert (deployed.values or {}) == self.values, task
            assert sets[0]["spec"]["template"]["spec"]["containers"][0]["image"].endswith(IMAGES[self.version])
            assert sets[0]["spec"]["updateStrategy"]["type"] == "RollingUpdate"
            assert not self.wishing.is_held(PATH)
            by_task = [each for each in history if each.description == f"Addonry task {task.id}"]
            assert len(by_task) <= 1, "one revision for one change"

    def _expect(self, fact: bool) -> None:
        assert fact, f"after {self.wanted} from {self.version} {self.values}"

    def _run(self, asking: Any) -> Any:
        return self.stage.runner.run(asking)

    def teardown(self) -> None:
        """Every story has an end."""
        if self.task is not None:
            self._finish()
        self._run(self.wishing.service.remove_cluster(self.wishing.cluster, by="test"))


@pytest.mark.uninstalls(NAME)
def test_every_story_ends_with_the_cluster_as_its_tasks_say(stage: Stage) -> None:
    """Words in any order; whatever was asked, nothing is held, doubled or half done in the end."""
    Story.stage = stage
    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=7,
            stateful_step_count=7,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
