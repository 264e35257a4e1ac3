"""kill -9 before and after the work of every step: the next process finishes the task, and no effect is doubled."""

from pathlib import Path

import pytest

from addonry.model.tasks import StepName
from addonry.rules.planning import BACK, FORWARD
from tests.scenario.test_first_upgrade import (
    finished,
    get,
    images,
    no_workload_was_deleted,
    register,
    upgrade,
)
from tests.support.helm import helm
from tests.support.sdk import sdk
from tests.support.service import Service

pytestmark = pytest.mark.slow

MOMENTS = ("before", "after")


@pytest.fixture
def dying(tmp_path: Path, chart_repository: str):
    """A service that dies once at the moment a test names."""
    started: list[Service] = []

    def make(step: StepName, moment: str) -> Service:
        environment = {
            "ADDONRY_CHART_MIRROR": chart_repository,
            "ADDONRY_STALL_SECONDS": "1",
            "DIE_AT": f"{step} {moment}",
            "DIE_MARK": str(tmp_path / "died"),
        }
        service = Service(tmp_path / "data", environment, module="tests.support.dying_service")
        started.append(service)
        return service.start()

    yield make
    for service in started:
        service.end()


def die_and_finish(service: Service, mark: Path, cluster, name: str, version: str) -> dict:
    """Upgrade, let the service die, start it again, and wait for the task's end."""
    client = sdk(service.host, service.root_key)
    cluster_id = register(client, cluster.kubeconfig())
    upgrade(client, cluster_id, name, version)
    assert service.wait() == -9
    assert mark.exists()
    service.start()
    return finished(sdk(service.host, service.root_key), cluster_id, name)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("step", FORWARD)
def test_a_killed_upgrade_is_finished(dying, tmp_path, cluster, install, step, moment):
    """Wherever the worker died, the target runs in the end and was rolled out once."""
    install("metrics-server", "3.12.1")
    after = die_and_finish(dying(step, moment), tmp_path / "died", cluster, "metrics-server", "3.13.0")

    assert after["tasks"]["status"] == "Success", after["tasks"]
    assert after["addon_info"]["version"] == "3.13.0"
    history = helm(cluster.kubeconfig(), "history", "metrics-server")
    assert [(each["revision"], each["status"]) for each in history] == [(1, "superseded"), (2, "deployed")]
    deployment = "/apis/apps/v1/namespaces/kube-system/deployments/metrics-server"
    assert images(cluster, deployment)[0].endswith(":v0.8.0")
    rolled_out = get(cluster, deployment)["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
    assert rolled_out == "2", "one rollout, however often the step was begun"
    assert no_workload_was_deleted(cluster)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("step", [StepName.APPLY, StepName.ROLLOUT, *BACK])
def test_a_killed_rollback_is_finished(dying, tmp_path, cluster, install, step, moment):
    """The way back is walked to its end as well, and once."""
    install("node-problem-detector", "2.3.14")
    after = die_and_finish(dying(step, moment), tmp_path / "died", cluster, "node-problem-detector", "2.3.15")

    assert after["tasks"]["status"] == "Failed", after["tasks"]
    assert after["addon_info"]["version"] == "2.3.14"
    history = helm(cluster.kubeconfig(), "history", "node-problem-detector")
    assert [each["revision"] for each in history] == [1, 2, 3], "one upgrade, one rollback"
    assert history[-1]["status"] == "deployed"
    assert images(cluster, "/apis/apps/v1/namespaces/kube-system/daemonsets/node-problem-detector")[0].endswith(
        ":v0.8.20"
    )
    assert no_workload_was_deleted(cluster)
