"""The roles every cluster has from the start, as a table of facts.

Reduced to what the resources served here need. `admin`, `edit` and `view` are put together from other roles by their
labels, see `life/roles.py`. https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from addonry.simulator.resources import Resource, built_in
from addonry.simulator.storage import Object, new_uid

AGGREGATE: Final = "rbac.authorization.k8s.io/aggregate-to-{}"
_READ: Final = ["get", "list", "watch"]
_WRITE: Final = ["create", "delete", "deletecollection", "patch", "update"]
_ALL: Final = [*_WRITE, *_READ]

# API group (`-` is the core's) and resources, as tables; a group may take several lines.
_VIEWED: Final = """
-                  bindings configmaps endpoints events limitranges namespaces namespaces/status
-                  persistentvolumeclaims persistentvolumeclaims/status pods pods/log pods/status
-                  replicationcontrollers replicationcontrollers/scale replicationcontrollers/status
-                  resourcequotas resourcequotas/status serviceaccounts services services/status
apps               controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status
apps               replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status
autoscaling        horizontalpodautoscalers horizontalpodautoscalers/status
batch              cronjobs cronjobs/status jobs jobs/status
discovery.k8s.io   endpointslices
networking.k8s.io  ingresses ingresses/status networkpolicies
policy             poddisruptionbudgets poddisruptionbudgets/status
"""
_READABLE: Final = """
-                  pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy
"""
_EDITED: Final = """
-                  configmaps events persistentvolumeclaims pods pods/attach pods/exec pods/portforward pods/proxy
-                  replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy
apps               daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale
apps               statefulsets statefulsets/scale
autoscaling        horizontalpodautoscalers
batch              cronjobs jobs
networking.k8s.io  ingresses networkpolicies
policy             poddisruptionbudgets
"""


def _rules(table: str, verbs: list[str]) -> list[dict[str, Any]]:
    lines = (line.split() for line in table.strip().splitlines())
    return [{"apiGroups": ["" if group == "-" else group], "resources": what, "verbs": verbs} for group, *what in lines]


def _paths(*paths: str) -> list[dict[str, Any]]:
    return [{"nonResourceURLs": list(paths), "verbs": ["get"]}]


_CREATED: Final = [
    {"apiGroups": [""], "resources": ["pods/eviction", "serviceaccounts/token"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": _ALL},
]

# Name, the role it is a part of, rules.
_PARTS: Final[tuple[tuple[str, str, list[dict[str, Any]]], ...]] = (
    ("system:aggregate-to-view", "view", _rules(_VIEWED, _READ)),
    ("system:aggregate-to-edit", "edit", [*_rules(_READABLE, _READ), *_CREATED, *_rules(_EDITED, _WRITE)]),
    (
        "system:aggregate-to-admin",
        "admin",
        [
            {"apiGroups": ["authorization.k8s.io"], "resources": ["localsubjectaccessreviews"], "verbs": ["create"]},
            {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings", "roles"], "verbs": _ALL},
        ],
    ),
)
# Of which roles the aggregated ones are a part themselves.
_AGGREGATED: Final = (("view", "edit"), ("edit", "admin"), ("admin", ""))

_SELF_REVIEWS: Final = [
    {
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        "verbs": ["create"],
    },
    {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]},
]
_EVERYTHING: Final = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
]
_HEALTH: Final = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_DISCOVERY: Final = ("/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez")
_MORE_DISCOVERY: Final = ("/openapi", "/openapi/*", "/readyz", "/version", "/version/")

# Name, rules, the groups it is bound to.
_BOUND: Final[tuple[tuple[str, list[dict[str, Any]], tuple[str, ...]], ...]] = (
    ("cluster-admin", _EVERYTHING, ("system:masters",)),
    ("system:basic-user", _SELF_REVIEWS, ("system:authenticated",)),
    ("system:discovery", _paths(*_DISCOVERY, *_MORE_DISCOVERY), ("system:authenticated",)),
    ("system:public-info-viewer", _paths(*_HEALTH), ("system:authenticated", "system:unauthenticated")),
)


def default_roles(now: str) -> Iterator[tuple[Resource, Object]]:
    """The first ClusterRoles and bindings; the rules of the aggregated ones are written by their controller."""
    roles, bindings = (built_in("rbac.authorization.k8s.io", f"clusterrole{end}") for end in ("s", "bindings"))
    for name, whole, rules in _PARTS:
        yield roles, {"metadata": _metadata(name, now, {AGGREGATE.format(whole): "true"}), "rules": rules}
    for name, whole in _AGGREGATED:
        labels = {AGGREGATE.format(whole): "true"} if whole else {}
        selectors = [{"matchLabels": {AGGREGATE.format(name): "true"}}]
        aggregation = {"aggregationRule": {"clusterRoleSelectors": selectors}}
        yield roles, {"metadata": _metadata(name, now, labels), "rules": [], **aggregation}
    for name, rules, groups in _BOUND:
        yield roles, {"metadata": _metadata(name, now, {}), "rules": rules}
        yield bindings, _binding(name, groups, now)


def _metadata(name: str, now: str, labels: dict[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "uid": new_uid(),
        "creationTimestamp": now,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults", **labels},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    }


def _binding(role: str, groups: tuple[str, ...], now: str) -> Object:
    group = "rbac.authorization.k8s.io"
    return {
        "metadata": _metadata(role, now, {}),
        "subjects": [{"kind": "Group", "apiGroup": group, "name": name} for name in groups],
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
    }
