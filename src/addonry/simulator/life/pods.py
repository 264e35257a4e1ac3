"""Scheduler and kubelets: Pods are placed on nodes, start, fail or finish, and go away.

How a Pod fares is decided by the name of its image: one that contains `bad` cannot be pulled, with `crash` its
container keeps crashing, with `never` it stays in ContainerCreating, with `notready` it runs but is never ready;
with `slow` it takes its time; everything else becomes ready after `READY_SECONDS`. The same convention as in the
recordings the simulator follows. The annotation `simulated-start-seconds` sets how long the containers of a Pod take,
`simulated-exit-code` how those of one end that is meant to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from enum import StrEnum, auto
from typing import Any, Final

from addonry.simulator.clock import timestamp
from addonry.simulator.life import scheduling, volumes
from addonry.simulator.life.events import Reporter
from addonry.simulator.life.world import (
    CLAIMS,
    NODES,
    PODS,
    World,
    is_kind,
    is_leaving,
    is_ready,
    node_condition,
)
from addonry.simulator.storage import Change, ChangeType, Object, ObjectKey

READY_SECONDS: Final = 1.0
SLOW_SECONDS: Final = 10.0
START_SECONDS: Final = "simulated-start-seconds"
EXIT_CODE: Final = "simulated-exit-code"
STOP_SECONDS: Final = 0.5
RUN_SECONDS: Final = 1.0  # of a container that is meant to end
_CRASH_DELAYS: Final = (1.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
_PLACES: Final = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")
_SCHEDULER: Final = Reporter("default-scheduler", instance="default-scheduler-control-plane")
_KUBELET: Final = "kubelet"


class Fate(StrEnum):
    """What becomes of a container."""

    FINE = auto()
    BAD_IMAGE = auto()
    CRASH = auto()
    STUCK = auto()
    NOT_READY = auto()


_WORDS: Final = (
    ("bad", Fate.BAD_IMAGE),
    ("crash", Fate.CRASH),
    ("notready", Fate.NOT_READY),
    ("never", Fate.STUCK),
)


def start_seconds(pod: Object) -> float:
    """How long the containers of a Pod take to be ready, or to meet whatever their fate is."""
    asked = (pod["metadata"].get("annotations") or {}).get(START_SECONDS, "")
    with contextlib.suppress(ValueError):
        return max(float(asked), 0.0)
    is_slow = any("slow" in container.get("image", "") for container in pod["spec"]["containers"])
    return SLOW_SECONDS if is_slow else READY_SECONDS


def fate_of(image: str) -> Fate:
    """What the name of an image foretells."""
    return next((fate for word, fate in _WORDS if word in image), Fate.FINE)


class Pods:
    """Scheduler and kubelet of all nodes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._due: dict[str, float] = {}
        self._addresses = 1
        self._turn = 0
        # Pods without a node; unknown until somebody must know.
        self._homeless: dict[ObjectKey, None] | None = None

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        if is_kind(change, PODS):
            if change.type is not ChangeType.DELETED:
                return (change.record.key, *(self._without_node() if _is_over(change) else ()))
            self._due.pop(change.record.uid, None)
            self._world.ready_at.pop(change.record.uid, None)
            if self._homeless is not None:
                self._homeless.pop(change.record.key, None)
            return self._without_node()
        if is_kind(change, NODES):
            return (*self._without_node(), *self._halted(change))
        if is_kind(change, CLAIMS):
            return tuple(key for key in self._without_node() if key.namespace == change.record.key.namespace)
        return ()

    def _without_node(self) -> tuple[ObjectKey, ...]:
        """Pods that may fit somewhere now that something has changed."""
        if self._homeless is None:
            records = self._world.store.records(PODS.key)
            self._homeless = {r.key: None for r in records if not r.decode()["spec"].get("nodeName")}
        return tuple(self._homeless)

    def _halted(self, change: Change) -> Iterable[ObjectKey]:
        """Pods that go on when the kubelet of their node is back."""
        node = change.record.decode()
        if change.previous is None or node_condition(node) == "Unknown":
            return ()
        if node_condition(change.previous.decode()) != "Unknown":
            return ()
        name = change.record.key.name
        return (r.key for r in self._world.store.records(PODS.key) if r.decode()["spec"].get("nodeName") == name)

    def reconcile(self, key: ObjectKey) -> None:
        pod = self._world.get(key)
        if pod is None:
            return
        if self._is_cut_off(pod):
            return  # nobody there to start or to stop it
        if is_leaving(pod):
            self._stop(key, pod)
        elif not pod["spec"].get("nodeName"):
            self._schedule(key, pod)
        elif pod["status"].get("phase") in ("Pending", "Running"):
            self._run(key, pod)

    # ------------------------------------------------------------------ placing

    def _schedule(self, key: ObjectKey, pod: Object) -> None:
        if self._homeless is not None:
            self._homeless[key] = None
        missing = volumes.what_is_missing(self._world, pod)
        if missing:
            nodes = sum(1 for _ in self._world.store.records(NODES.key))
            self._unschedulable(pod, scheduling.not_ready_to_schedule(nodes, missing))
            return
        places = scheduling.places(pod, self._world.occupancy)
        fitting = [node for node, refusals in places if not refusals]
        if not fitting:
            self._unschedulable(pod, scheduling.unschedulable(len(places), (refusals for _, refusals in places)))
            return
        self._turn += 1
        node = fitting[self._turn % len(fitting)]
        if volumes.wait_for_volumes(self._world, pod, node["metadata"]["name"]):
            return  # the volumes are made where the Pod will be; they wake us
        self._place(key, pod, node)

    def _place(self, key: ObjectKey, pod: Object, node: Object) -> None:
        if self._homeless is not None:
            self._homeless.pop(key, None)
        name = node["metadata"]["name"]
        pod["spec"]["nodeName"] = name
        _label_place(pod, node)
        pod["status"]["conditions"] = [_condition("PodScheduled", "True", timestamp(self._world.clock.now()))]
        self._world.put(PODS, pod)  # which the node's kubelet sees
        where = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        message = f"Successfully assigned {where} to {name}"
        self._world.event(PODS, pod, "Scheduled", message, by=_SCHEDULER, action="Binding")

    def _unschedulable(self, pod: Object, message: str) -> None:
        now = timestamp(self._world.clock.now())
        known = pod["status"].get("conditions", [])
        if known and (known[0].get("reason"), known[0].get("message")) == ("Unschedulable", message):
            return
        found = _condition("PodScheduled", "False", now, reason="Unschedulable", message=message)
        found["observedGeneration"] = pod["metadata"].get("generation", 1)
        pod["status"]["conditions"] = [found]
        self._world.put(PODS, pod)
        self._world.event(PODS, pod, "FailedScheduling", message, by=_SCHEDULER, warning=True, action="Scheduling")

    def _is_cut_off(self, pod: Object) -> bool:
        name = pod["spec"].get("nodeName")
        node = self._world.store.get(ObjectKey(NODES.key, "", name)) if name else None
        # A cheap look first: hardly any node is ever lost.
        return node is not None and b'"Unknown"' in node.body and node_condition(node.decode()) == "Unknown"

    def _address(self, node: Object) -> dict[str, Any]:
        self._addresses += 1
        addresses = node.get("status", {}).get("addresses", [])
        host = next((a["address"] for a in addresses if a["type"] == "InternalIP"), "10.200.0.1")
        own = f"10.244.{self._addresses // 250 % 250}.{self._addresses % 250 + 2}"
        return {"hostIP": host, "hostIPs": [{"ip": host}], "podIP": own, "podIPs": [{"ip": own}]}

    # ------------------------------------------------------------------ running

    def _run(self, key: ObjectKey, pod: Object) -> None:
        uid, status = pod["metadata"]["uid"], pod["status"]
        if not status.get("containerStatuses"):
            self._begin(pod, self._world.get(ObjectKey(NODES.key, "", pod["spec"]["nodeName"])) or {})
            return
        if uid not in self._due:
            if _is_settled(pod):
                return
            self._due[uid] = self._world.clock.elapsed() + start_seconds(pod)
        left = self._due[uid] - self._world.clock.elapsed()
        if left > 0:
            self._world.wake(self, key, left)
            return
        if status["phase"] == "Running" and _ends(pod) and is_ready(pod):
            self._finish(pod)
            return
        self._arrive(pod)

    def _begin(self, pod: Object, node: Object) -> None:
        """The kubelet of the node takes the Pod in hand."""
        now = timestamp(self._world.clock.now())
        status = pod["status"]
        status["startTime"] = now
        status |= self._address(node)
        status["containerStatuses"] = [
            _container_status(c, {"waiting": {"reason": "ContainerCreating"}}) for c in pod["spec"]["containers"]
        ]
        status["conditions"] = _conditions(pod, now, ready=False)
        _label_place(pod, node)
        self._due[pod["metadata"]["uid"]] = self._world.clock.elapsed() + start_seconds(pod)
        self._world.put(PODS, pod)

    def _arrive(self, pod: Object) -> None:
        """The time of the containers has come: each meets its fate."""
        uid, now = pod["metadata"]["uid"], timestamp(self._world.clock.now())
        del self._due[uid]
        fates = {c["name"]: fate_of(c.get("image", "")) for c in pod["spec"]["containers"]}
        before = {c["name"]: c for c in pod["status"]["containerStatuses"]}
        statuses = []
        for container in pod["spec"]["containers"]:
            name = container["name"]
            statuses.append(_after(container, before.get(name, {}), fates[name], pod["metadata"]["name"], now))
        for status in statuses:
            if "waiting" not in status["state"]:
                status["containerID"] = f"containerd://{uid}"
        ready = all(status["ready"] for status in statuses)
        pod["status"]["containerStatuses"] = statuses
        waiting = Fate.BAD_IMAGE in fates.values() or Fate.STUCK in fates.values()
        pod["status"]["phase"] = "Pending" if waiting else "Running"
        if _ends(pod) and Fate.CRASH in fates.values() and pod["spec"].get("restartPolicy") == "Never":
            self._finish(pod, failed=True)
            return
        pod["status"]["conditions"] = _conditions(pod, now, ready=ready)
        if ready:
            self._world.ready_at[uid] = self._world.clock.elapsed()
        if ready and _ends(pod):
            self._due[uid] = self._world.clock.elapsed() + RUN_SECONDS
        elif Fate.CRASH in fates.values():
            restarts = max(status["restartCount"] for status in statuses)
            delay = _CRASH_DELAYS[min(restarts, len(_CRASH_DELAYS) - 1)]
            self._due[uid] = self._world.clock.elapsed() + delay
        self._world.put(PODS, pod)
        self._tell(pod, fates)

    def _tell(self, pod: Object, fates: Mapping[str, Fate]) -> None:
        kubelet = Reporter(_KUBELET, host=pod["spec"]["nodeName"])

        def warn(container: Object, reason: str, message: str) -> None:
            part = f"spec.containers{{{container['name']}}}"
            self._world.event(PODS, pod, reason, message, by=kubelet, warning=True, part=part)

        for container in pod["spec"]["containers"]:
            match fates[container["name"]]:
                case Fate.BAD_IMAGE:
                    warn(container, "Failed", f'Failed to pull image "{container["image"]}": not found')
                    warn(container, "Failed", "Error: ImagePullBackOff")
                case Fate.CRASH:
                    warn(container, "BackOff", "Back-off restarting failed container")
                case Fate.NOT_READY:
                    warn(container, "Unhealthy", "Readiness probe failed: the container is never ready")

    def _finish(self, pod: Object, *, failed: bool = False) -> None:
        """A container that was meant to end has ended."""
        asked = (pod["metadata"].get("annotations") or {}).get(EXIT_CODE, "")
        code = int(asked) if asked.isdigit() else int(failed)
        failed = code != 0
        self._due.pop(pod["metadata"]["uid"], None)
        now = timestamp(self._world.clock.now())
        ended = {
            "exitCode": code,
            "reason": "Error" if failed else "Completed",
            "startedAt": now,
            "finishedAt": now,
        }
        status = pod["status"]
        status["phase"] = "Failed" if failed else "Succeeded"
        status["containerStatuses"] = [_container_status(c, {"terminated": ended}) for c in pod["spec"]["containers"]]
        status["conditions"] = _conditions(pod, now, ready=False)
        for found in status["conditions"]:
            if found.get("reason") and not failed:
                found["reason"] = "PodCompleted"
        self._world.put(PODS, pod)

    # ------------------------------------------------------------------ stopping

    def _stop(self, key: ObjectKey, pod: Object) -> None:
        metadata = pod["metadata"]
        # A due time from before the deletion belongs to the start; the stop has one of its own.
        mark = f"{metadata['uid']}/stop"
        grace = float(metadata.get("deletionGracePeriodSeconds") or 0)
        now = self._world.clock.elapsed()
        due = self._due.setdefault(mark, now + min(STOP_SECONDS, grace))
        if due > now:
            self._world.wake(self, key, due - now)
            return
        del self._due[mark]
        self._world.remove(PODS, pod, grace=0)


def _is_over(change: Change) -> bool:
    """Whether the Pod has just finished, and with it what it held of its node."""
    return b'"Succeeded"' in change.record.body or b'"Failed"' in change.record.body


def _label_place(pod: Object, node: Object) -> None:
    """A Pod carries the zone and region of its node, as documented for well-known labels of topology."""
    labels = (node.get("metadata") or {}).get("labels") or {}
    found = {name: labels[name] for name in _PLACES if name in labels}
    if found:
        pod["metadata"]["labels"] = {**(pod["metadata"].get("labels") or {}), **found}


def _ends(pod: Object) -> bool:
    return bool(pod["spec"].get("restartPolicy", "Always") != "Always")


def _is_settled(pod: Object) -> bool:
    """Whether nothing more will happen by itself, for a Pod that came with a snapshot."""
    if _ends(pod):
        return False
    states = [c["state"] for c in pod["status"]["containerStatuses"]]
    is_refused: bool = any(state.get("waiting", {}).get("reason") == "ImagePullBackOff" for state in states)
    return is_refused or is_ready(pod) or all("running" in state for state in states)


def _after(
    container: Mapping[str, Any], before: Mapping[str, Any], fate: Fate, pod_name: str, now: str
) -> dict[str, Any]:
    """A container's status once it met its fate."""
    match fate:
        case Fate.BAD_IMAGE:
            message = f'Back-off pulling image "{container["image"]}"'
            return _container_status(container, {"waiting": {"reason": "ImagePullBackOff", "message": message}})
        case Fate.STUCK:
            return _container_status(container, {"waiting": {"reason": "ContainerCreating"}})
        case Fate.CRASH:
            restarts = before.get("restartCount", 0) + 1
            message = f"back-off 40s restarting failed container={container['name']} pod={pod_name}"
            state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
            last = {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": now, "finishedAt": now}}
            return {**_container_status(container, state), "lastState": last, "restartCount": restarts}
        case Fate.NOT_READY:
            state = before.get("state", {}) if "running" in before.get("state", {}) else {"running": {"startedAt": now}}
            return {**_container_status(container, state), "started": True}
        case Fate.FINE:
            state = before.get("state", {}) if "running" in before.get("state", {}) else {"running": {"startedAt": now}}
            return {**_container_status(container, state), "started": True, "ready": True}


def _container_status(container: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": container["name"],
        "state": dict(state),
        "lastState": {},
        "ready": False,
        "restartCount": 0,
        "image": container.get("image", ""),
        "imageID": "",
        "started": False,
    }


def _condition(kind: str, status: str, now: str, *, reason: str = "", message: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": now}
    if reason:
        found["reason"] = reason
    if message:
        found["message"] = message
    return found


def _conditions(pod: Object, now: str, *, ready: bool) -> list[dict[str, Any]]:
    before = {c["type"]: c for c in pod["status"].get("conditions", [])}
    unready = [c["name"] for c in pod["status"]["containerStatuses"] if not c["ready"]]
    message = f"containers with unready status: [{' '.join(unready)}]"
    why = {} if ready else {"reason": "ContainersNotReady", "message": message}
    word = "True" if ready else "False"
    made = [
        _condition("PodReadyToStartContainers", "True", now),
        _condition("Initialized", "True", now),
        _condition("Ready", word, now, **why),
        _condition("ContainersReady", word, now, **why),
        _condition("PodScheduled", "True", now),
    ]
    for found in made:
        old = before.get(found["type"])
        if old is not None and old["status"] == found["status"]:
            found["lastTransitionTime"] = old["lastTransitionTime"]
    return made
