"""Rollouts: recorded ones judged, and simulated ones followed."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.kube import KubeSettings, Rollout, open_cluster
from addonry.kube import rollout as rollout_module
from addonry.kube.api import Api, Expired
from addonry.kube.kubeconfig import read_kubeconfig
from addonry.kube.objects import ApiService, Pod, Workload, pod_state, state_of
from addonry.kube.reasons import LINE_LIMIT, fit_to_be_told
from addonry.kube.rollout import Stalls, assess, assess_api_service, follow, free_stateful_sets
from addonry.model.components import Health, ObjectRef, Placement, SourceKind
from addonry.model.errors import ClusterUnreachable
from addonry.model.ids import TaskId, Version
from addonry.model.tasks import Snapshot
from addonry.rules.health import Assessment, assess_workload, not_ready_of, stall_of
from addonry.simulator import SimulatedCluster, Simulator

RECORDED = json.loads((Path(__file__).parent / "recorded" / "rollouts.json").read_text())
CURRENT, MOVING, FAILED = Health.CURRENT, Health.IN_PROGRESS, Health.FAILED


def judged(kind: str, recorded: dict) -> Assessment:
    if kind == "APIService":
        return assess_api_service(msgspec.convert(recorded, ApiService))
    return assess_workload(state_of(msgspec.convert(recorded, Workload), kind))


# Recorded from a real control plane.


@pytest.mark.parametrize("name", ["deployment", "stuck", "daemonset", "statefulset"])
def test_a_recorded_rollout_ends_well_and_is_never_taken_for_done_before(name):
    """Once a change is said to be rolled out, the recording has nothing more to tell of it.

    Pods that the recorder deleted by hand (OnDelete, scale to none) are left out: these did move afterwards.
    """
    kind, events = RECORDED["watched"][name]["kind"], RECORDED["watched"][name]["events"]
    verdicts: dict[int, list[Assessment]] = {}
    for event in events:
        if event["spec"].get("updateStrategy", {}).get("type") != "OnDelete":
            verdicts.setdefault(event["metadata"]["generation"], []).append(judged(kind, event))
    assert len(verdicts) >= 3
    for listed in verdicts.values():
        healths = [each.health for each in listed]
        assert CURRENT not in healths or set(healths[healths.index(CURRENT) :]) == {CURRENT}
        assert all(each.percent < 100 for each in listed if each.health is not CURRENT)
    assert listed[-1].health is CURRENT


VERDICTS = {
    "deployment: 6 status while paused": (MOVING, "Paused"),
    "deployment: end": (CURRENT, ""),
    "daemonset: 4 status: nothing updated": (CURRENT, ""),
    "daemonset: 5 status: one updated": (CURRENT, ""),
    "daemonset: 6 status": (CURRENT, ""),
    "statefulset: 3 status: one updated, revisions differ": (CURRENT, ""),
    "statefulset: 5 status: nothing updated": (CURRENT, ""),
    "statefulset: 6 status": (CURRENT, ""),
    "statefulset: 8 stuck": (MOVING, ""),
    "statefulset: 9 still stuck": (MOVING, ""),
    "statefulset: end": (CURRENT, ""),
    "stuck: 3 ProgressDeadlineExceeded": (FAILED, "ProgressDeadlineExceeded"),
    "stuck: 5 Deployment": (MOVING, ""),
    "stuck: end": (CURRENT, ""),
    "policy: quota exceeded": (MOVING, "QuotaExceeded"),
    "policy: APIService unavailable (ServiceNotFound)": (MOVING, "ServiceNotFound"),
    "policy: local APIService": (CURRENT, ""),
}


def test_every_recorded_object_has_its_verdict():
    assert set(VERDICTS) == set(RECORDED["objects"])


@pytest.mark.parametrize("name", VERDICTS)
def test_a_recorded_object_is_judged_as_its_step_says(name):
    verdict = judged(RECORDED["objects"][name]["kind"], RECORDED["objects"][name]["object"])
    assert (verdict.health, verdict.stall) == VERDICTS[name]


STALLS = {
    "daemonset: 4 pods": None,
    "statefulset: 9 pods": "ImagePullBackOff",
    "stuck: ImagePullBackOff": "ImagePullBackOff",
    "stuck: 4 pods: CrashLoopBackOff": "CrashLoopBackOff",
    "stuck: 5 pods: running, not ready": "NotReady",
    "stuck: 7 pod Unschedulable": "Unschedulable",
}


@pytest.mark.parametrize("name", STALLS)
def test_recorded_pods_say_why_they_do_not_come(name):
    pods = [pod_state(msgspec.convert(pod, Pod)) for pod in RECORDED["pods"][name]]
    stall = stall_of(pods) or not_ready_of(pods)
    assert (stall.reason if stall else None) == STALLS[name]


# On simulated clusters.


@pytest.fixture(scope="module")
def simulator():
    with Simulator(clusters=1, speed=10.0) as running:
        yield running


@pytest.fixture
def cluster(simulator) -> SimulatedCluster:
    return simulator.add(f"c-{len(simulator.clusters)}")


@pytest.fixture
async def api(cluster):
    made = Api(read_kubeconfig(cluster.kubeconfig()), request_seconds=3)
    yield made
    await made.close()


def a_workload(kind: str, image: str, *, name: str = "web", replicas: int = 2, **spec: Any) -> dict:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image}]}}
    given = {"selector": {"matchLabels": labels}, "template": template, **spec}
    if kind != "DaemonSet":
        given["replicas"] = replicas
    if kind == "StatefulSet":
        given["serviceName"] = name
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "labels": labels}, "spec": given}


def path_of(kind: str, name: str = "") -> str:
    return f"/apis/apps/v1/namespaces/default/{kind.lower()}s" + (f"/{name}" if name else "")


def ref_of(kind: str, name: str = "web") -> ObjectRef:
    return ObjectRef("apps/v1", kind, "default", name)


async def set_image(api: Api, kind: str, image: str, name: str = "web") -> None:
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}}
    await api.patch(path_of(kind, name), patch, kind="strategic")


async def looks(api: Api, *refs: ObjectRef, stalls: Stalls | None = None, **given: Any) -> list[Rollout]:
    """Everything that following tells until it ends."""
    async with asyncio.timeout(30):
        return [look async for look in follow(api, refs, stalls=stalls or Stalls(1.0), **given)]


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet", "StatefulSet"])
async def test_a_rollout_is_told_until_it_is_done(api, kind):
    await api.create(path_of(kind), a_workload(kind, "registry.example/app:1"))
    await looks(api, ref_of(kind))
    await set_image(api, kind, "registry.example/app:2")
    told = await looks(api, ref_of(kind))
    assert told[-1].health is CURRENT
    assert told[-1].percent == 100
    assert len(told) > 2
    assert {each.health for each in told[:-1]} == {MOVING}
    assert len(set(told)) == len(told)


async def test_what_is_done_already_is_one_look(api):
    await api.create(path_of("Deployment"), a_workload("Deployment", "registry.example/app:1"))
    await looks(api, ref_of("Deployment"))
    assert len(await looks(api, ref_of("Deployment"))) == 1


async def test_nothing_to_follow_is_done(api):
    told = await looks(api, ObjectRef("v1", "ConfigMap", "default", "a"))
    assert [each.health for each in told] == [CURRENT]


BROKEN = [
    ("Deployment", "registry.example/bad:2", "ImagePullBackOff"),
    ("Deployment", "registry.example/crash:2", "CrashLoopBackOff"),
    ("DaemonSet", "registry.example/bad:2", "ImagePullBackOff"),
    ("StatefulSet", "registry.example/bad:2", "ImagePullBackOff"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "image", "reason"), BROKEN)
async def test_a_stall_is_named_when_seen_and_is_a_failure_when_it_lasts(api, kind, image, reason):
    await api.create(path_of(kind), a_workload(kind, "registry.example/app:1"))
    await looks(api, ref_of(kind))
    await set_image(api, kind, image)
    told = await looks(api, ref_of(kind))
    named = [each for each in told if each.stall == reason]
    assert named[0].health is MOVING
    assert (told[-1].health, told[-1].stall) == (FAILED, reason)
    assert "container app of pod web" in told[-1].note


async def test_a_stall_that_is_over_in_time_is_no_failure(api):
    await api.create(path_of("Deployment"), a_workload("Deployment", "registry.example/bad:1"))
    stalls = Stalls(30.0)
    seen = []
    async with asyncio.timeout(20):
        async for look in follow(api, [ref_of("Deployment")], stalls=stalls):
            if look.stall and not any(each.stall for each in seen):
                await set_image(api, "Deployment", "registry.example/app:2")
            seen.append(look)
    assert seen[-1].health is CURRENT


@pytest.mark.slow
async def test_the_clock_of_a_stall_runs_on_when_following_begins_anew(api):
    """A step of a task returns at every change and follows again; the same words come first, and the failure in time."""
    await api.create(path_of("Deployment"), a_workload("Deployment", "registry.example/bad:1", replicas=1))
    stalls = Stalls(1.5)
    told = [Rollout(0, MOVING, "")]
    async with asyncio.timeout(15):
        while told[-1].health is not FAILED:
            async for look in follow(api, [ref_of("Deployment")], stalls=stalls):
                if look.note != told[-1].note or look.health is FAILED:
                    told.append(look)
                    break
    stalled = [look.note for look in told if look.stall]
    assert len(stalled) == 2
    assert len(set(stalled)) == 1


@pytest.mark.slow
async def test_old_pods_that_are_broken_are_not_held_against_the_new_template(api):
    """The way back from a broken version: its pods are still there, stalled, while the good ones come."""
    await api.create(path_of("Deployment"), a_workload("Deployment", "registry.example/app:1", replicas=4))
    await looks(api, ref_of("Deployment"))
    await set_image(api, "Deployment", "registry.example/bad:2")
    await looks(api, ref_of("Deployment"))
    await set_image(api, "Deployment", "registry.example/app:1")
    told = await looks(api, ref_of("Deployment"), stalls=Stalls(0.0))
    assert told[-1].health is CURRENT


@pytest.mark.slow
async def test_the_worst_of_several_workloads_speaks_for_all(api):
    await api.create(path_of("Deployment"), a_workload("Deployment", "registry.example/app:1", name="good"))
    await api.create(path_of("DaemonSet"), a_workload("DaemonSet", "registry.example/bad:1", name="ill"))
    told = await looks(api, ref_of("Deployment", "good"), ref_of("DaemonSet", "ill"))
    assert told[-1].health is FAILED
    assert "DaemonSet ill" in told[-1].note


async def test_a_workload_that_is_not_there_is_waited_for_and_then_a_failure(api):
    told = await looks(api, ref_of("Deployment"), stalls=Stalls(0.5))
    assert [each.health for each in told] == [MOVING, FAILED]
    assert told[-1].stall == "Missing"


async def test_only_the_workload_concerned_is_watched(api, cluster):
    await api.create(path_of("Deployment"), a_workload("Deployment", "registry.example/app:1"))
    await api.create(path_of("Deployment"), a_workload("Deployment", "registry.example/app:1", name="other"))
    await looks(api, ref_of("Deployment"))
    asked = [each for each in cluster.requests if each.path.endswith("/deployments") and each.method == "GET"]
    assert asked
    assert all("metadata.name%3Dweb" in each.query for each in asked)


@pytest.mark.slow
async def test_following_changes_nothing(api, cluster):
    await api.create(path_of("Deployment"), a_workload("Deployment", "registry.example/bad:1"))
    cluster.forget_requests()
    await looks(api, ref_of("Deployment"))
    assert {each.method for each in cluster.requests} == {"GET"}


async def test_no_connection_is_left_behind_when_the_caller_stops(api):
    await api.create(path_of("Deployment"), a_workload("Deployment", "registry.example/bad:1"))
    before = len(asyncio.all_tasks())
    following = follow(api, [ref_of("Deployment")], stalls=Stalls(30.0))
    await anext(following)
    await following.aclose()
    assert len(asyncio.all_tasks()) == before


async def test_a_cluster_that_is_away_for_a_while_is_outlasted(api, cluster, monkeypatch):
    monkeypatch.setattr(rollout_module, "_RESUME_AFTER", (0.05,))
    await api.create(path_of("Deployment"), a_workload("Deployment", "registry.example/app:1"))
    await looks(api, ref_of("Deployment"))
    await set_image(api, "Deployment", "registry.example/app:2")
    told = []
    async with asyncio.timeout(20):
        async for look in follow(api, [ref_of("Deployment")], stalls=Stalls(5.0)):
            if not told:
                cluster.trouble.refuse()
                asyncio.get_running_loop().call_later(0.5, cluster.trouble.recover)
            told.append(look)
    assert told[-1].health is CURRENT


@pytest.mark.slow
@pytest.mark.parametrize("how", ["refuse", "hang"])
async def test_a_cluster_that_stays_away_is_given_up(cluster, how):
    api = Api(read_kubeconfig(cluster.kubeconfig()), request_seconds=0.3)
    await api.create(path_of("Deployment"), a_workload("Deployment", "registry.example/bad:1"))
    following = follow(api, [ref_of("Deployment")], stalls=Stalls(60.0), away_seconds=0.5)
    await anext(following)
    getattr(cluster.trouble, how)()
    async with asyncio.timeout(15):
        with pytest.raises(ClusterUnreachable):
            [look async for look in following]
    cluster.trouble.recover()
    await api.close()


class ExpiringOnce(Api):
    """The first watch is told that its version is too old."""

    expired = False

    def watch(self, *given: Any, **named: Any):
        if self.expired:
            return super().watch(*given, **named)
        self.expired = True
        return self._too_old()

    async def _too_old(self):
        raise Expired("too old resource version")
        yield


async def test_an_expired_watch_is_begun_again_with_a_list(cluster):
    api = ExpiringOnce(read_kubeconfig(cluster.kubeconfig()))
    await api.create(path_of("Deployment"), a_workload("Deployment", "registry.example/app:1"))
    told = await looks(api, ref_of("Deployment"))
    assert told[-1].health is CURRENT
    asked = [each.query for each in cluster.requests if each.path.endswith("/deployments") and each.method == "GET"]
    assert ["watch" in query for query in asked] == [False, False, True]
    await api.close()


async def test_pods_that_may_not_be_listed_cost_the_reason_and_nothing_more(api, cluster):
    await api.create(path_of("Deployment"), a_workload("Deployment", "registry.example/app:1"))
    cluster.trouble.fail(path_contains="/pods", status=403, times=1000)
    told = await looks(api, ref_of("Deployment"))
    assert told[-1].health is CURRENT


async def test_one_look_tells_a_stall_at_once(api):
    await api.create(path_of("Deployment"), a_workload("Deployment", "registry.example/bad:1"))
    async with asyncio.timeout(15):
        # A condition of the cluster, with a deadline.
        while not (look := await assess(api, [ref_of("Deployment")], stalls=Stalls(60.0))).stall:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (look.health, look.stall) == (MOVING, "ImagePullBackOff")


async def test_one_look_takes_the_api_services_with_it(api):
    """Helm calls a release deployed though its aggregated API never answers."""
    await api.create(path_of("Deployment"), a_workload("Deployment", "registry.example/app:1"))
    await looks(api, ref_of("Deployment"))
    service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.example.com"},
        "spec": {
            "group": "metrics.example.com",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": "missing", "namespace": "default"},
        },
    }
    await api.create("/apis/apiregistration.k8s.io/v1/apiservices", service)
    refs = [
        ref_of("Deployment"),
        ObjectRef("apiregistration.k8s.io/v1", "APIService", "", "v1beta1.metrics.example.com"),
    ]
    look = await assess(api, refs, stalls=Stalls(60.0))
    assert look.health is MOVING
    assert "v1beta1.metrics.example.com is not available" in look.note


@pytest.mark.slow
async def test_a_stateful_set_that_was_brought_back_is_freed_of_its_broken_pods(cluster, api, tmp_path):
    """Recorded: with the template corrected it stays stuck on the broken pod until that is deleted."""
    await api.create(path_of("StatefulSet"), a_workload("StatefulSet", "registry.example/app:1"))
    await looks(api, ref_of("StatefulSet"))
    await set_image(api, "StatefulSet", "registry.example/bad:2")
    assert (await looks(api, ref_of("StatefulSet")))[-1].health is FAILED
    cluster.forget_requests()
    live = open_cluster(cluster.kubeconfig(), KubeSettings(tmp_path, stall_seconds=5.0))
    placement = Placement(SourceKind.WORKLOAD, "default", "web", "StatefulSet")
    before = Snapshot(images={"app": "registry.example/app:1"}, version=Version("1"))
    await live.rollback(placement, before, task=TaskId("T-1"))
    async with asyncio.timeout(20):
        told = [look async for look in live.follow_rollout(placement)]
    assert told[-1].health is CURRENT
    deleted = [each.path for each in cluster.requests if each.method == "DELETE"]
    assert deleted == ["/api/v1/namespaces/default/pods/web-1"]
    await live.rollback(placement, before, task=TaskId("T-1"))
    assert len([each for each in cluster.requests if each.method == "DELETE"]) == 1
    await live.close()


@pytest.mark.slow
async def test_a_stateful_set_stuck_on_an_abandoned_pod_says_which_to_delete(api):
    await api.create(path_of("StatefulSet"), a_workload("StatefulSet", "registry.example/app:1"))
    await looks(api, ref_of("StatefulSet"))
    await set_image(api, "StatefulSet", "registry.example/bad:2")
    await looks(api, ref_of("StatefulSet"))
    await set_image(api, "StatefulSet", "registry.example/app:3")
    told = await looks(api, ref_of("StatefulSet"))
    assert (told[-1].health, told[-1].stall) == (FAILED, "ImagePullBackOff")
    assert "web-1" in told[-1].note
    assert "delete that pod" in told[-1].note


async def test_pods_that_work_are_never_deleted(api, cluster):
    await api.create(path_of("StatefulSet"), a_workload("StatefulSet", "registry.example/app:1"))
    await looks(api, ref_of("StatefulSet"))
    await set_image(api, "StatefulSet", "registry.example/app:2")
    assert await free_stateful_sets(api, [ref_of("StatefulSet"), ref_of("StatefulSet", "gone")]) == 0
    assert not [each for each in cluster.requests if each.method == "DELETE"]


async def test_the_doors_cluster_follows_a_plain_workload(cluster, tmp_path):
    live = open_cluster(cluster.kubeconfig(), KubeSettings(tmp_path, stall_seconds=1.0))
    api = Api(read_kubeconfig(cluster.kubeconfig()))
    await api.create(path_of("Deployment"), a_workload("Deployment", "registry.example/app:1"))
    placement = Placement(SourceKind.WORKLOAD, "default", "web", "Deployment")
    told = [look async for look in live.follow_rollout(placement)]
    assert told[-1].health is CURRENT
    assert (await live.assess_health(placement)).health is CURRENT
    found = await live.find(placement)
    assert found is not None
    assert (found.version, found.health) == ("1", CURRENT)
    assert await live.find(Placement(SourceKind.WORKLOAD, "default", "gone", "Deployment")) is None
    await live.close()
    await api.close()


QUOTA = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "rq"}}


@pytest.mark.slow
async def test_a_crash_loop_is_told_with_its_last_words(api, cluster):
    """On the night when something breaks, that line is what everybody looks for first; passwords stay out of it."""
    cluster.say("crash", "starting\npanic: no route to postgres://app:hunter2@db/app\x1b[0m\n")
    await api.create(path_of("Deployment"), a_workload("Deployment", "registry.example/crash:1"))
    told = await looks(api, ref_of("Deployment"))
    assert told[-1].stall == "CrashLoopBackOff"
    assert told[-1].note.endswith("its last words: panic: no route to postgres://app:***@db/app")


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
async def test_a_quota_that_refuses_pods_is_named(api, kind):
    """StatefulSets and DaemonSets tell of it in events only."""
    await api.create("/api/v1/namespaces/default/resourcequotas", {**QUOTA, "spec": {"hard": {"pods": "0"}}})
    await api.create(path_of(kind), a_workload(kind, "registry.example/app:1"))
    async with asyncio.timeout(30):
        async for look in follow(api, [ref_of(kind)], stalls=Stalls(1.0)):
            if look.stall == "QuotaExceeded":
                break
    assert "exceeded quota: rq" in look.note
    assert look.health is MOVING, "it may be lifted"


async def test_first_pods_are_counted_and_old_ones_are_not(api, cluster):
    """A canary rests on this: to take the old version's pods for the first new ones would hold nothing."""
    await api.create(path_of("Deployment"), a_workload("Deployment", "registry.example/app:1", replicas=4))
    await looks(api, ref_of("Deployment"))
    await set_image(api, "Deployment", "registry.example/app:2")
    told = await looks(api, ref_of("Deployment"))
    on_the_way = [each for each in told if each.health is MOVING]
    assert on_the_way[0].updated < 4
    assert [each.updated for each in on_the_way] == sorted(each.updated for each in on_the_way)
    assert all(each.updated_ready <= each.updated <= each.total == 4 for each in on_the_way)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ('{"password": "hunter2", "user": "a"}', '{"password": "***", "user": "a"}'),
        ("API_KEY=hunter2 MODE=prod", "API_KEY=*** MODE=prod"),
        ("https://u:hunter2@host/x", "https://u:***@host/x"),
        ("a\tb\x1b[31mred\x1b[0m\rc", "a b red c"),
        ("plain words, nothing else", "plain words, nothing else"),
    ],
)
def test_a_line_of_a_log_is_told_without_what_looks_like_a_secret(line, told):
    assert fit_to_be_told(line) == told


@given(st.text())
def test_whatever_a_log_says_is_told_on_one_short_line(line):
    told = fit_to_be_told(line)
    assert len(told) <= LINE_LIMIT
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in told)
