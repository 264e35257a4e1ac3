"""Objects as rows, the form `kubectl get` asks for.

Columns and cells follow recordings of a real kube-apiserver 1.36.2. A kind without an entry in `TABLES` gets its name
and the time of its creation, a custom resource the columns of its definition.
See https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from addonry.simulator import conversion
from addonry.simulator.clock import read_timestamp
from addonry.simulator.resources import Column, Resource, ResourceKey
from addonry.simulator.storage import Object

_NONE: Final = "<none>"
_UNKNOWN: Final = "<unknown>"
Cells = Callable[[Object, datetime], list[Any]]


def age(moment: str | None, now: datetime) -> str:
    """How long ago, in kubectl's short form: 5s, 4m10s, 3h, 2d4h."""
    return duration((now - read_timestamp(moment)).total_seconds()) if moment else _UNKNOWN


def duration(total: float) -> str:
    """A span in kubectl's short form: two units while they are small, one when they are not.

    Follows HumanDuration of https://pkg.go.dev/k8s.io/apimachinery/pkg/util/duration
    """
    seconds = max(int(total), 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    return f"{days}d" if days < 730 else f"{days // 365}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def _born(obj: Object, now: datetime) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def _images(obj: Object) -> list[str]:
    containers = obj.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    return [",".join(c["name"] for c in containers), ",".join(c.get("image", "") for c in containers)]


def _selector(obj: Object) -> str:
    return _label_text(obj.get("spec", {}).get("selector"))


def _label_text(selector: Mapping[str, Any] | None) -> str:
    if not selector:
        return _NONE
    labels = selector.get("matchLabels", selector if "matchExpressions" not in selector else {})
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or _NONE


def _pod(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    containers = status.get("containerStatuses", [])
    ready = sum(1 for c in containers if c.get("ready"))
    return [
        obj["metadata"]["name"],
        f"{ready}/{len(spec.get('containers', []))}",
        _pod_word(obj),
        str(sum(c.get("restartCount", 0) for c in containers)),
        _born(obj, now),
        status.get("podIP") or _NONE,
        spec.get("nodeName") or _NONE,
        status.get("nominatedNodeName") or _NONE,
        _NONE,
    ]


def _pod_word(obj: Object) -> str:
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    status = obj.get("status", {})
    word: str = status.get("reason") or status.get("phase", "Pending")
    for container in reversed(status.get("containerStatuses", [])):
        state = container.get("state", {})
        for shape in ("waiting", "terminated"):
            if reason := state.get(shape, {}).get("reason"):
                word = reason
    return word


def _deployment(obj: Object, now: datetime) -> list[Any]:
    status = obj.get("status", {})
    return [
        obj["metadata"]["name"],
        f"{status.get('readyReplicas', 0)}/{obj.get('spec', {}).get('replicas', 1)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        _born(obj, now),
        *_images(obj),
        _selector(obj),
    ]


def _replica_set(obj: Object, now: datetime) -> list[Any]:
    status = obj.get("status", {})
    numbers = [obj.get("spec", {}).get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [obj["metadata"]["name"], *numbers, _born(obj, now), *_images(obj), _selector(obj)]


def _stateful_set(obj: Object, now: datetime) -> list[Any]:
    ready = f"{obj.get('status', {}).get('readyReplicas', 0)}/{obj.get('spec', {}).get('replicas', 1)}"
    return [obj["metadata"]["name"], ready, _born(obj, now), *_images(obj)]


def _daemon_set(obj: Object, now: datetime) -> list[Any]:
    status = obj.get("status", {})
    members = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    nodes = obj.get("spec", {}).get("template", {}).get("spec", {}).get("nodeSelector")
    return [
        obj["metadata"]["name"],
        *(status.get(member, 0) for member in members),
        _label_text(nodes),
        _born(obj, now),
        *_images(obj),
        _selector(obj),
    ]


def _job(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    true = {c["type"] for c in status.get("conditions", []) if c.get("status") == "True"}
    words = (("Complete", "Complete"), ("Failed", "Failed"), ("Suspended", "Suspended"))
    word = next((said for kind, said in words if kind in true), "Running")
    started, ended = status.get("startTime"), status.get("completionTime")
    until = read_timestamp(ended) if ended else now
    took = duration((until - read_timestamp(started)).total_seconds()) if started else ""
    done = f"{status.get('succeeded', 0)}/{spec.get('completions', spec.get('parallelism', 1))}"
    return [obj["metadata"]["name"], word, done, took, _born(obj, now), *_images(obj), _selector(obj)]


def _cron_job(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    last = age(status["lastScheduleTime"], now) if status.get("lastScheduleTime") else _NONE
    images = _images({"spec": spec.get("jobTemplate", {}).get("spec", {})})
    numbers = [spec.get("suspend", False), len(status.get("active", [])), last]
    zone = spec.get("timeZone") or _NONE
    return [obj["metadata"]["name"], spec.get("schedule"), zone, *numbers, _born(obj, now), *images, _NONE]


def _service(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec", {})
    ingress = obj.get("status", {}).get("loadBalancer", {}).get("ingress", [])
    outside = ",".join(i.get("ip") or i.get("hostname", "") for i in ingress)
    if spec.get("type") == "ExternalName":
        outside = spec.get("externalName", "")
    elif spec.get("type") == "LoadBalancer" and not outside:
        outside = "<pending>"
    ports = ",".join(
        f"{p['port']}:{p['nodePort']}/{p.get('protocol', 'TCP')}"
        if p.get("nodePort")
        else f"{p['port']}/{p.get('protocol', 'TCP')}"
        for p in spec.get("ports", [])
    )
    return [
        obj["metadata"]["name"],
        spec.get("type", "ClusterIP"),
        spec.get("clusterIP") or _NONE,
        outside or _NONE,
        ports or _NONE,
        _born(obj, now),
        _label_text(spec.get("selector")),
    ]


def _node(obj: Object, now: datetime) -> list[Any]:
    status = obj.get("status", {})
    ready = next((c["status"] for c in status.get("conditions", []) if c["type"] == "Ready"), "Unknown")
    word = {"True": "Ready", "False": "NotReady"}.get(ready, "Unknown")
    if obj.get("spec", {}).get("unschedulable"):
        word += ",SchedulingDisabled"
    prefix = "node-role.kubernetes.io/"
    roles = sorted(k.removeprefix(prefix) for k in obj["metadata"].get("labels", {}) if k.startswith(prefix))
    info = status.get("nodeInfo", {})
    address = next((a["address"] for a in status.get("addresses", []) if a["type"] == "InternalIP"), _NONE)
    kernel = f"{info.get('kernelVersion', _UNKNOWN)} ({info.get('architecture', _UNKNOWN)})"
    return [
        obj["metadata"]["name"],
        word,
        ",".join(roles) or _NONE,
        _born(obj, now),
        info.get("kubeletVersion", ""),
        address,
        _NONE,
        info.get("osImage", _UNKNOWN),
        kernel,
        info.get("containerRuntimeVersion", _UNKNOWN),
    ]


def _event(obj: Object, now: datetime) -> list[Any]:
    about = obj.get("involvedObject", {})
    first = obj.get("firstTimestamp") or obj.get("eventTime")
    last = obj.get("lastTimestamp") or first
    count, source = obj.get("count") or 1, obj.get("source") or {}
    if series := obj.get("series"):
        last, count = series.get("lastObservedTime"), series.get("count", 0)
    reporter = (
        source.get("component") or obj.get("reportingComponent"),
        source.get("host") or obj.get("reportingInstance"),
    )
    return [
        age(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        "/".join(filter(None, (about.get("kind", "").lower(), about.get("name")))),
        about.get("fieldPath", ""),
        f"{reporter[0] or ''}, {reporter[1]}" if reporter[1] else reporter[0] or "",
        (obj.get("message") or "").strip(),
        age(first, now),
        count,
        obj["metadata"]["name"],
    ]


def _claim(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    short = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
    return [
        obj["metadata"]["name"],
        status.get("phase", "Pending"),
        spec.get("volumeName", ""),
        status.get("capacity", {}).get("storage", ""),
        ",".join(short.get(mode, mode) for mode in status.get("accessModes", [])),
        spec.get("storageClassName", ""),
        "<unset>",
        _born(obj, now),
        spec.get("volumeMode", "Filesystem"),
    ]


def _autoscaler(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    target = spec.get("scaleTargetRef", {})
    return [
        obj["metadata"]["name"],
        f"{target.get('kind')}/{target.get('name')}",
        "<unknown>",
        str(spec.get("minReplicas", 1)),
        spec.get("maxReplicas"),
        status.get("currentReplicas", 0),
        _born(obj, now),
    ]


def _ingress(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec", {})
    hosts = ",".join(rule.get("host") or "*" for rule in spec.get("rules", [])) or "*"
    found = obj.get("status", {}).get("loadBalancer", {}).get("ingress", [])
    address = ",".join(i.get("ip") or i.get("hostname", "") for i in found)
    ports = "80, 443" if spec.get("tls") else "80"
    return [obj["metadata"]["name"], spec.get("ingressClassName") or _NONE, hosts, address, ports, _born(obj, now)]


def _api_service(obj: Object, now: datetime) -> list[Any]:
    service = obj.get("spec", {}).get("service")
    where = f"{service['namespace']}/{service['name']}" if service else "Local"
    found = next((c for c in obj.get("status", {}).get("conditions", []) if c["type"] == "Available"), None)
    word = "Unknown" if found is None else found["status"]
    if found is not None and word != "True":
        word = f"{word} ({found.get('reason', '')})"
    return [obj["metadata"]["name"], where, word, _born(obj, now)]


def _name_and(*members: str) -> Cells:
    def cells(obj: Object, now: datetime) -> list[Any]:
        found: list[Any] = [obj["metadata"]["name"]]
        for member in members:
            value: Any = obj
            for part in member.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            found.append(value)
        return [*found, _born(obj, now)]

    return cells


def _first_three(texts: Iterable[str], otherwise: str) -> str:
    listed = list(texts)
    shown = ",".join(listed[:3])
    return f"{shown} + {len(listed) - 3} more..." if len(listed) > 3 else shown or otherwise


def _slice(obj: Object, now: datetime) -> list[Any]:
    ports = (str(port.get("port") or port.get("name") or "*") for port in obj.get("ports") or ())
    addresses = (address for endpoint in obj.get("endpoints") or () for address in endpoint.get("addresses") or ())
    shown = [_first_three(ports, "<unset>"), _first_three(addresses, "<unset>")]
    return [obj["metadata"]["name"], obj.get("addressType", ""), *shown, _born(obj, now)]


def _endpoints(obj: Object, now: datetime) -> list[Any]:
    found = (
        f"{address['ip']}:{port['port']}" if port else address["ip"]
        for subset in obj.get("subsets") or ()
        for port in subset.get("ports") or (None,)
        for address in subset.get("addresses") or ()
    )
    return [obj["metadata"]["name"], _first_three(found, _NONE), _born(obj, now)]


def _budget(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    bounds = [str(spec.get(member, "N/A")) for member in ("minAvailable", "maxUnavailable")]
    return [obj["metadata"]["name"], *bounds, status.get("disruptionsAllowed", 0), _born(obj, now)]


def _counted(member: str, *before: str) -> Cells:
    def cells(obj: Object, now: datetime) -> list[Any]:
        size = len(obj.get(member) or {}) + len(obj.get("binaryData") or {})
        return [obj["metadata"]["name"], *(obj.get(b) for b in before), size, _born(obj, now)]

    return cells


def _created(obj: Object, _: datetime) -> list[Any]:
    return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]


_WORKLOAD: Final = "Containers/1 Images/1"
_CREATED: Final = "Created_At:date"

# Columns as words: Name, Name:type, Name/priority; underscores stand for blanks.
TABLES: Final[Mapping[ResourceKey, tuple[str, Cells]]] = {
    ResourceKey("", "pods"): ("Ready Status Restarts Age IP/1 Node/1 Nominated_Node/1 Readiness_Gates/1", _pod),
    ResourceKey("", "services"): ("Type Cluster-IP External-IP Port(s) Age Selector/1", _service),
    ResourceKey("", "endpoints"): ("Endpoints Age", _endpoints),
    ResourceKey("discovery.k8s.io", "endpointslices"): ("AddressType Ports Endpoints Age", _slice),
    ResourceKey("", "configmaps"): ("Data Age", _counted("data")),
    ResourceKey("", "secrets"): ("Type Data Age", _counted("data", "type")),
    ResourceKey("", "serviceaccounts"): ("Age", _name_and()),
    ResourceKey("", "namespaces"): ("Status Age", _name_and("status.phase")),
    ResourceKey("", "nodes"): (
        "Status Roles Age Version Internal-IP/1 External-IP/1 OS-Image/1 Kernel-Version/1 Container-Runtime/1",
        _node,
    ),
    ResourceKey("", "persistentvolumeclaims"): (
        "Status Volume Capacity Access_Modes StorageClass VolumeAttributesClass Age VolumeMode/1",
        _claim,
    ),
    ResourceKey("", "replicationcontrollers"): (
        f"Desired:integer Current:integer Ready:integer Age {_WORKLOAD} Selector/1",
        _replica_set,
    ),
    ResourceKey("apps", "deployments"): (f"Ready Up-to-date Available Age {_WORKLOAD} Selector/1", _deployment),
    ResourceKey("apps", "replicasets"): (
        f"Desired:integer Current:integer Ready:integer Age {_WORKLOAD} Selector/1",
        _replica_set,
    ),
    ResourceKey("apps", "statefulsets"): (f"Ready Age {_WORKLOAD}", _stateful_set),
    ResourceKey("apps", "daemonsets"): (
        (
            "Desired:integer Current:integer Ready:integer Up-to-date:integer Available:integer Node_Selector Age "
            f"{_WORKLOAD} Selector/1"
        ),
        _daemon_set,
    ),
    ResourceKey("batch", "jobs"): (f"Status Completions Duration Age {_WORKLOAD} Selector/1", _job),
    ResourceKey("batch", "cronjobs"): (
        f"Schedule Timezone Suspend:boolean Active:integer Last_Schedule Age {_WORKLOAD} Selector/1",
        _cron_job,
    ),
    ResourceKey("autoscaling", "horizontalpodautoscalers"): (
        "Reference Targets MinPods MaxPods Replicas Age",
        _autoscaler,
    ),
    ResourceKey("policy", "poddisruptionbudgets"): (
        "Min_Available Max_Unavailable Allowed_Disruptions:integer Age",
        _budget,
    ),
    ResourceKey("networking.k8s.io", "ingresses"): ("Class Hosts Address Ports Age", _ingress),
    ResourceKey("apiregistration.k8s.io", "apiservices"): ("Service Available Age", _api_service),
}

_EVENTS: Final = "Last_Seen Type Reason Object Subobject/1 Source/1 Message First_Seen/1 Count/1 Name:string:name/1"


def columns_of(resource: Resource) -> list[dict[str, Any]]:
    """The `columnDefinitions` of the resource."""
    name = _definition("Name:string:name")
    if resource.key == ResourceKey("", "events"):
        return [_definition(word) for word in _EVENTS.split()]
    if resource.columns is not None:
        return [name, *(_custom_definition(column) for column in resource.columns or _DEFAULT_CUSTOM)]
    known = TABLES.get(resource.key)
    return [name, *(_definition(word) for word in (known[0] if known else _CREATED).split())]


def row_of(resource: Resource, obj: Object, now: datetime, *, include: str) -> dict[str, Any]:
    """One row; *include* says what comes with it: Metadata, Object or None."""
    row: dict[str, Any] = {"cells": _cells(resource, obj, now)}
    if include == "Object":
        head = {"kind": resource.kind, "apiVersion": resource.api_version}
        row["object"] = {**head, **conversion.shown_object(resource, obj)}
    elif include != "None":
        row["object"] = partial(obj)
    else:
        row["object"] = None
    return row


def partial(obj: Object) -> dict[str, Any]:
    """Only the metadata, as `PartialObjectMetadata`."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


_DEFAULT_CUSTOM: Final = (Column("Age", "date", ".metadata.creationTimestamp"),)


def _cells(resource: Resource, obj: Object, now: datetime) -> list[Any]:
    if resource.key == ResourceKey("", "events"):
        return _event(obj, now)
    if resource.columns is not None:
        columns = resource.columns or _DEFAULT_CUSTOM
        return [obj["metadata"]["name"], *(_custom_cell(column, obj, now) for column in columns)]
    known = TABLES.get(resource.key)
    return (known[1] if known else _created)(obj, now)


def _custom_cell(column: Column, obj: Object, now: datetime) -> Any:
    value = read_path(obj, column.path)
    if value is None or isinstance(value, dict | list):
        return None
    if column.type == "date":
        return age(str(value), now)
    return value if column.type in ("integer", "number", "boolean") else str(value)


def read_path(obj: Any, path: str) -> Any:
    """The value at a JSONPath of the simple kind definitions use: `.spec.size`, `.status.conditions[0].type`."""
    for part in path.strip("{}").replace("[", ".").replace("]", "").strip(".").split("."):
        if isinstance(obj, dict):
            obj = obj.get(part)
        elif isinstance(obj, list) and part.isdigit() and int(part) < len(obj):
            obj = obj[int(part)]
        else:
            return None
    return obj


def _definition(word: str) -> dict[str, Any]:
    word, _, priority = word.partition("/")
    name, kind, shape = (*word.split(":"), "string", "")[:3] if ":" not in word else _typed(word)
    return _column(name.replace("_", " "), kind, shape, int(priority or 0))


def _typed(word: str) -> Sequence[str]:
    parts = word.split(":")
    return (parts[0], parts[1], parts[2] if len(parts) > 2 else "")


def _custom_definition(column: Column) -> dict[str, Any]:
    return _column(column.name, column.type, column.format, column.priority)


def _column(name: str, kind: str, shape: str, priority: int) -> dict[str, Any]:
    return {"name": name, "type": kind, "format": shape, "description": name, "priority": priority}
