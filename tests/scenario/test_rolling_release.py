"""Addonry itself is upgraded while a task runs: nothing is lost, nothing is done twice, and it is no accident.

The next release has a larger schema, which its first process puts into the database while the old ones still run
(migrations expand first), and may have steps that the old ones do not know.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, text

from addonry.model.tasks import StepName
from addonry.rules.planning import FORWARD
from addonry.simulator import Simulator
from addonry.simulator.charts import ChartRepository, find_charts, pack
from addonry.store import tables
from tests.scenario.test_first_upgrade import ready, register, upgrade
from tests.support.older_release import UNKNOWN
from tests.support.sdk import sdk
from tests.support.service import Service
from tests.support.waiting import until

pytestmark = pytest.mark.slow

NAME = "metrics-server"
Start = Callable[..., Service]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A cluster whose rollouts take their time, so that a release meets one in the middle."""
    with Simulator(clusters=1, charts=ChartRepository(pack(find_charts())), speed=1.5) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path: Path) -> str:
    """What all processes of the test share."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'data' / 'addonry.sqlite'}"


@pytest.fixture
def start(tmp_path: Path, chart_repository: str, database: str) -> Iterator[Start]:
    """Start one more process on the database, of this release or of another."""
    running: list[Service] = []
    shared = {"ADDONRY_DATABASE_URL": database} if database.startswith("postgresql") else {}

    def begin(module: str = "addonry") -> Service:
        # On SQLite the new process takes the data directory over; on PostgreSQL both run side by side.
        data = tmp_path / ("data" if not shared else f"data-{len(running)}")
        environment = {"ADDONRY_CHART_MIRROR": chart_repository, "ADDONRY_SECRET_KEY": "s" * 43, **shared}
        service = Service(data, environment, module=module).start()
        running.append(service)
        return service

    yield begin
    for service in running:
        service.end()


def expand(database: str) -> None:
    """What the first process of the next release does: its schema knows one thing more of each table."""
    engine = create_engine(database.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)
    with engine.begin() as connection:
        for table in (tables.task, tables.change, tables.cluster):
            connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN of_the_next_release TEXT"))


def begin_an_upgrade(service: Service, kubeconfig: str) -> str:
    client = sdk(service.host, service.root_key)
    cluster_id = register(client, kubeconfig)
    ready(client, cluster_id, NAME)
    return upgrade(client, cluster_id, NAME, "3.13.0")


def told(service: Service, task_id: str) -> dict[str, Any]:
    return sdk(service.host, service.root_key).describe_task_info(task_id).body.to_map()


def steps_of(task: dict[str, Any]) -> list[str]:
    return [stage["outputs"]["name"] for stage in task["stages"]]


def succeeded(service: Service, task_id: str) -> dict[str, Any]:
    def look():
        task = told(service, task_id)
        return task if task["state"] not in {"running", "initial"} else None

    task = until(look, seconds=60, what=f"{task_id} to end")
    assert task["state"] == "success", task
    return task


def test_a_release_in_the_middle_of_a_rollout_is_no_accident(start: Start, cluster, install, database):
    """The old process goes as planned; the new one watches on, and applies nothing for a second time."""
    install(NAME, "3.12.1", replicas=2)
    old = start()
    task_id = begin_an_upgrade(old, cluster.kubeconfig())
    until(lambda: StepName.ROLLOUT in steps_of(told(old, task_id)), what="the rollout")
    expand(database)
    assert old.end() == 0
    new = start()
    task = succeeded(new, task_id)
    assert {name for name, count in Counter(steps_of(task)).items() if count > 1} <= {StepName.ROLLOUT}
    revisions = [each for each in cluster.requests if each.method == "POST" and each.path.endswith("/secrets")]
    assert len(revisions) == 2, "one of the installation, one of the upgrade"


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_what_an_old_process_does_not_know_it_leaves_to_a_new_one(start: Start, cluster, install, database):
    """Both releases run side by side for a while, and the old one has got a task of the new."""
    install(NAME, "3.12.1")
    old = start("tests.support.older_release")
    task_id = begin_an_upgrade(old, cluster.kubeconfig())
    until(lambda: "waits for a newer worker" in old.log(), what="the old one to give it back")
    expand(database)
    assert told(old, task_id)["state"] == "running", "the API of the old one goes on on the larger schema"
    new = start()
    task = succeeded(new, task_id)
    assert steps_of(task) == list(FORWARD)
    assert steps_of(task)[-1] == UNKNOWN
    assert old.end() == 0
