"""What a user may do: Roles, ClusterRoles and their bindings, as Kubernetes evaluates them.

Asked once for each request of anybody but the administrator, and by the reviews with which clients ask beforehand.
See https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from addonry.simulator.access.users import Identity
from addonry.simulator.messages import Request
from addonry.simulator.resources import ResourceKey
from addonry.simulator.routing import Route
from addonry.simulator.storage import Object, ObjectKey, Store

GROUP: Final = "rbac.authorization.k8s.io"
ROLES: Final = ResourceKey(GROUP, "roles")
CLUSTER_ROLES: Final = ResourceKey(GROUP, "clusterroles")
ROLE_BINDINGS: Final = ResourceKey(GROUP, "rolebindings")
CLUSTER_ROLE_BINDINGS: Final = ResourceKey(GROUP, "clusterrolebindings")
_SERVICE_ACCOUNT: Final = "system:serviceaccount"
_NAMED: Final = {"GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "POST": "create"}
_UNNAMED: Final = {"GET": "list", "HEAD": "list", "DELETE": "deletecollection"}

Rule = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attributes:
    """What somebody wants to do, to a resource or, with a *path*, to something that is none."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @classmethod
    def of(cls, request: Request, route: Route | None) -> Attributes:
        """What a request is about."""
        if route is None or not route.plural:
            return cls(request.method.lower(), path=request.path)
        verb = _NAMED.get(request.method, request.method.lower())
        if not route.name:
            verb = _UNNAMED.get(request.method, verb)
        if request.method == "GET" and request.query.get("watch", "") not in ("", "false", "0"):
            verb = "watch"
        return cls(verb, route.group, route.plural, route.subresource, route.namespace, route.name)

    @property
    def what(self) -> str:
        """The resource as rules name it, `deployments/scale`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True, slots=True)
class Grant:
    """A rule and where it comes from."""

    rule: Rule
    why: str


class Authorizer:
    """Reads the roles and bindings of one cluster; keeps nothing, so a change holds from the next request on."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def allows(self, who: Identity, what: Attributes) -> bool:
        return self.reason(who, what) is not None

    def reason(self, who: Identity, what: Attributes) -> str | None:
        """Why it is allowed; None when it is not."""
        if who.is_unrestricted:
            return ""
        return next((grant.why for grant in self.grants(who, what.namespace) if covers(grant.rule, what)), None)

    def grants(self, who: Identity, namespace: str) -> Iterator[Grant]:
        """The rules that hold for somebody everywhere, and in a namespace."""
        for record in self._store.records(CLUSTER_ROLE_BINDINGS):
            yield from self._granted(record.decode(), who, "")
        if namespace:
            for record in self._store.records(ROLE_BINDINGS, namespace):
                yield from self._granted(record.decode(), who, namespace)

    def rules_of(self, reference: Mapping[str, Any], namespace: str) -> Sequence[Rule]:
        """The rules of the role that a binding names; a role that is missing has none."""
        key = (
            ObjectKey(ROLES, namespace, reference.get("name", ""))
            if reference.get("kind") == "Role"
            else ObjectKey(CLUSTER_ROLES, "", reference.get("name", ""))
        )
        record = self._store.get(key)
        return () if record is None else record.decode().get("rules") or ()

    def _granted(self, binding: Object, who: Identity, namespace: str) -> Iterator[Grant]:
        subject = next((s for s in binding.get("subjects") or () if _is(s, who, namespace)), None)
        if subject is None:
            return
        role, name = binding.get("roleRef") or {}, binding["metadata"]["name"]
        bound = f'RoleBinding "{name}/{namespace}"' if namespace else f'ClusterRoleBinding "{name}"'
        to = f'{subject.get("kind")} "{_shown(subject)}"'
        why = f'RBAC: allowed by {bound} of {role.get("kind")} "{role.get("name")}" to {to}'
        for rule in self.rules_of(role, namespace):
            # What is bound in a namespace says nothing about paths outside of all of them.
            if not (namespace and rule.get("nonResourceURLs")):
                yield Grant(rule, why)


def covers(rule: Rule, what: Attributes) -> bool:
    """Whether a rule admits it."""
    if not _lists(rule.get("verbs"), what.verb):
        return False
    if what.path:
        return any(_is_path(pattern, what.path) for pattern in rule.get("nonResourceURLs") or ())
    if not _lists(rule.get("apiGroups"), what.group) or not _has_resource(rule, what):
        return False
    names = rule.get("resourceNames") or ()
    return not names or what.name in names


def _has_resource(rule: Rule, what: Attributes) -> bool:
    listed = rule.get("resources") or ()
    return "*" in listed or what.what in listed or bool(what.subresource and f"*/{what.subresource}" in listed)


def _lists(listed: Sequence[str] | None, value: str) -> bool:
    return listed is not None and ("*" in listed or value in listed)


def _is_path(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else pattern == path


def _is(subject: Mapping[str, Any], who: Identity, namespace: str) -> bool:
    match subject.get("kind"):
        case "User":
            return subject.get("name") == who.name
        case "Group":
            return subject.get("name") in who.groups
        case "ServiceAccount":
            where = subject.get("namespace") or namespace
            return who.name == f"{_SERVICE_ACCOUNT}:{where}:{subject.get('name')}"
    return False


def _shown(subject: Mapping[str, Any]) -> str:
    name, namespace = subject.get("name"), subject.get("namespace")
    return f"{name}/{namespace}" if subject.get("kind") == "ServiceAccount" else str(name)
