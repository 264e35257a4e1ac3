"""Nobody grants rights that they do not have: what is asked when roles and bindings are written.

The verb `escalate` on a role lifts it for the role, `bind` on a role for its bindings; members of system:masters are
not asked. See https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from addonry.simulator import errors
from addonry.simulator.access.authorization import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    GROUP,
    ROLE_BINDINGS,
    ROLES,
    Attributes,
    Authorizer,
    Rule,
)
from addonry.simulator.access.users import Identity
from addonry.simulator.resources import Resource, built_in
from addonry.simulator.storage import Object, ObjectKey, Store

_MEMBERS: Final = (
    ("APIGroups", "apiGroups"),
    ("Resources", "resources"),
    ("NonResourceURLs", "nonResourceURLs"),
    ("ResourceNames", "resourceNames"),
    ("Verbs", "verbs"),
)
_EVERYTHING: Final = (
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
)


def refuse_escalation(store: Store, who: Identity, resource: Resource, obj: Object, old: Object | None) -> None:
    """Raise the 403 of a role or binding that would grant more than the writer has."""
    if resource.group != GROUP or who.is_unrestricted:
        return
    authorizer, name = Authorizer(store), obj["metadata"].get("name", "")
    namespace = obj["metadata"].get("namespace", "")
    if resource.key in (ROLES, CLUSTER_ROLES):
        if authorizer.allows(who, Attributes("escalate", GROUP, resource.plural, namespace=namespace, name=name)):
            return
        _refuse(authorizer, who, resource, name, namespace, obj.get("rules") or ())
        aggregation = obj.get("aggregationRule")
        if aggregation and aggregation != (old or {}).get("aggregationRule"):
            held = [grant.rule for grant in authorizer.grants(who, "")]
            if any(not _is_covered(part, held) for rule in _EVERYTHING for part in _parts(rule)):
                why = "must have cluster-admin privileges to use the aggregationRule"
                raise errors.forbidden(resource, name, why)
    elif resource.key in (ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS):
        role = obj.get("roleRef") or {}
        kind = ROLES if role.get("kind") == "Role" else CLUSTER_ROLES
        what = Attributes("bind", GROUP, kind.plural, namespace=namespace, name=role.get("name", ""))
        if authorizer.allows(who, what):
            return
        where = namespace if kind == ROLES else ""
        if store.get(ObjectKey(kind, where, role.get("name", ""))) is None:
            raise errors.not_found(built_in(*kind), role.get("name", ""))
        _refuse(authorizer, who, resource, name, namespace, authorizer.rules_of(role, namespace))


def _refuse(
    authorizer: Authorizer, who: Identity, resource: Resource, name: str, namespace: str, rules: Iterable[Rule]
) -> None:
    held = [grant.rule for grant in authorizer.grants(who, namespace)]
    missing = [part for rule in rules for part in _parts(rule) if not _is_covered(part, held)]
    if missing:
        groups = " ".join(json.dumps(group) for group in who.groups)
        listed = "\n".join(sorted({_shown(rule) for rule in _compact(missing)}))
        why = (
            f'user "{who.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n'
            f"{listed}"
        )
        raise errors.forbidden(resource, name, why)


def _parts(rule: Rule) -> Iterator[dict[str, Any]]:
    """The rule as many, each about one verb on one thing."""
    verbs = rule.get("verbs") or ()
    for group in rule.get("apiGroups") or ():
        for resource in rule.get("resources") or ():
            for verb in verbs:
                part = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
                names = rule.get("resourceNames") or ()
                yield from ({**part, "resourceNames": [each]} for each in names) if names else (part,)
    for url in rule.get("nonResourceURLs") or ():
        for verb in verbs:
            yield {"nonResourceURLs": [url], "verbs": [verb]}


def _is_covered(part: Rule, held: Iterable[Rule]) -> bool:
    return any(_covers(rule, part) for rule in held)


def _covers(rule: Rule, part: Rule) -> bool:
    if not _has(rule, "verbs", part["verbs"][0]):
        return False
    if urls := part.get("nonResourceURLs"):
        return any(_url_covers(url, urls[0]) for url in rule.get("nonResourceURLs") or ())
    resource = part["resources"][0]
    names, name = rule.get("resourceNames") or (), (part.get("resourceNames") or [None])[0]
    return (
        _has(rule, "apiGroups", part["apiGroups"][0])
        and (_has(rule, "resources", resource) or f"*/{resource.partition('/')[2]}" in (rule.get("resources") or ()))
        and (not names or name in names)
    )


def _has(rule: Rule, member: str, value: str) -> bool:
    listed = rule.get(member) or ()
    return "*" in listed or value in listed


def _url_covers(held: str, asked: str) -> bool:
    return held == asked or (held.endswith("*") and asked.startswith(held[:-1]))


def _compact(rules: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rules about one resource, with all of their verbs."""
    found: dict[str, dict[str, Any]] = {}
    for number, rule in enumerate(rules):
        simple = {key: value for key, value in rule.items() if key != "verbs"}
        name = json.dumps(simple) if "resources" in rule else str(number)
        if name in found:
            found[name]["verbs"] = [*found[name]["verbs"], *rule["verbs"]]
        else:
            found[name] = dict(rule)
    return list(found.values())


def _shown(rule: Rule) -> str:
    """A rule as Go's %q writes its lists."""
    parts = [
        f"{shown}:[{' '.join(json.dumps(each) for each in rule[member])}]"
        for shown, member in _MEMBERS
        if rule.get(member)
    ]
    return f"{{{', '.join(parts)}}}"
