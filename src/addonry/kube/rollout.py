"""Follow the workloads of a component while they move, and look once at everything it owns.

Each workload is listed and then watched by name, so that nothing is asked while nothing happens. What a workload's own
status does not say, its pods do: while something is on its way they are looked at from time to time, and the reason
that keeps them is named. A stall is named as soon as it is seen and is a failure only when it lasts; the clock of each
stall is kept in Stalls, beyond a single follow, because callers begin to follow anew at every step forward.

To follow one more kind: its path in PATHS, its Struct's fields in Workload, its rule in ``rules.health``.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from addonry.kube import Rollout
from addonry.kube.api import Api, Expired, Forbidden, all_of
from addonry.kube.objects import (
    API_SERVICES,
    PATHS,
    REVISION_ANNOTATION,
    REVISION_HASH_LABEL,
    TEMPLATE_HASH_LABEL,
    ApiService,
    Owned,
    Pod,
    Revision,
    Workload,
    belongs,
    is_owned,
    pod_state,
    selector_text,
    state_of,
)
from addonry.kube.reasons import explain
from addonry.model.components import Health, ObjectRef
from addonry.model.errors import ClusterRejected, ClusterUnreachable
from addonry.rules.health import (
    Assessment,
    PodState,
    Stall,
    WorkloadState,
    assess_workload,
    failed,
    missing,
    not_ready_of,
    stall_of,
    together,
    with_stall,
)

AWAY_SECONDS: Final = 30.0
"""How long a cluster may give no answer before following it is given up."""

NOT_READY_AFTER: Final = 10.0
"""After so long without progress it is said of pods that they run and are not ready."""

_FIRST_PODS_AFTER: Final = 0.3
_PODS_EVERY: Final = 2.0
_SETTLE: Final = 0.05
_RESUME_AFTER: Final = (0.1, 0.3, 1.0, 2.0)
_SHORT_WATCH: Final = 1.0
"""A watch that ends sooner is taken for a failure, so that no server is asked in a loop without a pause."""

_WATCH_PARAMS: Final = {"timeoutSeconds": "60"}


class Stalls:
    """Since when each workload's pods have been stalled, in seconds of a monotonic clock.

    A crash loop is interrupted by short lives, so a stall counts as over only when the pods have been looked at and
    found without it for as long as it may last, or when the workload is well or has another template.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._known: dict[ObjectRef, _Since] = {}
        self._moved: dict[ObjectRef, tuple[WorkloadState | None, float]] = {}

    def moved_at(self, ref: ObjectRef, state: WorkloadState | None, now: float) -> float:
        """When the workload came to be as it is *now*, as far as it was looked at."""
        known = self._moved.get(ref)
        if known is None or known[0] != state:
            known = self._moved[ref] = (state, now)
        return known[1]

    def note(self, ref: ObjectRef, generation: int, now: float) -> None:
        """The stall has been seen."""
        known = self._known.get(ref)
        if known is None or known.generation != generation:
            self._known[ref] = _Since(generation, first=now, last=now)
        else:
            known.last = now

    def note_absence(self, ref: ObjectRef, now: float) -> None:
        """Nothing is stalled at this moment."""
        known = self._known.get(ref)
        if known is not None and now - known.last > self.seconds:
            del self._known[ref]

    def forget(self, ref: ObjectRef) -> None:
        """The workload is well."""
        self._known.pop(ref, None)
        self._moved.pop(ref, None)

    def left(self, ref: ObjectRef, generation: int, now: float) -> float | None:
        """How long until the stall is a failure, at least 0; None when there is none."""
        known = self._known.get(ref)
        if known is None or known.generation != generation:
            return None
        return max(0.0, known.first + self.seconds - now)


@dataclass(slots=True)
class _Since:
    generation: int
    first: float
    last: float


async def follow(
    api: Api, refs: Iterable[ObjectRef], *, stalls: Stalls, away_seconds: float = AWAY_SECONDS
) -> AsyncIterator[Rollout]:
    """Look at the workloads among *refs* at once and whenever they change; ends after a look that is final.

    Outlasts cut watches and a server that is away for a while; then raises ClusterUnreachable.
    """
    followed = [_Followed(api, ref, stalls, away_seconds) for ref in _workloads(refs)]
    changed = asyncio.Event()
    watchers = [asyncio.create_task(each.keep_up(changed)) for each in followed]
    told: Rollout | None = None
    try:
        while True:
            changed.clear()
            if not all(each.is_known for each in followed):
                await _pause(changed, watchers, AWAY_SECONDS + away_seconds)
                continue
            await all_of(*(each.look_at_pods() for each in followed))
            look = _rollout(together(each.assessment for each in followed))
            if look != told:
                yield look
                told = look
            if look.health in {Health.CURRENT, Health.FAILED}:
                return
            await _pause(changed, watchers, min(each.next_look() for each in followed))
    finally:
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)


async def assess(api: Api, refs: Iterable[ObjectRef], *, stalls: Stalls) -> Rollout:
    """One look at the workloads and APIServices among *refs*. Raises ClusterTrouble."""
    listed = tuple(refs)
    followed = [_Followed(api, ref, stalls, 0.0) for ref in _workloads(listed)]
    services = [ref for ref in listed if ref.kind == "APIService"]
    looks = [_look_once(each) for each in followed] + [_assess_api_service(api, ref.name) for ref in services]
    return _rollout(together(await all_of(*looks)))


async def free_stateful_sets(api: Api, refs: Iterable[ObjectRef], *, seconds: float = 5.0) -> int:
    """Delete the broken pods of an abandoned template that hold up a StatefulSet among *refs*; how many.

    A StatefulSet that was brought back does not replace such a pod by itself, and asks for exactly this:
    https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback. Pods that work are never
    touched. Waits at most *seconds* for the controller to see the change; one that has not is left alone.
    """
    sets = [ref for ref in _workloads(refs) if ref.kind == "StatefulSet"]
    return sum(await all_of(*(_free_one(api, ref, seconds) for ref in sets)))


async def _free_one(api: Api, ref: ObjectRef, seconds: float) -> int:
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    path = f"{PATHS[ref.kind].format(namespace=ref.namespace)}/{ref.name}"
    while (workload := await api.get_or_none(path, into=Workload)) is not None:
        if workload.status.observed_generation >= workload.metadata.generation:
            return await _delete_abandoned(api, ref, workload)
        if clock() >= deadline:
            break
        await asyncio.sleep(_SETTLE)
    return 0


async def _delete_abandoned(api: Api, ref: ObjectRef, workload: "Workload") -> int:
    pods_path = f"/api/v1/namespaces/{ref.namespace}/pods"
    deleted = 0
    with suppress(Forbidden):  # then following the rollout names the pod, for a person to delete
        pods, _ = await api.list(pods_path, Pod, params={"labelSelector": selector_text(workload.spec.selector)})
        for pod in pods:
            stall = stall_of([pod_state(pod)])
            is_abandoned = pod_state(pod).revision not in {"", workload.status.update_revision}
            if is_abandoned and stall is not None and stall.is_fatal and belongs(pod, ref.kind, workload):
                # The uid, lest a good pod is hit that has taken its place and name meanwhile.
                options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": pod.metadata.uid}}
                with suppress(ClusterRejected):
                    await api.delete(f"{pods_path}/{pod.metadata.name}", body=options)
                    deleted += 1
    return deleted


def assess_api_service(service: "ApiService") -> Assessment:
    """Whether an aggregated API answers, which Helm's own wait does not look at.

    https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/api-service-v1/.
    """
    name = service.metadata.name
    available = next((each for each in service.status.conditions or [] if each.type == "Available"), None)
    if available is not None and available.status == "True":
        return Assessment(Health.CURRENT, 100, f"APIService {name} is available")
    reason = available.reason if available else ""
    said = f": {available.message or reason}" if available else ""
    return Assessment(Health.IN_PROGRESS, 0, f"APIService {name} is not available{said}", reason or "Unavailable")


def _workloads(refs: Iterable[ObjectRef]) -> list[ObjectRef]:
    return [ref for ref in dict.fromkeys(refs) if ref.kind in PATHS and ref.api_version.startswith("apps/")]


def _rollout(assessment: Assessment) -> Rollout:
    return Rollout(
        assessment.percent,
        assessment.health,
        assessment.note,
        assessment.stall,
        updated=assessment.updated,
        updated_ready=assessment.updated_ready,
        total=assessment.weight,
    )


async def _pause(changed: asyncio.Event, watchers: "list[asyncio.Task[None]]", seconds: float) -> None:
    """Wait for a change, or *seconds*. Raises what ended a watcher."""
    waiting = asyncio.create_task(changed.wait())
    try:
        await asyncio.wait({waiting, *watchers}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
    for watcher in watchers:
        if watcher.done():
            watcher.result()
    # Changes come in flocks: a pod that gets ready changes its workload twice.
    if changed.is_set():
        await asyncio.sleep(_SETTLE)


async def _look_once(followed: "_Followed") -> Assessment:
    await followed.list_it()
    await followed.look_at_pods(at_once=True)
    return followed.assessment


async def _assess_api_service(api: Api, name: str) -> Assessment:
    service = await api.get_or_none(f"{API_SERVICES}/{name}", into=ApiService)
    return assess_api_service(service) if service else missing("APIService", name)


@dataclass(slots=True)
class _Contact:
    """When the cluster last answered."""

    away_seconds: float
    answered_at: float

    def bear(self, error: ClusterUnreachable, now: float) -> None:
        """Go on in spite of *error*, or raise it when the cluster has been away for too long."""
        if now - self.answered_at > self.away_seconds:
            raise error


class _Followed:
    """One workload that is kept up with."""

    def __init__(self, api: Api, ref: ObjectRef, stalls: Stalls, away_seconds: float) -> None:
        self._api = api
        self._ref = ref
        self._stalls = stalls
        self._clock = asyncio.get_running_loop().time
        self._contact = _Contact(away_seconds, self._clock())
        self._workload: Workload | None = None
        self._state: WorkloadState | None = None
        self._stall: Stall | None = None
        self._pods_at = self._clock() + _FIRST_PODS_AFTER
        self._moved_at = self._clock()
        self.is_known = False
        self.assessment = missing(ref.kind, ref.name)

    async def keep_up(self, changed: asyncio.Event) -> None:
        """List and watch for ever. Raises ClusterUnreachable when the cluster stays away, and what else it says."""
        failures = 0
        version = ""
        while True:
            began = self._clock()
            try:
                if not version:
                    version = await self.list_it()
                    changed.set()
                async for seen in self._events(version):
                    version = seen or version
                    changed.set()
                    self._contact.answered_at = self._clock()
                # The server ends a watch when its time is up, and a proxy whenever it likes.
                self._contact.answered_at = self._clock()
            except Expired:
                version = ""
            except ClusterUnreachable as error:
                self._contact.bear(error, self._clock())
            failures = failures + 1 if self._clock() - began < _SHORT_WATCH else 0
            await asyncio.sleep(_RESUME_AFTER[min(failures, len(_RESUME_AFTER) - 1)])

    async def list_it(self) -> str:
        """Read the workload; the resourceVersion to watch from."""
        found, version = await self._api.list(self._path, Workload, params=self._selector)
        self._contact.answered_at = self._clock()
        self._see(found[0] if found else None)
        return version

    async def look_at_pods(self, *, at_once: bool = False) -> None:
        """Judge the workload anew, with the pods of one that is on its way: read now, or when it is time."""
        state = self._state
        if state is None:
            self._judge_absence()
            return
        verdict = assess_workload(state)
        if verdict.health is Health.CURRENT:
            self._stalls.forget(self._ref)
            self.assessment = verdict
            return
        if at_once or verdict.health is Health.FAILED or self._clock() >= self._pods_at or self._left() == 0:
            self._pods_at = self._clock() + _PODS_EVERY
            await self._ask_pods(state)
        self.assessment = self._judge(verdict)

    def next_look(self) -> float:
        """Seconds until there may be something to see that no watch tells."""
        soon = self._pods_at - self._clock()
        left = self._left()
        return max(soon if left is None else min(soon, left), _SETTLE)

    async def _ask_pods(self, state: WorkloadState) -> None:
        try:
            stall = await explain(self._api, self._ref, state, await self._read_pods(state))
        except ClusterUnreachable as error:
            self._contact.bear(error, self._clock())
            return
        except Forbidden:
            stall = None  # without its pods the rollout is told all the same, only less well
        now = self._contact.answered_at = self._clock()
        self._stall = stall
        if stall is not None and stall.is_fatal:
            self._stalls.note(self._ref, state.generation, now)
        else:
            self._stalls.note_absence(self._ref, now)

    def _judge(self, verdict: Assessment) -> Assessment:
        stall = self._stall
        if stall is None or (stall.reason == "NotReady" and self._clock() - self._moved_at < NOT_READY_AFTER):
            return verdict
        if verdict.health is Health.FAILED:
            # The status says that it has failed, the pods say why.
            return replace(verdict, note=f"{verdict.note}; {stall.message}")
        told = with_stall(verdict, stall)
        return failed(told) if stall.is_fatal and self._left() == 0 else told

    def _judge_absence(self) -> None:
        self._stalls.note(self._ref, 0, self._clock())
        self._pods_at = self._clock() + _PODS_EVERY
        self.assessment = missing(self._ref.kind, self._ref.name)
        if self._left() == 0:
            self.assessment = failed(self.assessment)

    def _left(self) -> float | None:
        generation = self._workload.metadata.generation if self._workload else 0
        return self._stalls.left(self._ref, generation, self._clock())

    async def _events(self, version: str) -> AsyncIterator[str]:
        """Take in what happens; the resourceVersion of each event, from which a next watch can go on."""
        events = self._api.watch(
            self._path, params={**self._selector, **_WATCH_PARAMS}, resource_version=version, into=Workload
        )
        async for event in events:
            if event.type != "BOOKMARK":
                self._see(None if event.type == "DELETED" else event.object)
            yield event.object.metadata.resource_version

    def _see(self, workload: "Workload | None") -> None:
        now = self._clock()
        is_first = not self.is_known
        state = None if workload is None else state_of(workload, self._ref.kind)
        if state is None or self._state is None or state.generation != self._state.generation:
            self._stall = None
        if state != self._state:
            # What the pods were waiting for may be over.
            self._pods_at = min(self._pods_at, now + _FIRST_PODS_AFTER)
        self._workload, self._state, self.is_known = workload, state, True
        self._moved_at = self._stalls.moved_at(self._ref, state, now)
        if is_first and (self._left() is not None or now - self._moved_at >= NOT_READY_AFTER):
            # Somebody followed before us and knows why it is stuck; our first words should be the same.
            self._pods_at = now

    @property
    def _path(self) -> str:
        return PATHS[self._ref.kind].format(namespace=self._ref.namespace)

    @property
    def _selector(self) -> dict[str, str]:
        return {"fieldSelector": f"metadata.name={self._ref.name}"}

    async def _read_pods(self, state: WorkloadState) -> Stall | None:
        assert self._workload is not None
        pods, _ = await self._api.list(
            f"/api/v1/namespaces/{self._ref.namespace}/pods",
            Pod,
            params={"labelSelector": selector_text(self._workload.spec.selector)},
        )
        mine = [pod for pod in pods if belongs(pod, self._ref.kind, self._workload)]
        states = [pod_state(pod) for pod in mine]
        if self._ref.kind == "StatefulSet":
            return _stall_of_stateful_set(states, state.update_revision)
        newest = await self._newest(state, mine)
        current = [pod for pod in states if not newest or pod.revision == newest]
        return stall_of(current) or not_ready_of(current)

    async def _newest(self, state: WorkloadState, pods: "list[Pod]") -> str:
        """The hash that pods of the present template carry; empty when one cannot tell them from others."""
        if len({pod_state(pod).revision for pod in pods}) <= 1 and state.updated >= len(pods):
            return ""
        if self._ref.kind == "Deployment":
            return await self._newest_replica_set()
        return await self._newest_revision()

    async def _newest_replica_set(self) -> str:
        assert self._workload is not None
        found, _ = await self._api.list(
            f"/apis/apps/v1/namespaces/{self._ref.namespace}/replicasets",
            Owned,
            params={"labelSelector": selector_text(self._workload.spec.selector)},
        )
        # The ReplicaSet of the present template carries the Deployment's own revision, also after a way back to an
        # old template. https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-back-a-deployment
        revision = (self._workload.metadata.annotations or {}).get(REVISION_ANNOTATION, "")
        uid = self._workload.metadata.uid
        mine = [each for each in found if is_owned(each.metadata, uid)]
        same = [each for each in mine if (each.metadata.annotations or {}).get(REVISION_ANNOTATION) == revision]
        return (same[0].metadata.labels or {}).get(TEMPLATE_HASH_LABEL, "") if same else ""

    async def _newest_revision(self) -> str:
        """DaemonSets say in no field which revision is the present one; the highest is."""
        assert self._workload is not None
        found, _ = await self._api.list(
            f"/apis/apps/v1/namespaces/{self._ref.namespace}/controllerrevisions",
            Revision,
            params={"labelSelector": selector_text(self._workload.spec.selector)},
        )
        uid = self._workload.metadata.uid
        newest = max(
            (each for each in found if is_owned(each.metadata, uid)), key=lambda each: each.revision, default=None
        )
        return (newest.metadata.labels or {}).get(REVISION_HASH_LABEL, "") if newest else ""


def _stall_of_stateful_set(pods: list[PodState], update_revision: str) -> Stall | None:
    """A StatefulSet waits for each pod before it goes on, also for a broken one of an older template, for ever.

    https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
    """
    present = [pod for pod in pods if pod.revision in {"", update_revision}]
    stall = stall_of(present)
    if stall is not None:
        return stall
    old = stall_of(pod for pod in pods if pod not in present)
    if old is not None:
        words = f"{old.message}, which is of an older template and holds up the rest; delete that pod"
        return Stall(old.reason, words, old.is_fatal)
    return not_ready_of(present)


__all__ = [
    "Stalls",
    "assess",
    "assess_api_service",
    "follow",
    "free_stateful_sets",
]
