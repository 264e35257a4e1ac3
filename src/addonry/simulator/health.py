"""`/healthz`, `/livez` and `/readyz`: always well, and able to say so check by check.

See https://kubernetes.io/docs/reference/using-api/health-checks/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from addonry.simulator.messages import Response, text_response

_HOOKS: Final = """
start-apiserver-admission-initializer generic-apiserver-start-informers priority-and-fairness-config-consumer
priority-and-fairness-filter storage-object-count-tracker-hook start-apiextensions-informers
start-apiextensions-controllers crd-informer-synced start-system-namespaces-controller
peer-endpoint-reconciler-controller start-cluster-authentication-info-controller
start-kube-apiserver-identity-lease-controller start-kube-apiserver-identity-lease-garbage-collector storage-readiness
start-legacy-token-tracking-controller start-service-ip-repair-controllers rbac/bootstrap-roles
scheduling/bootstrap-system-priority-classes priority-and-fairness-config-producer bootstrap-controller
start-kubernetes-service-cidr-controller aggregator-reload-proxy-client-cert start-kube-aggregator-informers
apiservice-status-local-available-controller apiservice-status-remote-available-controller
apiservice-registration-controller apiservice-wait-for-first-sync apiservice-discovery-controller
kube-apiserver-autoregistration / apiservice-openapi-controller apiservice-openapiv3-controller
"""
# As a real server lists them; only the order of what is no hook was not recorded for healthz and livez.
_STARTED: Final = tuple(
    "autoregister-completion" if hook == "/" else f"poststarthook/{hook}" for hook in _HOOKS.split()
)
_LIVE: Final = ("ping", "log", "loopback-serving-certificate", "etcd", *_STARTED)
_CHECKS: Final[Mapping[str, tuple[str, ...]]] = {
    "healthz": _LIVE,
    "livez": _LIVE,
    "readyz": ("ping", "log", "informer-sync", *_STARTED, "shutdown"),
}


def health(path: str, query: Mapping[str, str]) -> Response | None:
    """The answer for a path of these, 404 for a check that there is not, None for any other path."""
    name, _, check = path.strip("/").partition("/")
    checks = _CHECKS.get(name)
    if checks is None:
        return None
    if check:
        return text_response("ok") if check in checks else text_response("404 page not found\n", 404)
    if "verbose" not in query:
        return text_response("ok")
    left_out = query.get("exclude", "")
    lines = [f"[+]{each} excluded: ok" if each == left_out else f"[+]{each} ok" for each in checks]
    if left_out and left_out not in checks:
        lines.append(f'warn: some health checks cannot be excluded: no matches for "{left_out}"')
    return text_response("\n".join([*lines, f"{name} check passed", ""]))


def health_paths() -> list[str]:
    """All of these paths."""
    return [path for name, checks in _CHECKS.items() for path in (f"/{name}", *(f"/{name}/{each}" for each in checks))]
