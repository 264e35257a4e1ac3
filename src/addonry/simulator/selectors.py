"""Label and field selectors, as query parameters and as they stand in objects.

See https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api and
https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/
A field selector that a resource does not support is refused, as the real server does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from addonry.simulator.errors import ApiError, bad_request
from addonry.simulator.resources import Resource

_TOKEN: Final = re.compile(r"\s*(==|!=|=|\(|\)|,|!|>|<|[^\s,()=!<>]+)")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label."""

    key: str
    operator: str  # in, notin, exists, absent
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        match self.operator:
            case "exists":
                return self.key in labels
            case "absent":
                return self.key not in labels
            case "in":
                return self.key in labels and labels[self.key] in self.values
            case "gt" | "lt":
                return self._compare(labels.get(self.key))
            case _:
                return labels.get(self.key) not in self.values

    def _compare(self, value: str | None) -> bool:
        try:
            left, right = int(value or ""), int(next(iter(self.values)))
        except ValueError:
            return False
        return left > right if self.operator == "gt" else left < right


LabelSelector = tuple[Requirement, ...]
_EMPTY: Final[Mapping[str, str]] = {}


def matches(selector: LabelSelector, labels: Mapping[str, str] | None) -> bool:
    """Whether all requirements hold; an empty selector selects everything."""
    return all(requirement.holds(labels or _EMPTY) for requirement in selector)


def from_object(selector: Mapping[str, Any] | None) -> LabelSelector:
    """The `selector` of a workload: matchLabels and matchExpressions."""
    if not selector:
        return ()
    requirements = [
        Requirement(key, "in", frozenset([value])) for key, value in (selector.get("matchLabels") or {}).items()
    ]
    words = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}
    for expression in selector.get("matchExpressions") or ():
        values = frozenset(expression.get("values") or ())
        requirements.append(Requirement(expression["key"], words[expression["operator"]], values))
    return tuple(requirements)


def parse_labels(text: str) -> LabelSelector:
    """A labelSelector as sent; raises a 400 for one that cannot be read."""
    return _LabelParser(text).parse() if text.strip() else ()


class _LabelParser:
    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        self._at = 0

    def parse(self) -> LabelSelector:
        found = [self._requirement()]
        while self._peek() == ",":
            self._next()
            found.append(self._requirement())
        if self._peek():
            raise self._refusal("',' or 'end of string'")
        return tuple(found)

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._next()
            return Requirement(self._word(), "absent")
        key = self._word()
        match self._peek():
            case "=" | "==":
                self._next()
                return Requirement(key, "in", frozenset([self._value()]))
            case "!=":
                self._next()
                return Requirement(key, "notin", frozenset([self._value()]))
            case ">" | "<" as sign:
                self._next()
                return Requirement(key, "gt" if sign == ">" else "lt", frozenset([self._value()]))
            case "in" | "notin" as word:
                self._next()
                return Requirement(key, word, self._set())
            case "" | ",":
                return Requirement(key, "exists")
        raise self._refusal("in, notin, =, ==, !=, gt, lt")

    def _set(self) -> frozenset[str]:
        if self._next() != "(":
            self._at -= 1
            raise self._refusal("'('")
        values = [self._value()]
        while self._peek() == ",":
            self._next()
            values.append(self._value())
        if self._next() != ")":
            self._at -= 1
            raise self._refusal("')'")
        return frozenset(values)

    def _value(self) -> str:
        # An empty value is allowed: `a=` asks for the empty string.
        return "" if self._peek() in ("", ",", ")") else self._word()

    def _word(self) -> str:
        token = self._peek()
        if not token or token in ("=", "==", "!=", "(", ")", ",", "!", ">", "<"):
            raise self._refusal("identifier")
        return self._next()

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _refusal(self, expected: str) -> ApiError:
        return bad_request(f"unable to parse requirement: found '{self._peek()}', expected: {expected}")


# Beyond metadata.name and metadata.namespace, which every resource has.
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "secrets": ("type",),
    "namespaces": ("status.phase",),
    "nodes": ("spec.unschedulable",),
    "jobs": ("status.successful",),
    "replicasets": ("status.replicas",),
    "replicationcontrollers": ("status.replicas",),
    "services": ("spec.clusterIP", "spec.type"),
    "certificatesigningrequests": ("spec.signerName",),
}

# The fields of views, by what they are called where the object is kept.
_VIEWED: Final[Mapping[str, Mapping[str, str]]] = {
    "events.events.k8s.io": {
        "metadata.name": "metadata.name",
        "metadata.namespace": "metadata.namespace",
        "reason": "reason",
        "reportingController": "reportingComponent",
        "type": "type",
        **{
            f"regarding.{member}": f"involvedObject.{member}"
            for member in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
        },
    }
}

FieldSelector = tuple[tuple[str, str, bool], ...]  # path, value, whether it must be equal


def parse_fields(text: str, resource: Resource) -> FieldSelector:
    """A fieldSelector as sent; raises a 400 for a field that this resource does not offer."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        path, sign, value = _split_field(part, text)
        kept = _fields_of(resource).get(path)
        if kept is None:
            raise bad_request(_unknown_field(path, resource))
        found.append((kept, value, sign))
    return tuple(found)


def _fields_of(resource: Resource) -> Mapping[str, str]:
    """The fields that can be asked for, and what each is called in the stored object."""
    if resource.qualified in _VIEWED:
        return _VIEWED[resource.qualified]
    own = () if resource.is_custom else _FIELDS.get(resource.plural, ())
    return {path: path for path in ("metadata.name", "metadata.namespace", *own)}


def _split_field(part: str, text: str) -> tuple[str, bool, str]:
    for mark, equal in (("!=", False), ("==", True), ("=", True)):
        path, found, value = part.partition(mark)
        if found:
            return path, equal, value
    raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")


def _unknown_field(path: str, resource: Resource) -> str:
    if resource.plural in _FIELDS and not resource.is_custom:
        return f"field label not supported: {path}"
    return f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'


def fields_match(selector: FieldSelector, name: str, namespace: str, decode: Callable[[], Mapping[str, Any]]) -> bool:
    """Whether an object has these fields; *decode* is called only if something else than its name is asked."""
    obj: Mapping[str, Any] | None = None
    for path, value, equal in selector:
        if path == "metadata.name":
            actual = name
        elif path == "metadata.namespace":
            actual = namespace
        else:
            obj = decode() if obj is None else obj
            actual = _field(obj, path)
        if (actual == value) is not equal:
            return False
    return True


def _field(obj: Mapping[str, Any], path: str) -> str:
    if path == "source":
        return str((obj.get("source") or {}).get("component") or obj.get("reportingComponent") or "")
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        return "false" if path in ("spec.unschedulable", "spec.hostNetwork") else ""
    return str(value).lower() if isinstance(value, bool) else str(value)
