"""What a workload's own fields say: rules as a table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.model.components import Health
from addonry.rules.health import (
    ASSESS,
    FATAL,
    Assessment,
    Condition,
    ContainerState,
    PodState,
    Stall,
    WorkloadState,
    assess_workload,
    failed,
    missing,
    not_ready_of,
    refusal,
    stall_of,
    together,
    with_stall,
    worst,
)

CURRENT, MOVING, FAILED = Health.CURRENT, Health.IN_PROGRESS, Health.FAILED


def a_workload(kind: str = "Deployment", **given) -> WorkloadState:
    """Three pods, all of them well, unless said otherwise."""
    well = {"desired": 3, "replicas": 3, "updated": 3, "ready": 3, "available": 3, "generation": 2}
    return WorkloadState(kind, "default", "web", **{**well, "observed_generation": 2, **given})


def a_pod(reason: str = "", **given) -> PodState:
    container = ContainerState("app", ready=not reason, waiting=reason, message=given.pop("message", ""))
    fields = {"phase": "Running", "ready": not reason, "containers": (container,), **given}
    return PodState(**{"name": "web-1", **fields})


@pytest.mark.parametrize("kind", ASSESS)
def test_a_workload_with_all_pods_well_is_current(kind):
    verdict = assess_workload(a_workload(kind))
    assert (verdict.health, verdict.percent, verdict.stall) == (CURRENT, 100, "")


@pytest.mark.parametrize("kind", ASSESS)
def test_a_status_of_before_the_change_proves_nothing(kind):
    """Right after an apply every count is still right, for the old version."""
    verdict = assess_workload(a_workload(kind, observed_generation=1))
    assert (verdict.health, verdict.percent) == (MOVING, 0)


@pytest.mark.parametrize("kind", ASSESS)
def test_a_workload_without_pods_is_current_when_none_are_wanted(kind):
    nothing = {"desired": 0, "replicas": 0, "updated": 0, "ready": 0, "available": 0}
    assert assess_workload(a_workload(kind, **nothing)).health is CURRENT


ON_THE_WAY = [
    ("Deployment", {"updated": 1}, "1 of 3 updated"),
    ("Deployment", {"replicas": 4}, "1 of the old version is still to end"),
    ("Deployment", {"replicas": 5}, "2 of the old version are still to end"),
    ("Deployment", {"desired": 2}, "1 still to end"),
    ("Deployment", {"available": 2}, "2 of 3 available"),
    ("Deployment", {"ready": 2}, "2 of 3 available"),
    ("DaemonSet", {"updated": 1}, "1 of 3 updated"),
    ("DaemonSet", {"available": 0}, "0 of 3 available"),
    ("StatefulSet", {"replicas": 1}, "1 of 3 created"),
    ("StatefulSet", {"updated": 2}, "2 of 3 updated"),
    ("StatefulSet", {"replicas": 4}, "1 still to end"),
    ("StatefulSet", {"current_revision": "a", "update_revision": "b"}, "3 of 3 updated"),
    ("StatefulSet", {"partition": 1, "updated": 1}, "1 of 2 updated"),
]


@pytest.mark.parametrize(("kind", "given", "says"), ON_THE_WAY)
def test_a_workload_on_its_way_says_how_far_it_is(kind, given, says):
    verdict = assess_workload(a_workload(kind, **given))
    assert verdict.health is MOVING
    assert verdict.note == f"{kind} web: {says}"
    assert verdict.percent < 100


HELD_BACK = [
    ("DaemonSet", {"strategy": "OnDelete", "updated": 0}),
    ("StatefulSet", {"strategy": "OnDelete", "updated": 0, "current_revision": "a", "update_revision": "b"}),
    ("StatefulSet", {"partition": 2, "updated": 1, "current_revision": "a", "update_revision": "b"}),
    ("StatefulSet", {"partition": 9, "updated": 0}),
]


@pytest.mark.parametrize(("kind", "given"), HELD_BACK)
def test_what_an_update_strategy_holds_back_is_not_waited_for(kind, given):
    verdict = assess_workload(a_workload(kind, **given))
    assert verdict.health is CURRENT
    assert "held back" in verdict.note


def test_a_deadline_that_has_passed_is_a_failure():
    condition = Condition("Progressing", "False", "ProgressDeadlineExceeded", "it has timed out progressing.")
    verdict = assess_workload(a_workload(updated=1, conditions=(condition,)))
    assert (verdict.health, verdict.stall) == (FAILED, "ProgressDeadlineExceeded")
    assert "timed out" in verdict.note


def test_refused_pods_are_named_with_the_servers_reason():
    condition = Condition("ReplicaFailure", "True", "FailedCreate", "exceeded quota: rq")
    verdict = assess_workload(a_workload(updated=1, conditions=(condition,)))
    assert (verdict.health, verdict.stall) == (MOVING, "QuotaExceeded")
    assert "exceeded quota" in verdict.note


def test_a_paused_deployment_cannot_go_on_by_itself():
    assert assess_workload(a_workload(updated=1, paused=True)).stall == "Paused"
    assert assess_workload(a_workload(paused=True)).health is CURRENT


STALLS = [
    (a_pod("ErrImagePull"), "ImagePullBackOff"),
    (a_pod("ImagePullBackOff"), "ImagePullBackOff"),
    (a_pod("InvalidImageName"), "InvalidImageName"),
    (a_pod("CrashLoopBackOff"), "CrashLoopBackOff"),
    (a_pod("CreateContainerConfigError", message='secret "db" not found'), "CreateContainerConfigError"),
]


@pytest.mark.parametrize(("pod", "reason"), STALLS)
def test_a_stalled_pod_is_named_by_its_reason(pod, reason):
    stall = stall_of([pod])
    assert stall is not None
    assert (stall.reason, stall.is_fatal) == (reason, True)
    assert "web-1" in stall.message


def test_a_pod_without_a_node_is_named_and_waited_for():
    """An autoscaler may be bringing one."""
    stall = stall_of([a_pod(phase="Pending", ready=False, unschedulable="0/3 nodes are available", containers=())])
    assert stall is not None
    assert (stall.reason, stall.is_fatal) == ("Unschedulable", False)
    assert "0/3 nodes" in stall.message


def test_the_missing_secret_of_a_container_is_said():
    stall = stall_of([a_pod("CreateContainerConfigError", message='secret "db" not found')])
    assert stall is not None
    assert 'secret "db" not found' in stall.message


def test_a_crash_is_a_loop_from_the_second_time_on():
    def crashed(restarts: int) -> PodState:
        container = ContainerState("app", ready=False, terminated="Error", exit_code=1, restarts=restarts)
        return a_pod(ready=False, containers=(container,))

    assert stall_of([crashed(0)]) is None
    stall = stall_of([crashed(1)])
    assert stall is not None
    assert stall.reason == "CrashLoopBackOff"


@pytest.mark.parametrize("waiting", ["ContainerCreating", "PodInitializing"])
def test_a_pod_that_is_starting_is_not_stalled(waiting):
    assert stall_of([a_pod(waiting)]) is None


def test_a_pod_that_is_ending_tells_nothing():
    assert stall_of([a_pod("CrashLoopBackOff", is_ending=True)]) is None


def test_an_init_container_stalls_its_pod():
    init = ContainerState("migrate", ready=False, waiting="CrashLoopBackOff", is_init=True)
    app = ContainerState("app", ready=False, waiting="PodInitializing")
    stall = stall_of([a_pod(ready=False, containers=(init, app))])
    assert stall is not None
    assert "container migrate" in stall.message


def test_of_several_stalls_the_most_telling_is_named_whatever_their_order():
    pods = [a_pod("CrashLoopBackOff", name="b"), a_pod("ImagePullBackOff", name="c"), a_pod(name="a")]
    assert stall_of(pods) == stall_of(reversed(pods))
    stall = stall_of(pods)
    assert stall is not None
    assert stall.reason == "ImagePullBackOff"


def test_a_pod_that_runs_and_is_not_ready_is_no_failure_by_itself():
    stall = not_ready_of([a_pod(), a_pod(ready=False, name="web-2")])
    assert stall is not None
    assert not stall.is_fatal
    assert "web-2" in stall.message
    assert not_ready_of([a_pod()]) is None


def test_a_stall_is_named_first_and_a_failure_later():
    verdict = with_stall(assess_workload(a_workload(updated=1)), Stall("ImagePullBackOff", "no image", is_fatal=True))
    assert (verdict.health, verdict.stall) == (MOVING, "ImagePullBackOff")
    assert verdict.note == "Deployment web: 1 of 3 updated; no image"
    assert failed(verdict).health is FAILED


def test_a_workload_that_is_gone_is_a_fatal_stall():
    assert missing("Deployment", "web").stall in FATAL


def test_nothing_to_wait_for_is_current():
    assert together([]).health is CURRENT
    assert worst([]) is CURRENT


def test_several_workloads_are_as_well_as_the_worst_of_them():
    small = Assessment(CURRENT, 100, "a is ready", "", 1)
    large = Assessment(MOVING, 0, "b: 0 of 9 updated", "", 9)
    broken = Assessment(MOVING, 0, "c: no image", "ImagePullBackOff", 1)
    assert together([small, small]).note == "all 2 parts are ready"
    assert together([small, large]) == Assessment(MOVING, 10, "b: 0 of 9 updated", "", 10)
    assert together([large, broken]).stall == "ImagePullBackOff"
    assert together([large, failed(broken)]).health is FAILED


counts = st.integers(0, 6)


@given(
    kind=st.sampled_from(list(ASSESS)),
    numbers=st.fixed_dictionaries(
        dict.fromkeys(("desired", "replicas", "updated", "ready", "available", "partition"), counts)
    ),
    strategy=st.sampled_from(["RollingUpdate", "OnDelete", "Recreate"]),
)
def test_whatever_a_status_says_hundred_percent_means_current(kind, numbers, strategy):
    verdict = assess_workload(a_workload(kind, **numbers, strategy=strategy))
    assert 0 <= verdict.percent <= 100
    assert (verdict.percent == 100) == (verdict.health is CURRENT)
    if verdict.health is CURRENT:
        assert min(numbers["ready"], numbers["available"]) >= numbers["desired"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            'pods "a" is forbidden: exceeded quota: rq, requested: pods=1, used: pods=2, limited: pods=2',
            "QuotaExceeded",
        ),
        ('admission webhook "policy.example" denied the request: no latest tags', "WebhookDenied"),
        ('Internal error occurred: failed calling webhook "policy.example": connection refused', "WebhookUnreachable"),
        ("violates PodSecurity", "ReplicaFailure"),
    ],
)
def test_a_refusal_has_the_name_of_who_refuses(words, reason):
    assert refusal(words) == reason
