"""Logs of containers: nothing runs in them, so what they say is made up, or set by a test.

A test or scenario sets the text with the annotation `simulated-log` of the Pod (`simulated-log.CONTAINER` for one
container of several), or for whole clusters with `SimulatedCluster.say`, by a word of the image's name, as for all that
becomes of a container. Refusals use the words of kube-apiserver and kubelet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from addonry.simulator import errors
from addonry.simulator.life.pods import Fate, fate_of
from addonry.simulator.messages import is_number

ANNOTATION: Final = "simulated-log"
_CRASHED: Final = "loading configuration\nfatal: cannot start: invalid configuration\n"
_NOT_READY: Final = "readiness: still waiting for what the container needs\n"


def log_of(pod: Mapping[str, Any], query: Mapping[str, str], said: Mapping[str, str]) -> str:
    """The answer to a request for a log; *said* is what containers say, by a word of their image."""
    container = _container(pod, query.get("container", ""))
    status = _status(pod, container["name"])
    previous = query.get("previous", "") in ("true", "1")
    started = _started_at(pod, status, container["name"], previous=previous)
    lines = _text(pod, container, said).splitlines()
    if (tail := _number(query, "tailLines")) is not None:
        lines = lines[max(len(lines) - tail, 0) :]
    if query.get("timestamps", "") in ("true", "1"):
        lines = [f"{started} {line}" for line in lines]
    text = "".join(f"{line}\n" for line in lines)
    limit = _number(query, "limitBytes")
    return text if limit is None else text.encode()[:limit].decode(errors="ignore")


def _container(pod: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    spec, pod_name = pod["spec"], pod["metadata"]["name"]
    containers: list[dict[str, Any]] = spec.get("containers") or []
    everything: list[dict[str, Any]] = [*containers, *(spec.get("initContainers") or ())]
    if not name:
        if len(containers) == 1:
            return containers[0]
        choices = " ".join(c["name"] for c in containers)
        message = f"a container name must be specified for pod {pod_name}, choose one of: [{choices}]"
        raise errors.bad_request(message)
    found = next((c for c in everything if c["name"] == name), None)
    if found is None:
        raise errors.bad_request(f"container {name} is not valid for pod {pod_name}")
    return found


def _status(pod: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return next((status for status in statuses if status["name"] == name), {})


def _started_at(pod: Mapping[str, Any], status: Mapping[str, Any], name: str, *, previous: bool) -> str:
    """When the run began that the log is of; raises where there was none."""
    pod_name, state = pod["metadata"]["name"], status.get("state") or {}
    last = (status.get("lastState") or {}).get("terminated")
    if previous:
        if not last:
            message = f'previous terminated container "{name}" in pod "{pod_name}" not found'
            raise errors.bad_request(message)
        return str(last["startedAt"])
    # Between two attempts the log is that of the last one.
    run = state.get("running") or state.get("terminated") or last
    if run:
        return str(run["startedAt"])
    reason = (state.get("waiting") or {}).get("reason", "")
    why = "trying and failing to pull image" if reason == "ImagePullBackOff" else reason or "ContainerCreating"
    link = "is waiting to start:"
    raise errors.bad_request(f'container "{name}" in pod "{pod_name}" {link} {why}')


def _text(pod: Mapping[str, Any], container: Mapping[str, Any], said: Mapping[str, str]) -> str:
    annotations = pod["metadata"].get("annotations") or {}
    name, image = container["name"], container.get("image", "")
    for annotation in (f"{ANNOTATION}.{name}", ANNOTATION):
        if annotation in annotations:
            return str(annotations[annotation])
    for word, text in said.items():
        if word in image:
            return text
    first = f"This is the simulated log of container {name} of pod {pod['metadata']['name']}; nothing runs in it.\n"
    more = {Fate.CRASH: _CRASHED, Fate.NOT_READY: _NOT_READY}
    return first + more.get(fate_of(image), "")


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    if not is_number(text):
        said = f'Invalid value: "{text}": must be a whole number that is not negative'
        raise errors.invalid_options("PodLogOptions", "FieldValueInvalid", said, name)
    return int(text)
