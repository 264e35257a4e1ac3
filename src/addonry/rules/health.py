"""What a workload's own fields say about its health, and why its pods do not come.

The rules are those that ``kubectl rollout status`` and kstatus go by
(https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md), with the reason of a stall named.
Nothing here knows a clock: how long a stall must last before it is a failure is the business of ``kube.rollout``.

To assess one more kind of workload, write a function and name it in ASSESS; one more reason that no pod gets over by
itself goes into FATAL.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from addonry.model.components import Health


@dataclass(frozen=True, slots=True)
class Condition:
    """One of an object's ``status.conditions``."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class WorkloadState:
    """A Deployment, DaemonSet or StatefulSet, reduced to what its health depends on."""

    kind: str
    namespace: str
    name: str
    desired: int
    generation: int = 0
    observed_generation: int = 0
    replicas: int = 0
    """Pods of any version."""
    updated: int = 0
    ready: int = 0
    available: int = 0
    paused: bool = False
    strategy: str = "RollingUpdate"
    partition: int = 0
    current_revision: str = ""
    update_revision: str = ""
    conditions: tuple[Condition, ...] = ()

    @property
    def title(self) -> str:
        """For people: ``Deployment coredns``."""
        return f"{self.kind} {self.name}"

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, if there is one."""
        return next((each for each in self.conditions if each.type == kind), None)


@dataclass(frozen=True, slots=True)
class ContainerState:
    """One container of a pod; *waiting* and *terminated* are the reasons, empty when it is in neither state."""

    name: str
    ready: bool
    waiting: str = ""
    message: str = ""
    terminated: str = ""
    exit_code: int = 0
    restarts: int = 0
    is_init: bool = False


@dataclass(frozen=True, slots=True)
class PodState:
    """A pod, reduced to why it may not be well."""

    name: str
    phase: str
    ready: bool
    revision: str = ""
    """Which template it was made from; empty where that does not matter."""
    is_ending: bool = False
    reason: str = ""
    """Why the kubelet ended it: ``Evicted``."""
    message: str = ""
    unschedulable: str = ""
    """The scheduler's sentence, when it finds no node."""
    containers: tuple[ContainerState, ...] = ()


@dataclass(frozen=True, slots=True)
class Stall:
    """Why pods do not come: a stable reason, a sentence, and whether it can heal by itself."""

    reason: str
    message: str
    is_fatal: bool
    pod: str = ""
    container: str = ""
    """Where it is, when it is in one container."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """The verdict on one workload."""

    health: Health
    percent: int
    note: str
    stall: str = ""
    weight: int = 1
    """How many pods it speaks for, for the average over several."""
    updated: int = 0
    """While it is on its way: how many pods of the newest template there are."""
    updated_ready: int = 0
    """At least so many of them are ready."""


FATAL: Final = frozenset(
    {
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "Missing",
    }
)
"""Stalls that end a rollout when they last; others may be waited for as long as the caller likes. Unschedulable is none
of them: an autoscaler takes minutes to bring the node that is missing.
"""

_SAME_AS: Final = {
    # The kubelet alternates between the error and its back-off; one name, so that the stall is one and its note stable.
    # https://kubernetes.io/docs/concepts/containers/images/#imagepullbackoff
    "ErrImagePull": "ImagePullBackOff",
    "RegistryUnavailable": "ImagePullBackOff",
    "ImageInspectError": "InvalidImageName",
}

_REFUSALS: Final = (
    # k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go
    ("exceeded quota", "QuotaExceeded"),
    # k8s.io/apiserver/pkg/admission/plugin/webhook/errors/statuserror.go and dispatcher.go
    ("denied the request", "WebhookDenied"),
    ("failed calling webhook", "WebhookUnreachable"),
)

_URGENCY: Final = (
    "InvalidImageName",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
    "Unschedulable",
    "Evicted",
)


def assess_workload(state: WorkloadState) -> Assessment:
    """Weigh a workload by its own status. Names a stall only where the status itself does; pods are `stall_of`'s."""
    if state.observed_generation < state.generation:
        return _moving(state, 0, "waiting for its controller to see the change")
    return ASSESS[state.kind](state)


def stall_of(pods: Iterable[PodState]) -> Stall | None:
    """The most telling reason why any of *pods* does not come up; None when each does or may still."""
    stalls = [stall for pod in pods if not pod.is_ending and (stall := _stall_of_one(pod))]
    return min(stalls, key=_urgency, default=None)


def refusal(message: str) -> str:
    """Why the API server takes no pods of a workload, by the words of its admission."""
    return next((reason for words, reason in _REFUSALS if words in message), "ReplicaFailure")


def not_ready_of(pods: Iterable[PodState]) -> Stall | None:
    """That pods run and are not ready: no failure by itself, but the answer when somebody asks what is waited for."""
    waiting = [pod for pod in pods if pod.phase == "Running" and not pod.ready and not pod.is_ending]
    if not waiting:
        return None
    return Stall("NotReady", f"pod {waiting[0].name} runs but is not ready; look at its readiness probe", False)


def with_stall(assessment: Assessment, stall: Stall) -> Assessment:
    """*assessment* with the reason of the stall said, still in progress: whether it has lasted is not known here."""
    return replace(assessment, note=f"{assessment.note}; {stall.message}", stall=stall.reason)


def failed(assessment: Assessment) -> Assessment:
    """*assessment* once its stall has lasted too long."""
    return replace(assessment, health=Health.FAILED)


def missing(kind: str, name: str) -> Assessment:
    """The verdict on a workload that is not there though it should be."""
    return Assessment(Health.IN_PROGRESS, 0, f"{kind} {name} is not there", "Missing")


def worst(healths: Iterable[Health]) -> Health:
    """The health of several things together."""
    return max(healths, key=_SEVERITY.__getitem__, default=Health.CURRENT)


def together(assessments: Iterable[Assessment]) -> Assessment:
    """Several verdicts as one: the worst health, the average percentage, the note that matters most."""
    listed = list(assessments)
    if not listed:
        return Assessment(Health.CURRENT, 100, "nothing to wait for")
    health = worst(each.health for each in listed)
    # Of equally bad ones the stalled one tells more.
    telling = max(listed, key=lambda each: (_SEVERITY[each.health], bool(each.stall)))
    weight = sum(max(each.weight, 1) for each in listed)
    percent = sum(each.percent * max(each.weight, 1) for each in listed) // weight
    note = telling.note
    if health is Health.CURRENT and len(listed) > 1:
        note = f"all {len(listed)} parts are ready"
    return Assessment(
        health,
        percent,
        note,
        telling.stall,
        weight,
        updated=sum(each.updated for each in listed),
        updated_ready=sum(each.updated_ready for each in listed),
    )


_SEVERITY: Final[Mapping[Health, int]] = {
    Health.CURRENT: 0,
    Health.IN_PROGRESS: 1,
    Health.UNKNOWN: 2,
    Health.FAILED: 3,
}


def _deployment(state: WorkloadState) -> Assessment:
    progressing = state.condition("Progressing")
    if progressing and progressing.reason == "ProgressDeadlineExceeded":
        note = f"{state.title}: {progressing.message or 'it has made no progress within its deadline'}"
        return Assessment(Health.FAILED, _percent(state), note, "ProgressDeadlineExceeded", state.desired)
    refused = state.condition("ReplicaFailure")
    if refused and refused.status == "True":
        # An exceeded quota, a refusing webhook: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#failed-deployment
        return _moving(
            state, _percent(state), refused.message or "its pods are refused", stall=refusal(refused.message)
        )
    if state.paused and state.updated < state.desired:
        return _moving(state, _percent(state), f"paused with {_of(state.updated, state)} updated", stall="Paused")
    if state.updated < state.desired:
        return _moving(state, _percent(state), f"{_of(state.updated, state)} updated")
    if state.replicas > state.updated:
        old = state.replicas - state.updated
        return _moving(state, _percent(state), f"{old} of the old version {'is' if old == 1 else 'are'} still to end")
    if state.replicas > state.desired:
        return _moving(state, _percent(state), f"{state.replicas - state.desired} still to end")
    return _ready_and_available(state)


def _daemon_set(state: WorkloadState) -> Assessment:
    if state.strategy != "OnDelete" and state.updated < state.desired:
        return _moving(state, _percent(state), f"{_of(state.updated, state)} updated")
    return _ready_and_available(state)


def _stateful_set(state: WorkloadState) -> Assessment:
    if state.replicas < state.desired:
        return _moving(state, _percent(state), f"{_of(state.replicas, state)} created")
    if state.strategy != "OnDelete":
        to_update = max(state.desired - state.partition, 0)
        if state.updated < to_update:
            return _moving(state, _percent(state), f"{state.updated} of {to_update} updated")
        # A StatefulSet moves its current revision last of all, when every pod has followed.
        if state.partition == 0 and state.current_revision != state.update_revision:
            return _moving(state, _percent(state), f"{_of(state.updated, state)} updated")
    if state.replicas > state.desired:
        return _moving(state, _percent(state), f"{state.replicas - state.desired} still to end")
    return _ready_and_available(state)


ASSESS: Final[Mapping[str, Callable[[WorkloadState], Assessment]]] = {
    "Deployment": _deployment,
    "DaemonSet": _daemon_set,
    "StatefulSet": _stateful_set,
}
"""How each kind is assessed once its controller has seen the newest change."""


def _ready_and_available(state: WorkloadState) -> Assessment:
    usable = min(state.ready, state.available)
    if usable < state.desired:
        return _moving(state, _percent(state), f"{_of(usable, state)} available")
    if state.updated < state.desired:
        # Partition and OnDelete: somebody decided that the rest stays as it is.
        note = f"{state.title}: {_of(state.updated, state)} updated, the rest is held back by its update strategy"
    else:
        note = f"{state.title}: {_of(usable, state)} available"
    return Assessment(Health.CURRENT, 100, note, "", state.desired)


def _moving(state: WorkloadState, percent: int, what: str, *, stall: str = "") -> Assessment:
    # Until its controller has seen the change, the status tells of the template before.
    seen = state.observed_generation >= state.generation
    return Assessment(
        Health.IN_PROGRESS,
        min(percent, 99),
        f"{state.title}: {what}",
        stall,
        state.desired,
        updated=min(state.updated, state.desired) if seen else 0,
        updated_ready=_new_and_available(state) if seen else 0,
    )


def _percent(state: WorkloadState) -> int:
    if state.desired == 0:
        return 99
    return 100 * (min(state.updated, state.desired) + _new_and_available(state)) // (2 * state.desired)


def _new_and_available(state: WorkloadState) -> int:
    """Availability is counted over both versions; at least this many of the available ones are new."""
    updated = min(state.updated, state.desired)
    return max(0, min(updated, state.available - max(state.replicas - state.updated, 0)))


def _of(count: int, state: WorkloadState) -> str:
    return f"{count} of {state.desired}"


def _stall_of_one(pod: PodState) -> Stall | None:
    if pod.unschedulable:
        return Stall("Unschedulable", f"no node takes pod {pod.name}: {pod.unschedulable}", is_fatal=False)
    if pod.phase == "Failed":
        reason = pod.reason or "PodFailed"
        return Stall(reason, f"pod {pod.name} has ended ({reason}): {pod.message}".rstrip(": "), is_fatal=False)
    for container in pod.containers:
        reason = _waits_for(container)
        if reason in _URGENCY:
            # The kubelet's sentence changes from retry to retry and names an IP address or a pause; the first words
            # of ours stay, so that a stalled rollout reads the same from look to look.
            said = f": {container.message}" if reason in _SAYS_MORE and container.message else ""
            text = f"container {container.name} of pod {pod.name} is in {reason}{said}"
            return Stall(reason, text, is_fatal=reason in FATAL, pod=pod.name, container=container.name)
    return None


_SAYS_MORE: Final = frozenset({"CreateContainerConfigError", "CreateContainerError", "InvalidImageName"})


def _waits_for(container: ContainerState) -> str:
    if container.waiting:
        return _SAME_AS.get(container.waiting, container.waiting)
    crashed_again = container.terminated and container.exit_code != 0 and container.restarts > 0
    return "CrashLoopBackOff" if crashed_again else ""


def _urgency(stall: Stall) -> tuple[int, str]:
    place = _URGENCY.index(stall.reason) if stall.reason in _URGENCY else len(_URGENCY)
    return place, stall.message
