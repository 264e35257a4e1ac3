"""What a kube-apiserver refuses: fields it does not know, values of the wrong type, objects that make no sense.

The checks return what is wrong and decide nothing: the caller turns them into a Status. `FieldError`s come in the
order and wording recorded from kube-apiserver 1.36.2; `invalid_status` writes the 422 they belong into. To check
another kind, write a function and name it in REQUIRED or IMMUTABLE. Custom resources are in `custom`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from .events import event_changes, event_errors
from .faults import Fault, FieldError, duplicate, forbidden, invalid, required, unsupported, written
from .names import key_errors, label_errors, name_errors
from .patching import same
from .schema import Scalar, Shape, TypeSchema

Json = Any
Object = Mapping[str, Any]


def invalid_status(obj: Object, errors: list[FieldError]) -> dict[str, Any]:
    """The body of a 422 for *obj*."""
    group, kind = _group(obj), str(obj.get("kind", ""))
    name = str(_at(obj, "metadata", "name") or "")
    texts = list(dict.fromkeys(map(str, errors)))
    text = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    details: dict[str, Any] = {"name": name} if name else {}
    if group:
        details["group"] = group
    details["kind"] = kind
    details["causes"] = [
        {"reason": str(error.type), "message": error.message, "field": error.field} for error in errors
    ]
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f'{kind}.{group} "{name}" is invalid: {text}' if group else f'{kind} "{name}" is invalid: {text}',
        "reason": "Invalid",
        "details": details,
        "code": 422,
    }


def _group(obj: Object) -> str:
    return str(obj.get("apiVersion", "")).rpartition("/")[0]


def _at(value: Json, *path: str) -> Json:
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def _maps(value: Json) -> list[tuple[int, Mapping[str, Any]]]:
    return [(index, item) for index, item in enumerate(value or ()) if isinstance(item, Mapping)]


# Fields and types


def unknown_fields(obj: Object, schema: TypeSchema | None) -> list[str]:
    """Paths of the fields *schema* does not know, in the order of the document."""
    return list(_unknown(obj, schema, "")) if schema else []


def strict_error(unknown: list[str]) -> str:
    """What fieldValidation=Strict says about unknown fields."""
    return "strict decoding error: " + ", ".join(f'unknown field "{path}"' for path in unknown)


def _unknown(value: Json, schema: TypeSchema, path: str) -> Iterator[str]:
    if schema.shape in (Shape.STRUCT, Shape.MAP) and isinstance(value, Mapping):
        for key, part in value.items():
            where = f"{path}.{key}" if path else key
            inner = schema.child(key)
            if inner is None:
                yield where
            else:
                yield from _unknown(part, inner, where)
    elif schema.shape is Shape.LIST and isinstance(value, list) and schema.element:
        for index, item in enumerate(value):
            yield from _unknown(item, schema.element, f"{path}[{index}]")


def check_types(obj: Object, schema: TypeSchema | None) -> list[str]:
    """What keeps a built-in kind from being decoded, worded like Go's JSON decoder; empty when nothing does.

    The real server stops at the first fault, so the caller shows the first.
    """
    if schema is None:
        return []
    if schema.is_structural:
        # Of a custom resource only the metadata is a Go type; the rest is checked against its own schema.
        schema = TypeSchema(
            Shape.STRUCT, name="meta.v1.PartialObjectMetadata", fields={"metadata": schema.fields["metadata"]}
        )
    return list(_wrong_types(obj, schema, (_short(schema), ""), ""))


def check_conversion(obj: Object, schema: TypeSchema | None) -> list[str]:
    """As `check_types`, in the words that the real server has for what a strategic merge patch leads to."""
    return list(_unconvertible(obj, schema)) if schema else []


_CONTAINERS: Final = {Shape.STRUCT: "struct", Shape.MAP: "map", Shape.LIST: "slice"}
# What Go reads by the type's own rule, from JSON.
_READS_ITSELF: Final = frozenset((Scalar.TIME, Scalar.QUANTITY, Scalar.INT_OR_STRING))


def _unconvertible(value: Json, schema: TypeSchema) -> Iterator[str]:
    if value is None or schema.shape is Shape.ANY:
        return
    kind, type_ = next(words for python, words in _GO_VALUES if isinstance(value, python))
    if schema.shape is Shape.SCALAR:
        faults = list(_wrong_scalar(value, schema, ("", "")))
        if schema.scalar in _READS_ITSELF:
            yield from faults
        elif faults:
            yield f"cannot convert {type_} to {_go_type(schema)}"
    elif kind != ("slice" if schema.shape is Shape.LIST else "map"):
        yield f"cannot restore {_CONTAINERS[schema.shape]} from: {kind}"
    elif kind == "map":
        for key, part in value.items():
            if inner := schema.child(key):
                yield from _unconvertible(part, inner)
    else:
        for item in value:
            yield from _unconvertible(item, schema.element or schema)


# What Go calls the kind and the type of a value that came out of JSON.
_GO_VALUES: Final[tuple[tuple[type, tuple[str, str]], ...]] = (
    (bool, ("bool", "bool")),
    (str, ("string", "string")),
    (int, ("int64", "int64")),
    (float, ("float64", "float64")),
    (list, ("slice", "[]interface {}")),
    (object, ("map", "map[string]interface {}")),
)


def cannot_be_handled(obj: Object, message: str) -> str:
    """The message of the 400 a POST or PUT gets for *message*."""
    kind, version = obj.get("kind", ""), str(obj.get("apiVersion", "")).rpartition("/")[2]
    return f'{kind} in version "{version}" cannot be handled as a {kind}: {message}'


def _short(schema: TypeSchema) -> str:
    return schema.name.rpartition(".")[2]


def _wrong_types(value: Json, schema: TypeSchema, owner: tuple[str, str], path: str) -> Iterator[str]:
    """*owner* is the Go struct and field path that Go would name."""
    if value is None:
        return
    match schema.shape:
        case Shape.STRUCT:
            if not isinstance(value, Mapping):
                yield _unmarshal(value, owner, schema)
                return
            for key, part in value.items():
                inner = schema.fields.get(key)
                if inner is not None:
                    where = f"{path}.{key}" if path else key
                    yield from _wrong_types(part, inner, (_short(schema), where), where)
        case Shape.MAP:
            if not isinstance(value, Mapping):
                yield _unmarshal(value, owner, schema)
                return
            for part in value.values():
                yield from _wrong_types(part, schema.element or schema, owner, path)
        case Shape.LIST:
            if not isinstance(value, list):
                yield _unmarshal(value, owner, schema)
                return
            for item in value:
                yield from _wrong_types(item, schema.element or schema, owner, path)
        case Shape.SCALAR:
            yield from _wrong_scalar(value, schema, owner)
        case Shape.ANY:
            return


def _wrong_scalar(value: Json, schema: TypeSchema, owner: tuple[str, str]) -> Iterator[str]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match schema.scalar:
        case Scalar.INT32 | Scalar.INTEGER:
            limit = 31 if schema.scalar is Scalar.INT32 else 63
            if not is_number:
                yield _unmarshal(value, owner, schema)
            elif value != int(value) or not -(1 << limit) <= value < 1 << limit:
                yield f"json: cannot unmarshal number {value} into Go struct field {owner[0]}.{owner[1]} of type {_go_type(schema)}"
        case Scalar.NUMBER if not is_number:
            yield _unmarshal(value, owner, schema)
        case Scalar.BOOLEAN if not isinstance(value, bool):
            yield _unmarshal(value, owner, schema)
        case Scalar.STRING | Scalar.TIME if not isinstance(value, str):
            yield _unmarshal(value, owner, schema)
        case Scalar.BYTES:
            if not isinstance(value, str):
                yield _unmarshal(value, owner, schema)
            elif not _is_base64(value):
                yield "illegal base64 data at input byte 0"
        case Scalar.QUANTITY:
            if isinstance(value, dict | list | bool) or parse_quantity(value) is None:
                yield f"quantities must match the regular expression '{_QUANTITY_TEXT}'"
        case Scalar.INT_OR_STRING if not (is_number or isinstance(value, str)):
            yield _unmarshal(value, owner, schema)
        case _:
            return


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _unmarshal(value: Json, owner: tuple[str, str], schema: TypeSchema) -> str:
    kinds: tuple[tuple[type, str], ...] = ((bool, "bool"), (str, "string"), (dict, "object"), (list, "array"))
    kind = next((name for type_, name in kinds if isinstance(value, type_)), "number")
    field = ".".join(part for part in owner if part)
    return f"json: cannot unmarshal {kind} into Go struct field {field} of type {_go_type(schema)}"


def _go_type(schema: TypeSchema) -> str:
    match schema.shape:
        case Shape.LIST:
            return "[]" + _go_type(schema.element or schema)
        case Shape.MAP:
            return "map[string]" + _go_type(schema.element or schema)
        case Shape.STRUCT:
            return ".".join(schema.name.split(".")[-2:])
        case _:
            words = {Scalar.INT32: "int32", Scalar.INTEGER: "int64", Scalar.NUMBER: "float64", Scalar.BOOLEAN: "bool"}
            return words.get(schema.scalar or Scalar.STRING, "string")


_QUANTITY_TEXT: Final = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
_QUANTITY: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([numkMGTPE]|[KMGTPE]i)?|[eE]([+-]?\d{1,3}))")
_POWERS: Final[Mapping[str, Fraction]] = {
    **{
        suffix: Fraction(1000) ** power
        for power, suffix in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), -3)
    },
    **{suffix + "i": Fraction(1024) ** power for power, suffix in enumerate("KMGTPE", 1)},
}


def parse_quantity(value: Json) -> Fraction | None:
    """The number a quantity such as `500m` or `1Gi` stands for; None when it is none."""
    found = _QUANTITY.fullmatch(str(value))
    if found is None:
        return None
    number, suffix, exponent = found.groups()
    return Fraction(number) * (Fraction(10) ** int(exponent) if exponent else _POWERS[suffix or ""])


# Names

_CONFIG_KEY_SAYS: Final = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_LABEL_NAMED: Final = frozenset((("", "Service"), ("", "Namespace")))
_PATH_NAMED: Final = frozenset(("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"))


def metadata_errors(obj: Object) -> Iterator[FieldError]:
    metadata = obj.get("metadata") or {}
    name, prefix = metadata.get("name") or "", metadata.get("generateName") or ""
    group, kind = _group(obj), str(obj.get("kind", ""))
    if not name and not prefix:
        yield required("metadata.name", "name or generateName is required")
    elif name and kind in _PATH_NAMED and group == "rbac.authorization.k8s.io":
        for part in ("/", "%"):
            if part in name:
                yield invalid("metadata.name", name, f"may not contain '{part}'")
    elif name:
        yield from name_errors("metadata.name", name, is_label=(group, kind) in _LABEL_NAMED)
    yield from _lasting_errors(metadata)


def _lasting_errors(metadata: Mapping[str, Any]) -> Iterator[FieldError]:
    """What is wrong with the metadata that an update may change."""
    yield from label_errors(metadata.get("labels"), "metadata.labels")
    for key in sorted(metadata.get("annotations") or {}):
        yield from key_errors("metadata.annotations", key.lower())
    for reference in metadata.get("ownerReferences") or ():
        field = "metadata.ownerReferences"
        if not reference.get("apiVersion"):
            yield invalid(f"{field}.apiVersion", "", "version must not be empty")
        for member in ("kind", "name", "uid"):
            if not reference.get(member):
                yield invalid(f"{field}.{member}", "", "must not be empty")
    yield from _controller_errors(metadata.get("ownerReferences") or ())


def _controller_errors(references: Sequence[Mapping[str, Any]]) -> Iterator[FieldError]:
    """An object has one controller; all after the first are told of together with it."""
    controllers = [f"{r.get('kind')}/{r.get('name')}" for r in references if r.get("controller") is True]
    for other in controllers[1:]:
        why = (
            'Only one reference can have Controller set to true. Found "true" in references for '
            f"{controllers[0]} and {other}"
        )
        yield invalid("metadata.ownerReferences", references, why)


# What an object must say


def check_required(obj: Object) -> list[FieldError]:
    """What is missing or impossible in *obj*, defaults being filled in already."""
    checks = REQUIRED.get((_group(obj), str(obj.get("kind", ""))), ())
    return [error for check in (metadata_errors, *checks) for error in check(obj)]


def _positive(obj: Object, *fields: str) -> Iterator[FieldError]:
    for field in fields:
        value = _at(obj, "spec", field)
        if isinstance(value, int) and value < 0:
            yield invalid(f"spec.{field}", value, "must be greater than or equal to 0")


def _replicas(obj: Object) -> Iterator[FieldError]:
    yield from _positive(obj, "replicas")


def _selected(obj: Object) -> Iterator[FieldError]:
    """The selector of a workload has to match its own template."""
    selector, labels = _at(obj, "spec", "selector"), _at(obj, "spec", "template", "metadata", "labels") or {}
    if selector is None:
        yield required("spec.selector")
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield invalid("spec.selector", selector, f"empty selector is invalid for {str(obj.get('kind', '')).lower()}")
    if selector is None or not selects(selector, labels):
        yield invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")


def selects(selector: Object, labels: Object) -> bool:
    """Whether a label selector matches; see https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for term in selector.get("matchExpressions") or ():
        key, values = term.get("key"), term.get("values") or ()
        match term.get("operator"):
            case "In" if labels.get(key) not in values:
                return False
            case "NotIn" if key in labels and labels[key] in values:
                return False
            case "Exists" if key not in labels:
                return False
            case "DoesNotExist" if key in labels:
                return False
            case _:
                continue
    return True


def _template(obj: Object) -> Iterator[FieldError]:
    yield from label_errors(_at(obj, "spec", "template", "metadata", "labels"), "spec.template.labels")
    spec = _at(obj, "spec", "template", "spec") or {}
    if obj.get("kind") != "StatefulSet":
        # The real server leaves these to the Pods, whose volumes come from claim templates as well.
        yield from pod_spec_errors(spec, "spec.template.spec")
    if obj.get("kind") != "Job" and spec.get("restartPolicy", "Always") != "Always":
        yield unsupported("spec.template.spec.restartPolicy", spec["restartPolicy"], "Always")


def _pod(obj: Object) -> Iterator[FieldError]:
    yield from pod_spec_errors(obj.get("spec") or {}, "spec")


def pod_spec_errors(spec: Object, field: str) -> Iterator[FieldError]:
    yield from _volume_errors(spec.get("volumes"), f"{field}.volumes")
    volumes = {str(volume.get("name")) for _, volume in _maps(spec.get("volumes"))}
    if not spec.get("containers"):
        yield required(f"{field}.containers")
    seen: set[str] = set()
    for member in ("containers", "initContainers"):
        for index, container in _maps(spec.get(member)):
            yield from _container_errors(container, f"{field}.{member}[{index}]", volumes, seen)


def _volume_errors(volumes: Json, field: str) -> Iterator[FieldError]:
    names: set[str] = set()
    for index, volume in _maps(volumes):
        where, name = f"{field}[{index}]", str(volume.get("name") or "")
        sources = [key for key, value in volume.items() if key != "name" and value is not None]
        if not sources:
            yield required(where, "must specify a volume type")
        for extra in sources[1:]:
            yield forbidden(f"{where}.{extra}", "may not specify more than 1 volume type")
        if not name:
            yield required(f"{where}.name")
        elif name in names:
            yield duplicate(f"{where}.name", name)
        else:
            yield from name_errors(f"{where}.name", name, is_label=True)
        names.add(name)


def _container_errors(container: Object, field: str, volumes: set[str], seen: set[str]) -> Iterator[FieldError]:
    name = str(container.get("name") or "")
    if not name:
        yield required(f"{field}.name")
    elif name in seen:
        yield duplicate(f"{field}.name", name)
    else:
        yield from name_errors(f"{field}.name", name, is_label=True)
    seen.add(name)
    if not container.get("image"):
        yield required(f"{field}.image")
    for index, port in _maps(container.get("ports")):
        number = port.get("containerPort")
        if number is None or number == 0:
            yield required(f"{field}.ports[{index}].containerPort")
        elif isinstance(number, int) and not 0 < number < 65536:
            yield invalid(f"{field}.ports[{index}].containerPort", number, "must be between 1 and 65535, inclusive")
    for index, variable in _maps(container.get("env")):
        if not variable.get("name"):
            yield required(f"{field}.env[{index}].name")
        elif variable.get("value") and variable.get("valueFrom"):
            yield invalid(f"{field}.env[{index}].valueFrom", "", "may not be specified when `value` is not empty")
    paths: set[str] = set()
    for index, mount in _maps(container.get("volumeMounts")):
        where = f"{field}.volumeMounts[{index}]"
        if not mount.get("name"):
            yield required(f"{where}.name")
        elif mount["name"] not in volumes:
            yield FieldError(f"{where}.name", Fault.NOT_FOUND, f"Not found: {written(mount['name'])}")
        path = mount.get("mountPath") or ""
        if not path:
            yield required(f"{where}.mountPath")
        elif path in paths:
            yield invalid(f"{where}.mountPath", path, "must be unique")
        paths.add(path)
    yield from _resource_errors(container.get("resources") or {}, f"{field}.resources")


def _resource_errors(resources: Object, field: str) -> Iterator[FieldError]:
    limits = resources.get("limits") or {}
    for name, wanted in sorted((resources.get("requests") or {}).items()):
        request, limit = parse_quantity(wanted), parse_quantity(limits.get(name))
        if request is not None and limit is not None and request > limit:
            yield invalid(
                f"{field}.requests", str(wanted), f"must be less than or equal to {name} limit of {limits[name]}"
            )


def _deployment_strategy(obj: Object) -> Iterator[FieldError]:
    strategy = _at(obj, "spec", "strategy") or {}
    rolling, field = strategy.get("rollingUpdate"), "spec.strategy"
    match strategy.get("type"):
        case "Recreate":
            if rolling is not None:
                yield forbidden(f"{field}.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
        case "RollingUpdate":
            if isinstance(rolling, Mapping) and all(
                _is_zero(rolling.get(key)) for key in ("maxSurge", "maxUnavailable")
            ):
                yield invalid(
                    f"{field}.rollingUpdate.maxUnavailable",
                    rolling["maxUnavailable"],
                    "may not be 0 when `maxSurge` is 0",
                )
        case other:
            yield unsupported(f"{field}.type", other or "", "Recreate", "RollingUpdate")


def _is_zero(value: Json) -> bool:
    return str(value).removesuffix("%") == "0"


def _job_restart_policy(obj: Object) -> Iterator[FieldError]:
    policy = _at(obj, "spec", "template", "spec", "restartPolicy")
    if policy not in ("OnFailure", "Never"):
        yield required("spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')


def _job_counts(obj: Object) -> Iterator[FieldError]:
    yield from _positive(obj, "parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished")


def _cron_schedule(obj: Object) -> Iterator[FieldError]:
    schedule = _at(obj, "spec", "schedule") or ""
    fields = str(schedule).split()
    if not schedule:
        yield required("spec.schedule")
    elif len(fields) != 5 and not schedule.startswith("@"):
        found = f"found {len(fields)}: [{' '.join(fields)}]"
        yield invalid("spec.schedule", schedule, f"expected exactly 5 fields, {found}")
    template = _at(obj, "spec", "jobTemplate", "spec", "template", "spec") or {}
    yield from pod_spec_errors(template, "spec.jobTemplate.spec.template.spec")
    if template.get("restartPolicy") not in ("OnFailure", "Never"):
        yield required("spec.jobTemplate.spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')


def _service(obj: Object) -> Iterator[FieldError]:
    spec = obj.get("spec") or {}
    ports = _maps(spec.get("ports"))
    kind, is_headless = spec.get("type", "ClusterIP"), spec.get("clusterIP") == "None"
    if not ports and not is_headless and kind != "ExternalName":
        yield required("spec.ports")
    names: set[str] = set()
    pairs: set[tuple[Json, Json]] = set()
    for index, port in ports:
        field, name, number = f"spec.ports[{index}]", port.get("name"), port.get("port")
        if len(ports) > 1 and not name:
            yield required(f"{field}.name")
        elif name in names:
            yield duplicate(f"{field}.name", name)
        elif name:
            yield from name_errors(f"{field}.name", str(name), is_label=True)
        names.add(name or "")
        for member, value in (("port", number), ("targetPort", port.get("targetPort"))):
            if isinstance(value, int) and not 0 < value < 65536:
                yield invalid(f"{field}.{member}", value, "must be between 1 and 65535, inclusive")
        if number is None:
            yield invalid(f"{field}.port", 0, "must be between 1 and 65535, inclusive")
        node = port.get("nodePort")
        if node and not 30000 <= node <= 32767:
            yield invalid(
                f"{field}.nodePort",
                node,
                "provided port is not in the valid range. The range of valid ports is 30000-32767",
            )
        pair = (port.get("protocol", "TCP"), number)
        if pair in pairs:
            yield duplicate(field, {"protocol": pair[0], "port": pair[1]})
        pairs.add(pair)


def _autoscaler(obj: Object) -> Iterator[FieldError]:
    spec = obj.get("spec") or {}
    lowest, highest = spec.get("minReplicas", 1), spec.get("maxReplicas") or 0
    if lowest < 1:
        yield invalid("spec.minReplicas", lowest, "must be greater than or equal to 1")
    if highest < 1:
        yield invalid("spec.maxReplicas", highest, "must be greater than 0")
    if highest < lowest:
        yield invalid("spec.maxReplicas", highest, "must be greater than or equal to `minReplicas`")
    target = spec.get("scaleTargetRef") or {}
    for member in ("kind", "name"):
        if not target.get(member):
            yield required(f"spec.scaleTargetRef.{member}")
    version = target.get("apiVersion") or ""
    if "/" not in version and target.get("kind") != "ReplicationController":
        yield invalid("spec.scaleTargetRef.apiVersion", version, "apiVersion must specify API group")


def _data_keys(obj: Object) -> Iterator[FieldError]:
    for member in ("data", "binaryData"):
        for key in sorted(obj.get(member) or {}):
            if not re.fullmatch(r"[-._a-zA-Z0-9]+", key):
                yield invalid(f"{member}[{key}]", key, _CONFIG_KEY_SAYS)
    total = sum(len(str(value)) for member in ("data", "binaryData") for value in (obj.get(member) or {}).values())
    # Base64 text is a third longer than what it stands for.
    limit = 1048576 if obj.get("kind") == "ConfigMap" else 1398104
    if total > limit:
        field = "[]" if obj.get("kind") == "ConfigMap" else "data"
        yield FieldError(field, Fault.TOO_LONG, "Too long: may not be more than 1048576 bytes")


def _role_ref(obj: Object) -> Iterator[FieldError]:
    if not _at(obj, "roleRef", "name"):
        yield required("roleRef.name")


def _custom_resource_definition(obj: Object) -> Iterator[FieldError]:
    spec = obj.get("spec") or {}
    expected = f"{_at(spec, 'names', 'plural') or ''}.{spec.get('group', '')}"
    if _at(obj, "metadata", "name") != expected:
        yield invalid("metadata.name", _at(obj, "metadata", "name"), 'must be spec.names.plural+"."+spec.group')
    for field in ("group", "scope", "versions"):
        if not spec.get(field):
            yield required(f"spec.{field}")
    for member in ("plural", "kind"):
        if not _at(spec, "names", member):
            yield required(f"spec.names.{member}")
    for index, version in enumerate(spec.get("versions") or ()):
        if not (version or {}).get("name"):  # null in a list is a version of which nothing is said
            yield required(f"spec.versions[{index}].name")
    if sum(bool(version.get("storage")) for _, version in _maps(spec.get("versions"))) != 1:
        yield invalid(
            "spec.versions", spec.get("versions") or [], "must have exactly one version marked as storage version"
        )


Check = Callable[[Object], Iterator[FieldError]]

REQUIRED: Final[Mapping[tuple[str, str], tuple[Check, ...]]] = {
    ("apps", "Deployment"): (_replicas, _selected, _template, _deployment_strategy),
    ("apps", "ReplicaSet"): (_replicas, _selected, _template),
    ("apps", "StatefulSet"): (_replicas, _selected, _template),
    ("apps", "DaemonSet"): (_selected, _template),
    ("autoscaling", "HorizontalPodAutoscaler"): (_autoscaler,),
    ("batch", "Job"): (_job_counts, _template, _job_restart_policy),
    ("batch", "CronJob"): (_cron_schedule,),
    ("", "Event"): (event_errors,),
    ("events.k8s.io", "Event"): (event_errors,),
    ("", "Pod"): (_pod,),
    ("", "Service"): (_service,),
    ("", "ConfigMap"): (_data_keys,),
    ("", "Secret"): (_data_keys,),
    ("rbac.authorization.k8s.io", "RoleBinding"): (_role_ref,),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): (_role_ref,),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): (_custom_resource_definition,),
}


# What may not change


def check_immutable(old: Object, new: Object) -> list[FieldError]:
    """What *new* changes although it may not, defaults being filled in already."""
    # The real server checks the metadata of an update for all kinds alike, and once more with each kind, both besides
    # the check of the whole object; of a Pod the whole object is not checked again.
    errors = [*_metadata_changes(old, new)]
    errors += [*_lasting_errors(new.get("metadata") or {})] * (1 if new.get("kind") == "Pod" else 2)
    for check in IMMUTABLE.get((_group(new), str(new.get("kind", ""))), ()):
        errors.extend(check(old, new))
    return errors


def _metadata_changes(old: Object, new: Object) -> Iterator[FieldError]:
    sent = _at(new, "metadata", "uid")
    if sent and sent != _at(old, "metadata", "uid"):
        # The real server checks it in two places and says so twice.
        yield invalid("metadata.uid", sent, "field is immutable")
        yield invalid("metadata.uid", sent, "field is immutable")
    if _at(old, "metadata", "deletionTimestamp"):
        late = [
            name
            for name in _at(new, "metadata", "finalizers") or ()
            if name not in (_at(old, "metadata", "finalizers") or ())
        ]
        if late:
            listed = "[]string{" + ", ".join(map(written, late)) + "}"
            why = f"no new finalizers can be added if the object is being deleted, found new finalizers {listed}"
            yield forbidden("metadata.finalizers", why)


def _fixed(*path: str, why: str = "field is immutable") -> Callable[[Object, Object], Iterator[FieldError]]:
    def check(old: Object, new: Object) -> Iterator[FieldError]:
        value = _at(new, *path)
        if not same(_at(old, *path), value):
            yield invalid(".".join(path), value, why)

    return check


_STATEFUL_SET_MAY_CHANGE: Final = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


def _stateful_set(old: Object, new: Object) -> Iterator[FieldError]:
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if _rest(before, *_STATEFUL_SET_MAY_CHANGE) != _rest(after, *_STATEFUL_SET_MAY_CHANGE):
        names = [f"'{name}'" for name in _STATEFUL_SET_MAY_CHANGE]
        allowed = f"{', '.join(names[:-1])} and {names[-1]}"
        yield forbidden("spec", f"updates to statefulset spec for fields other than {allowed} are forbidden")


def _rest(spec: Object, *members: str) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key not in members}


def _cluster_ip(old: Object, new: Object) -> Iterator[FieldError]:
    before, after = old.get("spec") or {}, new.get("spec") or {}
    had, has = before.get("clusterIP"), after.get("clusterIP")
    if had and had != "None" and has and had != has and after.get("type") != "ExternalName":
        yield invalid("spec.clusterIPs[0]", after.get("clusterIPs") or [has], "may not change once set")


def _immutable_data(old: Object, new: Object) -> Iterator[FieldError]:
    if not old.get("immutable"):
        return
    why = "field is immutable when `immutable` is set"
    if not new.get("immutable"):
        yield forbidden("immutable", why)
    for member in ("data", "binaryData"):
        if (old.get(member) or {}) != (new.get(member) or {}):
            yield forbidden(member, why)


def _claim(old: Object, new: Object) -> Iterator[FieldError]:
    may_change = ("resources", "volumeAttributesClassName", "volumeName")
    if _rest(old.get("spec") or {}, *may_change) != _rest(new.get("spec") or {}, *may_change):
        why = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        )
        yield forbidden("spec", why)


def _storage_class(old: Object, new: Object) -> Iterator[FieldError]:
    for member in ("parameters", "provisioner"):
        if old.get(member) != new.get(member):
            yield forbidden(member, f"updates to {member} are forbidden.")


def _pod_update(old: Object, new: Object) -> Iterator[FieldError]:
    def fixed(pod: Object) -> dict[str, Any]:
        spec = _rest(
            pod.get("spec") or {}, "activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations", "nodeName"
        )
        for member in ("containers", "initContainers"):
            spec[member] = [_rest(container, "image", "resources") for _, container in _maps(spec.get(member))]
        return spec

    if fixed(old) != fixed(new):
        allowed = (
            "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
            "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
            "previously negative)"
        )
        yield forbidden("spec", f"pod updates may not change fields other than {allowed}")


Change = Callable[[Object, Object], Iterator[FieldError]]

IMMUTABLE: Final[Mapping[tuple[str, str], tuple[Change, ...]]] = {
    ("apps", "Deployment"): (_fixed("spec", "selector"),),
    ("apps", "DaemonSet"): (_fixed("spec", "selector"),),
    ("apps", "ReplicaSet"): (_fixed("spec", "selector"),),
    ("apps", "StatefulSet"): (_stateful_set,),
    ("batch", "Job"): (
        _fixed("spec", "completions"),
        _fixed("spec", "selector"),
        _fixed("spec", "template"),
        _fixed("spec", "completionMode"),
    ),
    ("events.k8s.io", "Event"): (event_changes,),
    ("", "Service"): (_cluster_ip,),
    ("", "Secret"): (_fixed("type"), _immutable_data),
    ("", "ConfigMap"): (_immutable_data,),
    ("", "Pod"): (_pod_update,),
    ("", "PersistentVolumeClaim"): (_claim,),
    ("storage.k8s.io", "StorageClass"): (_storage_class,),
    ("rbac.authorization.k8s.io", "RoleBinding"): (_fixed("roleRef", why="cannot change roleRef"),),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): (_fixed("roleRef", why="cannot change roleRef"),),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): (_fixed("spec", "scope"),),
}
