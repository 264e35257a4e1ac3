"""When two answers count as equal: what varies from run to run is replaced, the rest must be the same.

Both answers are brought into one form by the same rules, one `Side` each, which remembers what it has seen so far;
then they are compared member by member. The rules follow what differs between two runs of one real cluster: uids,
versions, moments, addresses, generated names. What is replaced keeps its identity where identity means something: an
object that was made anew has another uid, and the comparison sees it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

_UID: Final = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_RANDOM: Final = "[bcdfghjklmnpqrstvwxz2456789]"
_TEXTS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(rf"kube-api-access-{_RANDOM}{{5}}\b"), "kube-api-access-*"),
    (re.compile(rf"-{_RANDOM}{{8,10}}-{_RANDOM}{{5}}\b"), "-H-*"),
    (re.compile(rf"-{_RANDOM}{{8,10}}\b"), "-H"),
    (re.compile(rf"-{_RANDOM}{{5}}\b"), "-*"),
    (re.compile(rf"pod-template-hash={_RANDOM}+"), "pod-template-hash=H"),
    (re.compile(r"\.[0-9a-f]{16}\b"), ".E"),
    (re.compile(r"f:(sim/|simulated-)exit-code$"), "f:EXIT CODE"),
    (re.compile(r"^(sim/|simulated-)exit-code$"), "EXIT CODE"),
    (re.compile(r"\bnode-\d\b"), "NODE"),
    (re.compile(r"\bdefault-scheduler-[a-z-]+"), "default-scheduler-HOST"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"), "TIME"),
    (re.compile(r"(?<=esource version: )\d+( \(\d+\)|, current: \d+)?"), "V"),
    (re.compile(r"(?<=in record \()\d+"), "V"),
    (re.compile(r'(resourceVersion\\*":\\*")\d+'), r"\g<1>V"),
    (re.compile(r"\b(10|127)(\.\d{1,3}){3}\b"), "ADDRESS"),
    (re.compile(r"\b\d+(\.\d+)?(ms|s)\b"), "SECONDS"),
)
_AGE: Final = re.compile(r"^(\d+[dhms]|<invalid>)+( \((\d+[dhms])+ ago\))?$")
_PORT: Final = re.compile(r"(?<=:)3\d{4}(?=/)")
_MOMENTS: Final = frozenset(
    (
        *("creationTimestamp", "deletionTimestamp", "time", "lastTransitionTime", "lastUpdateTime"),
        *("lastHeartbeatTime", "lastProbeTime", "startTime", "completionTime", "startedAt", "finishedAt"),
        *("firstTimestamp", "lastTimestamp", "eventTime", "renewTime", "acquireTime"),
        *("lastScheduleTime", "lastSuccessfulTime"),
    )
)
_HASHES: Final = (
    *("pod-template-hash", "controller-revision-hash", "controller.kubernetes.io/hash"),
    *("currentRevision", "updateRevision"),
)
# Nobody applies the fields that controllers own, so the simulator does not track them.
_CONTROLLERS: Final = frozenset(
    ("kube-controller-manager", "kubelet", "kube-scheduler", "kube-apiserver", "kubelet-simulation")
)
# What Go embeds, and JSON inlines.
_EMBEDDED: Final = frozenset(("volumeSource", "localObjectReference"))
_VARYING: Final[Mapping[str, str]] = {
    "retryAfterSeconds": "SECONDS",
    "nodePort": "PORT",
    "release": "RELEASE",
    "ca.crt": "CERTIFICATE",
    "uid": "UID",
    "nodeName": "NODE",
    "topology.kubernetes.io/zone": "ZONE",
    "credential-id": "CREDENTIAL",
    "token": "TOKEN",
}
# While a rollout gets on, which of these stands there depends on whether two controllers' writes met in a conflict.
_GETTING_ON: Final = frozenset(("NewReplicaSetCreated", "FoundNewReplicaSet", "ReplicaSetUpdated"))
_VARYING_NUMBERS: Final = frozenset(("retryAfterSeconds", "nodePort"))

Difference = tuple[str, Any, Any]
_ABSENT: Final = "(absent)"


class Side:
    """What one server has shown so far."""

    def __init__(self) -> None:
        self._uids: dict[str, str] = {}
        self._numbers: dict[str, int] = {}

    def form(self, value: Any) -> Any:
        """*value* with everything replaced that varies."""
        return self._form("", self._ordered(value))

    def plain(self, value: Any) -> str:
        """The content of an object without anything that tells two alike objects apart; for sorting."""
        shown = {key: part for key, part in value.items() if key != "status"} if isinstance(value, dict) else value
        return json.dumps(Side()._form("", shown, learn=False), sort_keys=True)

    def _ordered(self, value: Any) -> Any:
        """Learn the uids of *value*, in an order that does not depend on generated names."""
        if isinstance(value, dict):
            name, uid = value.get("name"), value.get("uid")
            if isinstance(name, str) and isinstance(uid, str) and uid not in self._uids:
                self._learn(name, uid)
            return {key: self._ordered(part) for key, part in value.items()}
        if isinstance(value, list):
            return [self._ordered(part) for part in value]
        return value

    def _learn(self, name: str, uid: str) -> None:
        known = text_of(name)
        if known != name:
            self._uids[uid] = f"uid of {known}"
            return
        self._numbers[name] = self._numbers.get(name, 0) + 1
        self._uids[uid] = f"uid of {name} #{self._numbers[name]}"

    def _form(self, key: str, value: Any, *, learn: bool = True) -> Any:
        match value:
            case dict():
                return self._members(value, learn=learn)
            case list():
                return self._items(key, value, learn=learn)
            case str():
                return self._string(key, value)
        return _VARYING.get(key, value) if key in _VARYING_NUMBERS else value

    def _members(self, value: Mapping[str, Any], *, learn: bool) -> dict[str, Any]:
        found = {self._text(key): self._form(key, part, learn=learn) for key, part in value.items()}
        found.pop("gitCommit", None)
        found.pop("terminatingReplicas", None)  # how many are just on their way out
        if found.get("type") == "Progressing" and found.get("reason") in _GETTING_ON:
            found |= {"reason": "gets on", "message": "gets on"}
        _say_if_behind(found)
        if "columnDefinitions" in found:
            columns = found["columnDefinitions"] or []
            found["columnDefinitions"] = [{k: v for k, v in c.items() if k != "description"} for c in columns] or None
        if found.get("type") == "BOOKMARK":
            # A bookmark is an object of its kind with nothing but its version; Go writes out empty structs.
            shown = found["object"]
            marks = (shown["metadata"].get("annotations") or {}).get("k8s.io/initial-events-end")
            found["object"] = {"kind": shown["kind"], "metadata": {"annotations": {"initial-events-end": marks}}}
        if "managedFields" in found:
            entries = [e for e in found["managedFields"] if e.get("manager") not in _CONTROLLERS]
            found.pop("managedFields")
            if entries:
                found["managedFields"] = sorted(entries, key=lambda e: json.dumps(e, sort_keys=True))
        return found

    def _items(self, key: str, value: list[Any], *, learn: bool) -> list[Any]:
        if key == "sources":
            # The recorded server's controllers also made a bundle of a downstream distribution, for every Pod to mount.
            value = [v for v in value if (v.get("configMap") or {}).get("name") != "openshift-service-ca.crt"]
        found = [self._form(key, part, learn=learn) for part in value]
        if key in ("items", "rows", "conditions", "causes", "ownerReferences"):
            found.sort(key=lambda part: json.dumps(part, sort_keys=True))
        return found

    def _string(self, key: str, value: str) -> str:
        if not value:
            return value
        if key in _MOMENTS:
            return "TIME"
        if key == "resourceVersion":
            return value if value == "0" else "V"
        if key == "continue":
            return _continued(value)
        if key in _HASHES:
            return "H"
        if key == "uid":
            return self._uids.get(value, "UID")
        if key in _VARYING:
            return _VARYING[key]
        if key == "cells" and _AGE.match(value):
            return "AGE"
        return self._text(value)

    def _text(self, value: str) -> str:
        return text_of(_UID.sub(lambda found: self._uids.get(found.group(), "UID"), value))


def _say_if_behind(shown: dict[str, Any]) -> None:
    """Which generation a controller saw last depends on its pace; that it has not seen the newest is what counts."""
    metadata, status = shown.get("metadata"), shown.get("status")
    if isinstance(metadata, dict) and isinstance(status, dict) and "observedGeneration" in status:
        seen = status["observedGeneration"] == metadata.get("generation")
        shown["status"] = {**status, "observedGeneration": "current" if seen else "behind"}


def text_of(value: str) -> str:
    """A text with everything replaced that varies."""
    if value.startswith("{") and '"apiVersion"' in value:
        return value  # the last applied configuration is the client's own text
    for pattern, said in _TEXTS:
        value = pattern.sub(said, value)
    return _PORT.sub("PORT", value)


def _continued(token: str) -> str:
    try:
        found = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return f"continue at {text_of(found['start'])}"
    except (ValueError, KeyError):
        return "a continue token"


def plain_protobuf(value: Any) -> Any:
    """What a protobuf answer was written down as: empty members may be missing, embedded messages have names."""
    if isinstance(value, dict):
        kept = {key: plain_protobuf(part) for key, part in value.items()}
        for embedded in _EMBEDDED & kept.keys():
            kept |= kept.pop(embedded) or {}
        return {key: part for key, part in kept.items() if part not in ({}, [], "", 0, None, False)}
    return [plain_protobuf(part) for part in value] if isinstance(value, list) else value


def differences(expected: Any, actual: Any, where: str = "") -> Iterator[Difference]:
    """Where two formed values differ, innermost first."""
    match expected, actual:
        case dict(), dict():
            for key in sorted({*expected, *actual}):
                inside = f"{where}.{key}" if where else key
                yield from differences(expected.get(key, _ABSENT), actual.get(key, _ABSENT), inside)
        case list(), list() if len(expected) == len(actual):
            for left, right in zip(expected, actual, strict=True):
                yield from differences(left, right, f"{where}[]")
        case _ if expected != actual:
            yield where, expected, actual


_PAIRED: Final = frozenset(("uid", "continue", "nodeName", "controller-uid", *_HASHES))


_FAR_FUTURE: Final = 50_000
_TELLING: Final = 6  # so many letters of a name that they mean nothing else


class Pairs:
    """Which value of the simulated cluster stands for which recorded one."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._taken: set[str] = set()
        self._versions: dict[str, str] = {}

    def learn(self, recorded: Any, actual: Any, by: Callable[[Any], str]) -> None:
        """Walk through two answers that tell the same, and note what is called differently."""
        match recorded, actual:
            case dict(), dict():
                for key, value in recorded.items():
                    if key in actual:
                        self._note(key, value, actual[key], by)
            case list(), list():
                self._pair(recorded, actual, by)

    def _note(self, key: str, value: Any, actual: Any, by: Callable[[Any], str]) -> None:
        if not isinstance(value, str) or not isinstance(actual, str):
            self.learn(value, actual, by)
        elif key == "resourceVersion":
            self._versions[value] = actual
        elif value == actual or value in self._values or actual in self._taken:
            return
        elif key in _PAIRED or (key == "name" and text_of(value) == text_of(actual) != value):
            self._values[value] = actual
            self._taken.add(actual)

    def _pair(self, recorded: list[Any], actual: list[Any], by: Callable[[Any], str]) -> None:
        if not all(isinstance(part, dict) for part in (*recorded, *actual)):
            return
        left, right = list(recorded), list(actual)
        for alike in (by, _image_and_template):
            left, right = self._pair_alike(left, right, by=alike, tell=by)
        if len(left) == len(right):
            for one, other in zip(left, right, strict=True):
                self.learn(one, other, by)

    def _pair_alike(
        self, left: list[Any], right: list[Any], *, by: Callable[[Any], str], tell: Callable[[Any], str]
    ) -> tuple[list[Any], list[Any]]:
        """Learn from those that are alike *by* something; the others come back."""
        left = sorted(left, key=lambda part: self._values.get(_name(part), _name(part)))
        waiting = sorted(right, key=_name)
        alone = []
        for one in left:
            other = next((part for part in waiting if by(part) == by(one)), None)
            if other is None:
                alone.append(one)
            else:
                waiting.remove(other)
                self.learn(one, other, tell)
        return alone, waiting

    def translate(self, value: Any, key: str = "") -> Any:
        """A recorded request, with the simulated cluster's values in it."""
        if isinstance(value, dict):
            if str(value.get("path", "")).endswith("/resourceVersion") and isinstance(value.get("value"), str):
                return {**value, "value": self._version(value["value"])}
            return {key: self.translate(part, key) for key, part in value.items()}
        if isinstance(value, list):
            return [self.translate(part, key) for part in value]
        if not isinstance(value, str):
            return value
        if key == "resourceVersion":
            return self._version(value)
        if key in ("$base64", "image"):
            return value
        return self.text(value)

    def _version(self, value: str) -> str:
        """The version that stands for a recorded one; between two that are known, the older."""
        if value in self._versions or not value.isdigit():
            return self._versions.get(value, value)
        older = [known for known in self._versions if known.isdigit() and int(known) <= int(value)]
        newest = max((int(known) for known in self._versions if known.isdigit()), default=0)
        if not older or int(value) > newest + _FAR_FUTURE:
            return value
        return self._versions[max(older, key=int)]

    def text(self, value: str) -> str:
        if value in self._values:
            return self._values[value]
        for known in sorted(self._values, key=len, reverse=True):  # a name before the hash that is a part of it
            if len(known) >= _TELLING and known in value:
                value = value.replace(known, self._values[known])
        return value


def _image_and_template(part: Mapping[str, Any]) -> str:
    """What an object runs, which tells the ReplicaSets and Pods of one rollout apart while their sizes change."""
    spec = part.get("spec") or {}
    template = (spec.get("template") or {}).get("spec") or spec
    images = [(container.get("image"), container.get("env")) for container in template.get("containers") or ()]
    return json.dumps([text_of(_name(part)), images], sort_keys=True)


def _name(part: Mapping[str, Any]) -> str:
    found = part.get("metadata") or (part.get("object") or {}).get("metadata") or part
    return str(found.get("name", ""))
