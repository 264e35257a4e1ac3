"""The defaults a kube-apiserver fills in before it stores an object.

Each kind has a `Rule`: which members get which value when they are missing, and which rules hold inside. A value is
a constant, or a function of the map it goes into (None: leave it out). To teach the simulated server another
default, add it to the rule of its type; order within a rule is kept, so later members may look at earlier ones.
Values as recorded from kube-apiserver 1.36.2 and documented in
https://kubernetes.io/docs/reference/kubernetes-api/; what controllers and admission fill in (cluster IPs, service
account tokens, Job selectors) is not here.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Json = Any
TEMPLATE_GENERATION: Final = "deprecated.daemonset.template.generation"
_NAME_LABEL: Final = "kubernetes.io/metadata.name"

Value = Any | Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """Defaults of one type. `inside` holds for a map member or for each item of a list member."""

    sets: Mapping[str, Value] = field(default_factory=dict)
    inside: Mapping[str, Rule] = field(default_factory=dict)
    creates: tuple[str, ...] = ()
    """Members that are always there, so that the rules inside apply even when nothing was said."""
    rewrite: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    """For the few kinds where a default is no matter of one member."""


def apply_defaults(obj: dict[str, Any], kind: str) -> dict[str, Any]:
    """*obj* of a built-in *kind* with its defaults; the same object when there is nothing to fill in."""
    group = str(obj.get("apiVersion", "")).rpartition("/")[0]
    rule = RULES.get((group, kind))
    return _filled(obj, rule) if rule else obj


def _filled(value: dict[str, Any], rule: Rule) -> dict[str, Any]:
    result = rule.rewrite(value) if rule.rewrite else value
    for key in rule.creates:
        if not isinstance(result.get(key), dict):
            result = {**result, key: {}}
    for key, default in rule.sets.items():
        # Clients that send protobuf cannot leave a string out, so an empty one counts as missing.
        if result.get(key) in (None, ""):
            chosen = default(result) if callable(default) else default
            if chosen is not None and chosen != result.get(key):
                result = {**result, key: _copy(chosen)}
    for key, inner in rule.inside.items():
        part = result.get(key)
        filled: Json = part
        if isinstance(part, dict):
            filled = _filled(part, inner)
        elif isinstance(part, list):
            items = [_filled(item, inner) if isinstance(item, dict) else item for item in part]
            if any(new is not old for new, old in zip(items, part, strict=True)):
                filled = items
        if filled is not part:
            result = {**result, key: filled}
    return result


def _copy(value: Json) -> Json:
    """Constants of the table are shared by all objects, so what goes into an object is a copy."""
    if isinstance(value, dict):
        return {key: _copy(part) for key, part in value.items()}
    return [_copy(part) for part in value] if isinstance(value, list) else value


# Values that depend on what is there


def _pull_policy(container: Mapping[str, Any]) -> str:
    image = str(container.get("image", ""))
    tag = image.rpartition("/")[2].partition(":")[2]
    is_latest = "@" not in image and tag in ("", "latest")
    return "Always" if is_latest else "IfNotPresent"


def _when(member: str, *values: str) -> Callable[[Any], Callable[[Mapping[str, Any]], Any]]:
    """`_when("type", "A")(x)`: x, but only where the member `type` is A."""
    return lambda chosen: lambda value: chosen if value.get(member) in values else None


def _unless(member: str) -> Callable[[Any], Callable[[Mapping[str, Any]], Any]]:
    return lambda chosen: lambda value: chosen if value.get(member) is None else None


def _empty_dir(volume: Mapping[str, Any]) -> dict[str, Any] | None:
    return {} if not any(part is not None for key, part in volume.items() if key != "name") else None


def _with_both_account_names(spec: dict[str, Any]) -> dict[str, Any]:
    """`serviceAccount` is the old name of `serviceAccountName`; the server always writes both."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if not name or (spec.get("serviceAccount") == name and spec.get("serviceAccountName") == name):
        return spec
    return {**spec, "serviceAccountName": name, "serviceAccount": name}


def _with_template_generation(daemon_set: dict[str, Any]) -> dict[str, Any]:
    """An annotation left from the days of extensions/v1beta1, which the server still writes."""
    metadata = daemon_set.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    if TEMPLATE_GENERATION in annotations:
        return daemon_set
    return {**daemon_set, "metadata": {**metadata, "annotations": {**annotations, TEMPLATE_GENERATION: "1"}}}


def _policy_types(spec: Mapping[str, Any]) -> list[str]:
    return ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _subject_group(subject: Mapping[str, Any]) -> str | None:
    return "rbac.authorization.k8s.io" if subject.get("kind") in ("User", "Group") else None


def _list_kind(names: Mapping[str, Any]) -> str:
    return f"{names.get('kind', '')}List"


def _singular(names: Mapping[str, Any]) -> str:
    return str(names.get("kind", "")).lower()


# Pods

_FIELD_REF: Final = Rule(inside={"fieldRef": Rule({"apiVersion": "v1"})})
_HTTP_GET: Final = Rule({"path": "/", "scheme": "HTTP"})
_PROBE: Final = Rule(
    {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
    {"httpGet": _HTTP_GET, "grpc": Rule({"service": ""})},
)
_HANDLER: Final = Rule(inside={"httpGet": _HTTP_GET})
_CONTAINER: Final = Rule(
    {
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": _pull_policy,
    },
    {
        "ports": Rule({"protocol": "TCP"}),
        "env": Rule(inside={"valueFrom": _FIELD_REF}),
        "livenessProbe": _PROBE,
        "readinessProbe": _PROBE,
        "startupProbe": _PROBE,
        "lifecycle": Rule(inside={"postStart": _HANDLER, "preStop": _HANDLER}),
    },
)
_CLAIM_SPEC: Final = Rule({"volumeMode": "Filesystem"})
_MODE: Final = Rule({"defaultMode": 420})
_DOWNWARD: Final = Rule({"defaultMode": 420}, {"items": _FIELD_REF})
_VOLUME: Final = Rule(
    {"emptyDir": _empty_dir},
    {
        "secret": _MODE,
        "configMap": _MODE,
        "downwardAPI": _DOWNWARD,
        "projected": Rule(
            {"defaultMode": 420},
            {
                "sources": Rule(
                    inside={
                        "serviceAccountToken": Rule({"expirationSeconds": 3600}),
                        "downwardAPI": Rule(inside={"items": _FIELD_REF}),
                    }
                )
            },
        ),
        "hostPath": Rule({"type": ""}),
        "ephemeral": Rule(inside={"volumeClaimTemplate": Rule(inside={"spec": _CLAIM_SPEC})}),
    },
)


def _pod_spec(**more: Value) -> Rule:
    return Rule(
        {
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "securityContext": {},
            "schedulerName": "default-scheduler",
            **more,
        },
        {"containers": _CONTAINER, "initContainers": _CONTAINER, "volumes": _VOLUME},
        rewrite=_with_both_account_names,
    )


_TEMPLATE: Final = Rule(inside={"spec": _pod_spec()}, creates=("metadata",))


# Workloads


def _workload(
    sets: Mapping[str, Value],
    inside: Mapping[str, Rule] | None = None,
    creates: tuple[str, ...] = (),
    rewrite: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> Rule:
    spec = Rule(sets, {"template": _TEMPLATE, **(inside or {})}, creates)
    return Rule(inside={"spec": spec}, rewrite=rewrite)


def _rolling(**values: Value) -> Rule:
    return Rule(
        {"type": "RollingUpdate", "rollingUpdate": _when("type", "RollingUpdate")({})},
        {"rollingUpdate": Rule(values)},
    )


_JOB_SPEC: Final = Rule(
    {
        # A work queue has parallelism and no completions, so only both missing means one of each.
        "completions": _unless("parallelism")(1),
        "parallelism": 1,
        "backoffLimit": lambda spec: 2147483647 if spec.get("backoffLimitPerIndex") is not None else 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "manualSelector": False,
        "podReplacementPolicy": lambda spec: "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed",
    },
    {"template": _TEMPLATE},
)

# Services


_SERVICE_SPEC: Final = Rule(
    {
        "sessionAffinity": "None",
        "type": "ClusterIP",
        "sessionAffinityConfig": _when("sessionAffinity", "ClientIP")({"clientIP": {"timeoutSeconds": 10800}}),
        "externalTrafficPolicy": _when("type", "NodePort", "LoadBalancer")("Cluster"),
        "internalTrafficPolicy": _when("type", "NodePort", "LoadBalancer", "ClusterIP")("Cluster"),
        "allocateLoadBalancerNodePorts": _when("type", "LoadBalancer")(True),
    },
    {"ports": Rule({"protocol": "TCP", "targetPort": lambda port: port.get("port")})},
)


# Admission


def _webhook(**more: Value) -> Rule:
    return Rule(
        {
            "failurePolicy": "Fail",
            "matchPolicy": "Equivalent",
            "namespaceSelector": {},
            "objectSelector": {},
            "timeoutSeconds": 10,
            **more,
        },
        {
            "clientConfig": Rule(inside={"service": Rule({"port": 443})}),
            "rules": Rule({"scope": "*"}),
        },
    )


_BINDING: Final = Rule(
    inside={"roleRef": Rule({"apiGroup": "rbac.authorization.k8s.io"}), "subjects": Rule({"apiGroup": _subject_group})}
)


def _in_spec(sets: Mapping[str, Value], inside: Mapping[str, Rule] | None = None) -> Rule:
    return Rule(inside={"spec": Rule(sets, inside or {})})


def _with_encoded_data(secret: dict[str, Any]) -> dict[str, Any]:
    """`stringData` is a way to write `data`, and is never read back."""
    if "stringData" not in secret:
        return secret
    encoded = {key: base64.b64encode(str(text).encode()).decode() for key, text in (secret["stringData"] or {}).items()}
    rest = {key: value for key, value in secret.items() if key != "stringData"}
    return {**rest, "data": {**(secret.get("data") or {}), **encoded}} if encoded else rest


def _with_name_label(namespace: dict[str, Any]) -> dict[str, Any]:
    metadata = namespace.get("metadata") or {}
    name, labels = metadata.get("name"), metadata.get("labels") or {}
    if not name or labels.get(_NAME_LABEL) == name:
        return namespace
    return {**namespace, "metadata": {**metadata, "labels": {**labels, _NAME_LABEL: name}}}


def _with_requests(pod: dict[str, Any]) -> dict[str, Any]:
    """A limit without a request is the request, too; only in Pods, not in templates."""
    spec = pod.get("spec") or {}
    changed = {}
    for member in ("containers", "initContainers"):
        before = spec.get(member) or []
        after = [_with_request(container) for container in before]
        if any(new is not old for new, old in zip(after, before, strict=True)):
            changed[member] = after
    return {**pod, "spec": {**spec, **changed}} if changed else pod


def _with_request(container: dict[str, Any] | None) -> dict[str, Any] | None:
    resources = (container or {}).get("resources") or {}
    requests = resources.get("requests") or {}
    missing = {what: amount for what, amount in (resources.get("limits") or {}).items() if what not in requests}
    if container is None or not missing:
        return container
    return {**container, "resources": {**resources, "requests": {**requests, **missing}}}


def _with_limits(limit_range: dict[str, Any]) -> dict[str, Any]:
    """The defaults of containers that follow from what they may have at most and must have at least."""
    spec = limit_range.get("spec") or {}
    before = spec.get("limits") or []
    after = [_with_limit(limit) for limit in before]
    is_changed = any(new is not old for new, old in zip(after, before, strict=True))
    return {**limit_range, "spec": {**spec, "limits": after}} if is_changed else limit_range


def _with_limit(limit: dict[str, Any] | None) -> dict[str, Any] | None:
    if limit is None or limit.get("type") != "Container":
        return limit
    default = {**(limit.get("max") or {}), **(limit.get("default") or {})}
    request = {**(limit.get("min") or {}), **default, **(limit.get("defaultRequest") or {})}
    more = {k: v for k, v in (("default", default), ("defaultRequest", request)) if v and v != limit.get(k)}
    return {**limit, **more} if more else limit


def _with_a_metric(scaler: dict[str, Any]) -> dict[str, Any]:
    spec = scaler.get("spec") or {}
    if spec.get("metrics") or str(scaler.get("apiVersion")).endswith("/v1"):
        return scaler
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    return {**scaler, "spec": {**spec, "metrics": [{"type": "Resource", "resource": cpu}]}}


RULES: Final[Mapping[tuple[str, str], Rule]] = {
    ("", "Pod"): Rule(inside={"spec": _pod_spec(enableServiceLinks=True)}, rewrite=_with_requests),
    ("", "PodTemplate"): Rule(inside={"template": _TEMPLATE}),
    ("", "ReplicationController"): _workload({"replicas": 1}),
    ("", "LimitRange"): Rule(rewrite=_with_limits),
    ("", "Service"): Rule(inside={"spec": _SERVICE_SPEC}),
    ("", "Endpoints"): Rule(inside={"subsets": Rule(inside={"ports": Rule({"protocol": "TCP"})})}),
    ("", "Namespace"): Rule(rewrite=_with_name_label),
    ("", "Secret"): Rule({"type": "Opaque"}, rewrite=_with_encoded_data),
    ("", "PersistentVolumeClaim"): Rule({"status": {"phase": "Pending"}}, {"spec": _CLAIM_SPEC}),
    ("", "PersistentVolume"): Rule(
        {"status": {"phase": "Pending"}},
        {
            "spec": Rule(
                {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"},
                {"hostPath": Rule({"type": ""})},
            )
        },
    ),
    ("apps", "Deployment"): _workload(
        {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600},
        {"strategy": _rolling(maxUnavailable="25%", maxSurge="25%")},
        creates=("strategy",),
    ),
    ("apps", "DaemonSet"): _workload(
        {"revisionHistoryLimit": 10},
        {"updateStrategy": _rolling(maxUnavailable=1, maxSurge=0)},
        creates=("updateStrategy",),
        rewrite=_with_template_generation,
    ),
    ("apps", "StatefulSet"): _workload(
        {
            "podManagementPolicy": "OrderedReady",
            "replicas": 1,
            "revisionHistoryLimit": 10,
        },
        {
            # Who names the type gets no partition unless they ask for one.
            "updateStrategy": Rule(
                {"rollingUpdate": _unless("type")({}), "type": "RollingUpdate"},
                {"rollingUpdate": Rule({"partition": 0})},
            ),
            "persistentVolumeClaimRetentionPolicy": Rule({"whenDeleted": "Retain", "whenScaled": "Retain"}),
            "volumeClaimTemplates": Rule(
                {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}},
                {"spec": _CLAIM_SPEC},
            ),
        },
        creates=("updateStrategy", "persistentVolumeClaimRetentionPolicy"),
    ),
    ("apps", "ReplicaSet"): _workload({"replicas": 1}),
    ("batch", "Job"): Rule(inside={"spec": _JOB_SPEC}),
    ("batch", "CronJob"): _in_spec(
        {"concurrencyPolicy": "Allow", "suspend": False, "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1},
        {"jobTemplate": Rule(inside={"spec": Rule(inside={"template": _TEMPLATE})}, creates=("metadata",))},
    ),
    ("networking.k8s.io", "NetworkPolicy"): _in_spec(
        {"policyTypes": _policy_types},
        {
            "ingress": Rule(inside={"ports": Rule({"protocol": "TCP"})}),
            "egress": Rule(inside={"ports": Rule({"protocol": "TCP"})}),
        },
    ),
    ("rbac.authorization.k8s.io", "RoleBinding"): _BINDING,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _BINDING,
    ("autoscaling", "HorizontalPodAutoscaler"): Rule(inside={"spec": Rule({"minReplicas": 1})}, rewrite=_with_a_metric),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): Rule(inside={"webhooks": _webhook()}),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): Rule(
        inside={"webhooks": _webhook(reinvocationPolicy="Never")}
    ),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): _in_spec(
        {"failurePolicy": "Fail"},
        {
            "matchConstraints": Rule(
                {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}},
                {"resourceRules": Rule({"scope": "*"}), "excludeResourceRules": Rule({"scope": "*"})},
            )
        },
    ),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"): _in_spec(
        {}, {"matchResources": Rule({"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}})}
    ),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _in_spec(
        {"conversion": {"strategy": "None"}},
        {"names": Rule({"singular": _singular, "listKind": _list_kind})},
    ),
    ("apiregistration.k8s.io", "APIService"): _in_spec({}, {"service": Rule({"port": 443})}),
    ("storage.k8s.io", "StorageClass"): Rule({"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}),
    ("storage.k8s.io", "CSIDriver"): _in_spec(
        {
            "attachRequired": True,
            "podInfoOnMount": False,
            "volumeLifecycleModes": ["Persistent"],
            "storageCapacity": False,
            "fsGroupPolicy": "ReadWriteOnceWithFSType",
            "requiresRepublish": False,
            "seLinuxMount": False,
        }
    ),
    ("scheduling.k8s.io", "PriorityClass"): Rule({"preemptionPolicy": "PreemptLowerPriority"}),
}
