"""May this caller do that? The policy language of ACK's RAM, read and evaluated.

A document is refused when it is stored, so that evaluation never meets a malformed one. Grammar, evaluation order and
operators: https://www.alibabacloud.com/help/en/ram/user-guide/policy-structure-and-syntax and
https://www.alibabacloud.com/help/en/ram/user-guide/policy-evaluation-process. What those leave open is decided to the
side of refusing: a missing key satisfies negated operators only, so "Deny unless ..." holds; of several values each must
satisfy an Allow, and one is enough for a Deny.

To add an operator: a row in ``OPERATORS``. To add a condition key: its name in ``KEYS``, and its value where the gateway
builds a ``Question``.
"""

import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from addonry.model.access import Grants, Policy
from addonry.model.errors import InvalidParameter

LARGEST_DOCUMENT: Final = 6144
"""Characters of a document, as RAM limits it."""

KEYS: Final = frozenset(
    {
        "acs:CurrentTime",
        "acs:SecureTransport",
        "acs:SourceIp",
        "acs:MFAPresent",
        "acs:PrincipalARN",
        "acs:SourceVpc",
        "acs:VpcSourceIp",
        "acs:Service",
        "cs:AddonNames",
        "cs:AddonName",
        "cs:EnableAddonLogtailDs",
        "cs:EnableApiServerEip",
        "cs:ApiServerEipId",
    }
)
"""The condition keys of the documentation. Those that say nothing here (a VPC, MFA) are never there."""

TAG_KEYS: Final = ("acs:RequestTag/", "acs:ResourceTag/")

_ACTION: Final = re.compile(r"\*|[A-Za-z0-9_-]+:[A-Za-z0-9_*?]+")
_RESOURCE: Final = re.compile(r"\*|acs:[^:\s]*:[^:\s]*:[^:\s]*:\S+")


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants to do."""

    actions: tuple[str, ...]
    """The names of the action, the present one and older ones; a policy may use any."""
    resource: str
    """``acs:cs:REGION:ACCOUNT:cluster/ID``, or ``acs:cs:REGION:ACCOUNT:*`` when no cluster is addressed."""
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The values of condition keys; a key without a value is not in it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer, and what decided."""

    allowed: bool
    policy: str = ""
    """Empty when nothing matched."""
    statement: int = 0
    """Counted from 1."""

    @property
    def is_explicit(self) -> bool:
        """Whether a statement matched; a refusal without one is implicit."""
        return bool(self.policy)

    def __str__(self) -> str:
        return f"{self.policy}#{self.statement}" if self.policy else ""


def decide(grants: Grants, question: Question) -> Verdict:
    """Each layer must allow; in a layer a Deny wins over every Allow, and no match is a refusal."""
    verdict = Verdict(allowed=False)
    for layer in grants.layers:
        verdict = _decide(layer, question)
        if not verdict.allowed:
            return verdict
    return verdict


def _decide(policies: Iterable[Policy], question: Question) -> Verdict:
    allowing = Verdict(allowed=False)
    for policy in policies:
        for number, statement in enumerate(_read_kept(policy), 1):
            if not statement.covers(question):
                continue
            if not statement.allows:
                return Verdict(allowed=False, policy=policy.name, statement=number)
            if not allowing.allowed:
                allowing = Verdict(allowed=True, policy=policy.name, statement=number)
    return allowing


# A statement


@dataclass(frozen=True, slots=True)
class Condition:
    """One key under one operator."""

    key: str
    holds: Callable[[str, Any], bool]
    negated: bool
    values: tuple[Any, ...]

    def is_met(self, context: Mapping[str, tuple[str, ...]], *, allows: bool) -> bool:
        """Whether the context satisfies it."""
        given = context.get(self.key)
        if not given:
            return self.negated
        met = (any(self.holds(each, value) for value in self.values) is not self.negated for each in given)
        return all(met) if allows else any(met)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, ready to be asked."""

    allows: bool
    actions: tuple[str, ...]
    actions_excluded: bool
    resources: tuple[str, ...]
    resources_excluded: bool
    conditions: tuple[Condition, ...]

    def covers(self, question: Question) -> bool:
        """Whether action, resource and all conditions match."""
        named = any(matches(p.lower(), a.lower()) for p in self.actions for a in question.actions)
        there = any(matches(pattern, question.resource) for pattern in self.resources)
        if named is self.actions_excluded or there is self.resources_excluded:
            return False
        return all(each.is_met(question.context, allows=self.allows) for each in self.conditions)


def matches(pattern: str, text: str) -> bool:
    """Whether *text* is as *pattern* says: ``*`` any run of characters, ``?`` one. In at most len x len steps."""
    at = place = 0
    star, resume = -1, 0
    while at < len(text):
        if place < len(pattern) and pattern[place] == "*":
            star, resume = place, at
            place += 1
        elif place < len(pattern) and pattern[place] in {"?", text[at]}:
            place += 1
            at += 1
        elif star >= 0:
            resume += 1
            place, at = star + 1, resume
        else:
            return False
    return not pattern[place:].strip("*")


# Reading


def read(document: Any) -> tuple[Statement, ...]:
    """The statements of a policy document. Raises InvalidParameter that names the place which is wrong."""
    if not isinstance(document, Mapping):
        raise _wrong("", "must be a JSON object with Version and Statement")
    if len(json.dumps(document, ensure_ascii=False)) > LARGEST_DOCUMENT:
        raise _wrong("", f"must not be longer than {LARGEST_DOCUMENT} characters")
    _only(document, {"Version", "Statement"}, "")
    if document.get("Version") != "1":
        raise _wrong("Version", 'must be "1"')
    statements = _listed(document.get("Statement"))
    if not statements:
        raise _wrong("Statement", "must hold at least one statement")
    return tuple(_read_statement(each, f"Statement[{number}]") for number, each in enumerate(statements))


def _read_statement(given: Any, place: str) -> Statement:
    if not isinstance(given, Mapping):
        raise _wrong(place, "must be an object")
    _only(given, {"Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}, place)
    if given.get("Effect") not in {"Allow", "Deny"}:
        raise _wrong(f"{place}.Effect", "must be Allow or Deny")
    actions, actions_excluded = _either(given, "Action", _ACTION, "cs:DescribeClusterDetail", place)
    resources, resources_excluded = _either(given, "Resource", _RESOURCE, "acs:cs:*:*:cluster/*", place)
    conditions = given.get("Condition", {})
    if not isinstance(conditions, Mapping):
        raise _wrong(f"{place}.Condition", "must be an object")
    return Statement(
        given["Effect"] == "Allow",
        actions,
        actions_excluded,
        resources,
        resources_excluded,
        tuple(
            condition
            for operator, keys in conditions.items()
            for condition in _read_conditions(operator, keys, f"{place}.Condition.{operator}")
        ),
    )


def _either(
    given: Mapping[str, Any], name: str, shape: re.Pattern[str], example: str, place: str
) -> tuple[tuple[str, ...], bool]:
    """The patterns under *name* or under Not*name*, exactly one of which must be there."""
    excluded = f"Not{name}"
    if (name in given) is (excluded in given):
        raise _wrong(place, f"must have exactly one of {name} and {excluded}")
    patterns = _listed(given.get(name, given.get(excluded)))
    if not patterns or not all(isinstance(each, str) and shape.fullmatch(each) for each in patterns):
        raise _wrong(f"{place}.{name}", f"must hold patterns like {example} or *")
    return tuple(patterns), excluded in given


def _read_conditions(operator: str, keys: Any, place: str) -> Iterable[Condition]:
    known = OPERATORS.get(operator)
    if known is None:
        raise _wrong(place, f"is no operator; there are {', '.join(OPERATORS)}")
    if not isinstance(keys, Mapping) or not keys:
        raise _wrong(place, "must be an object of keys")
    for key, given in keys.items():
        if key not in KEYS and not any(key.startswith(tag) and key != tag for tag in TAG_KEYS):
            raise _wrong(f"{place}.{key}", "is no condition key")
        values = _listed(given)
        if not values or (operator == "Bool" and len(values) != 1):
            raise _wrong(f"{place}.{key}", "must have one value" if operator == "Bool" else "must have a value")
        try:
            read_values = tuple(known.read(_text(each)) for each in values)
        except (ValueError, InvalidOperation, TypeError) as error:
            raise _wrong(f"{place}.{key}", f"is not as {operator} needs it") from error
        yield Condition(key, known.holds, known.negated, read_values)


def _text(value: Any) -> str:
    # Bool and Numeric values may be JSON literals or text.
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise TypeError(value)


def _listed(value: Any) -> Sequence[Any]:
    """A single value may stand for a list of one, everywhere."""
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def _only(given: Mapping[str, Any], known: set[str], place: str) -> None:
    for name in given:
        if name not in known:
            raise _wrong(f"{place}.{name}".lstrip("."), "is no member of a policy")


def _wrong(place: str, what: str) -> InvalidParameter:
    return InvalidParameter("document", f"is no policy: {place or 'it'} {what}")


# Operators


@dataclass(frozen=True, slots=True)
class Operator:
    """How one operator reads the policy's values, and compares one of the request with one of them."""

    read: Callable[[str], Any]
    holds: Callable[[str, Any], bool]
    negated: bool = False


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _number(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(text)
    return number


def _flag(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(text)
    return text.lower() == "true"


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(text: str) -> Network:
    return ipaddress.ip_network(text, strict=False)


def _within(given: str, network: Network) -> bool:
    try:
        address = ipaddress.ip_address(given)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address in network


def _compared(reader: Callable[[str], Any], test: Callable[[Any, Any], bool]) -> Callable[[str, Any], bool]:
    def holds(given: str, value: Any) -> bool:
        try:
            return test(reader(given), value)
        except (ValueError, InvalidOperation):
            return False

    return holds


def _orders(prefix: str, reader: Callable[[str], Any]) -> dict[str, Operator]:
    tests: dict[str, Callable[[Any, Any], bool]] = {
        "Equals": lambda a, b: bool(a == b),
        "LessThan": lambda a, b: bool(a < b),
        "LessThanEquals": lambda a, b: bool(a <= b),
        "GreaterThan": lambda a, b: bool(a > b),
        "GreaterThanEquals": lambda a, b: bool(a >= b),
    }
    made = {f"{prefix}{name}": Operator(reader, _compared(reader, test)) for name, test in tests.items()}
    return {**made, f"{prefix}NotEquals": Operator(reader, _compared(reader, tests["Equals"]), negated=True)}


def _texts() -> dict[str, Operator]:
    tests: dict[str, Callable[[str, str], bool]] = {
        "Equals": lambda a, b: a == b,
        "EqualsIgnoreCase": lambda a, b: a.lower() == b.lower(),
        "Like": lambda a, b: matches(b, a),
    }
    positive = {f"String{name}": Operator(str, test) for name, test in tests.items()}
    negated = {f"StringNot{name}": Operator(str, test, negated=True) for name, test in tests.items()}
    return {**positive, **negated}


OPERATORS: Final[Mapping[str, Operator]] = {
    **_texts(),
    **_orders("Numeric", _number),
    **_orders("Date", _moment),
    "Bool": Operator(_flag, _compared(_flag, lambda a, b: bool(a == b))),
    "IpAddress": Operator(_network, _within),
    "NotIpAddress": Operator(_network, _within, negated=True),
}
"""The operators of the documentation; ``...IfExists`` and ``Null`` are none of them."""


# Policies that come with Addonry


def _system(name: str, description: str, *statements: Mapping[str, Any]) -> Policy:
    return Policy(name, {"Version": "1", "Statement": list(statements)}, description, is_system=True)


SYSTEM_POLICIES: Final[Mapping[str, Policy]] = {
    policy.name: policy
    for policy in (
        _system(
            "AdministratorAccess",
            "Everything, also users, keys and policies.",
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
        ),
        _system(
            "AliyunCSFullAccess",
            "Everything about clusters and their components.",
            {"Effect": "Allow", "Action": "cs:*", "Resource": "*"},
        ),
        _system(
            "AliyunCSReadOnlyAccess",
            "Reading clusters and components; no kubeconfig can be downloaded.",
            {
                "Effect": "Allow",
                "Action": ["cs:Get*", "cs:List*", "cs:Describe*", "cs:Query*", "cs:Check*"],
                "Resource": "*",
            },
            {
                "Effect": "Deny",
                "Action": [
                    "cs:DescribeClusterUserKubeconfig",
                    "cs:DescribeClusterV2UserKubeconfig",
                    "cs:GetUserConfig",
                ],
                "Resource": "*",
            },
        ),
    )
}
"""By name. ACK's own are named but not published as documents (RAM, System policies for ACK)."""

_KEPT: Final[dict[int, tuple[Policy, tuple[Statement, ...]]]] = {}
_KEPT_AT_MOST: Final = 1024


def _read_kept(policy: Policy) -> tuple[Statement, ...]:
    # By identity: policies come from a cache, call after call, and their documents cannot be hashed.
    kept = _KEPT.get(id(policy))
    if kept is None or kept[0] is not policy:
        if len(_KEPT) >= _KEPT_AT_MOST:
            _KEPT.clear()
        kept = _KEPT[id(policy)] = (policy, read(policy.document))
    return kept[1]
