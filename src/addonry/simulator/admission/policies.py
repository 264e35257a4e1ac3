"""ValidatingAdmissionPolicies and their bindings: expressions that a write must satisfy.

Asked after everything else but webhooks and quotas. Denials and warnings are in the words of kube-apiserver; nothing
is audited. An expression that cannot be evaluated here lets the write pass, with a warning.
See https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from addonry.simulator import selectors
from addonry.simulator.admission.webhooks import Write, namespace_matches, request_of, rule_matches
from addonry.simulator.errors import ApiError
from addonry.simulator.expressions.cel import Failed, NotCompiled, Unsupported, compiled
from addonry.simulator.objects import FieldError
from addonry.simulator.objects.faults import invalid, required
from addonry.simulator.resources import Resource, ResourceKey, Served
from addonry.simulator.storage import Object, ObjectKey, Store

_GROUP: Final = "admissionregistration.k8s.io"
_POLICIES: Final = ResourceKey(_GROUP, "validatingadmissionpolicies")
_BINDINGS: Final = ResourceKey(_GROUP, "validatingadmissionpolicybindings")
_VARIABLES: Final = ("object", "oldObject", "request", "params", "namespaceObject", "variables")
_TYPES: Final = dict.fromkeys(_VARIABLES, "any")
_CODES: Final[Mapping[str, int]] = {
    "Unauthorized": 401,
    "Forbidden": 403,
    "Invalid": 422,
    "RequestEntityTooLarge": 413,
}
_NO_PARAMS: Final = "no params found for policy binding with `Deny` parameterNotFoundAction"


@dataclass
class _Asked:
    """One write, and what is found out about it."""

    store: Store
    served: Served
    write: Write
    warnings: list[str] = field(default_factory=list)


def refuse_by_policy(store: Store, served: Served, write: Write) -> tuple[str, ...]:
    """What to warn of; raises where a policy denies the write. Free where there are no bindings."""
    if not store.has_any(_BINDINGS) or write.resource.group == _GROUP:
        return ()
    asked = _Asked(store, served, write)
    for record in store.records(_BINDINGS):
        binding = record.decode()
        name = (binding.get("spec") or {}).get("policyName", "")
        found = store.get(ObjectKey(_POLICIES, "", name))
        if found is not None:
            _ask(asked, found.decode(), binding)
    return tuple(asked.warnings)


def policy_errors(obj: Object) -> Iterator[FieldError]:
    """What is wrong with a policy: expressions that a real server could not compile."""
    spec = obj.get("spec") or {}
    if not spec.get("validations") and not spec.get("auditAnnotations"):
        why = "validations or auditAnnotations must be specified"
        yield required("spec.validations", why)
        yield required("spec.auditAnnotations", why)
    for member, parts in (
        ("matchConditions", ("expression",)),
        ("variables", ("expression",)),
        ("validations", ("expression", "messageExpression")),
    ):
        for number, each in enumerate(spec.get(member) or ()):
            for part in parts:
                source = str(each.get(part) or "")
                where = f"spec.{member}[{number}].{part}"
                if not source and part == "expression":
                    yield required(where)
                elif source and (why := _fault(source)):
                    yield invalid(where, source, f"compilation failed: {why}")


def webhook_errors(obj: Object) -> Iterator[FieldError]:
    """The same for the match conditions of webhooks."""
    for number, hook in enumerate(obj.get("webhooks") or ()):
        for place, condition in enumerate((hook or {}).get("matchConditions") or ()):
            source = str(condition.get("expression") or "")
            if source and (why := _fault(source)):
                where = f"webhooks[{number}].matchConditions[{place}].expression"
                yield invalid(where, source, f"compilation failed: {why}")


def _fault(source: str) -> str:
    try:
        compiled(source, **_TYPES)
    except NotCompiled as error:
        return str(error)
    except Unsupported:
        pass
    return ""


# ---------------------------------------------------------------------- asking


def _ask(asked: _Asked, policy: Object, binding: Object) -> None:
    spec, bound = policy.get("spec") or {}, binding.get("spec") or {}
    if not _matches(asked, spec.get("matchConstraints") or {}, obliged=True):
        return
    if not _matches(asked, bound.get("matchResources") or {}, obliged=False):
        return
    for params in _params(asked, policy, binding):
        variables = _variables(asked, params)
        if _conditions_hold(asked, spec, policy, binding, variables):
            for validation in spec.get("validations") or ():
                _validate(asked, validation, policy, binding, variables)


def _matches(asked: _Asked, constraints: Mapping[str, Any], *, obliged: bool) -> bool:
    """Whether the constraints cover the write; a binding that names no rules covers all that its policy does."""
    rules, excluded = constraints.get("resourceRules"), constraints.get("excludeResourceRules") or ()
    is_exact = constraints.get("matchPolicy") == "Exact"
    if (obliged or rules) and not any(_rule_matches(rule, asked.write, exact=is_exact) for rule in rules or ()):
        return False
    if any(_rule_matches(rule, asked.write, exact=is_exact) for rule in excluded):
        return False
    if not namespace_matches(asked.store, constraints.get("namespaceSelector"), asked.write):
        return False
    wanted = selectors.from_object(constraints.get("objectSelector") or {})
    candidates = [obj for obj in (asked.write.obj, asked.write.old) if obj is not None]
    return any(selectors.matches(wanted, obj["metadata"].get("labels")) for obj in candidates)


def _rule_matches(rule: Mapping[str, Any], write: Write, *, exact: bool) -> bool:
    names = rule.get("resourceNames") or ()
    return rule_matches(rule, write, exact=exact) and (not names or write.subject["metadata"].get("name") in names)


def _params(asked: _Asked, policy: Object, binding: Object) -> list[Object | None]:
    """The parameters to judge with, one after the other; None for a policy without."""
    kind, reference = policy["spec"].get("paramKind"), (binding.get("spec") or {}).get("paramRef")
    if not kind or not reference:
        return [None]
    resource = next(
        (r for r in asked.served if (r.api_version, r.kind) == (kind.get("apiVersion"), kind.get("kind"))), None
    )
    found = [] if resource is None else list(_found_params(asked, resource, reference))
    if not found and reference.get("parameterNotFoundAction") != "Allow":
        _deny(asked, f"failed to configure binding: {_NO_PARAMS}", policy, binding, "Invalid")
    return [*found]


def _found_params(asked: _Asked, resource: Resource, reference: Mapping[str, Any]) -> Iterator[Object]:
    namespace = ""
    if resource.namespaced:
        namespace = reference.get("namespace") or asked.write.subject["metadata"].get("namespace", "")
    wanted = selectors.from_object(reference.get("selector") or {})
    for record in asked.store.records(resource.key, namespace):
        if (
            record.key.name == reference.get("name")
            if reference.get("name")
            else selectors.matches(wanted, record.labels)
        ):
            yield {"kind": resource.kind, "apiVersion": resource.api_version, **record.decode()}


def _variables(asked: _Asked, params: Object | None) -> dict[str, Any]:
    write = asked.write
    namespace = write.subject["metadata"].get("namespace", "")
    record = asked.store.get(ObjectKey(ResourceKey("", "namespaces"), "", namespace)) if namespace else None
    return {
        "object": None if write.operation == "DELETE" else write.obj,
        "oldObject": write.old,
        "request": {"subResource": "", "requestSubResource": "", "options": {}, **request_of(write)},
        "params": params,
        "namespaceObject": None if record is None else record.decode(),
        "variables": {},
    }


def _conditions_hold(
    asked: _Asked, spec: Mapping[str, Any], policy: Object, binding: Object, variables: dict[str, Any]
) -> bool:
    for condition in spec.get("matchConditions") or ():
        try:
            if not compiled(condition["expression"], **_TYPES).value(variables):
                return False
        except Failed as failure:
            said = f"expression '{condition['expression']}' resulted in error: {failure}"
            _fail(asked, said, policy, binding)
            return False
        except (NotCompiled, Unsupported):
            _tell_unknown(asked, condition["expression"], policy)
            return False
    # In order, since one may use those before it; one that fails is only missed by who uses it.
    for each in spec.get("variables") or ():
        try:
            variables["variables"][each["name"]] = compiled(each["expression"], **_TYPES).value(variables)
        except (Failed, NotCompiled, Unsupported):
            continue
    return True


def _validate(
    asked: _Asked, validation: Mapping[str, Any], policy: Object, binding: Object, variables: Mapping[str, Any]
) -> None:
    source = validation["expression"]
    try:
        holds = compiled(source, **_TYPES).value(variables)
    except Failed as failure:
        _fail(asked, f"expression '{source}' resulted in error: {failure}", policy, binding)
        return
    except (NotCompiled, Unsupported):
        _tell_unknown(asked, source, policy)
        return
    if holds is not True:
        message = _message(validation, variables)
        _deny(asked, message, policy, binding, validation.get("reason") or "Invalid")


def _message(validation: Mapping[str, Any], variables: Mapping[str, Any]) -> str:
    plain = str(validation.get("message") or "").strip() or f"failed expression: {validation['expression'].strip()}"
    if not (expression := validation.get("messageExpression")):
        return plain
    try:
        text = compiled(expression, **_TYPES).value(variables)
    except (Failed, NotCompiled, Unsupported):
        return plain
    return text.strip() if isinstance(text, str) and text.strip() and "\n" not in text else plain


def _fail(asked: _Asked, message: str, policy: Object, binding: Object) -> None:
    """An evaluation ended in an error: what becomes of it is the policy's own word."""
    if policy["spec"].get("failurePolicy", "Fail") == "Fail":
        _deny(asked, message, policy, binding, "Invalid")


def _deny(asked: _Asked, message: str, policy: Object, binding: Object, reason: str) -> None:
    names = f"'{policy['metadata']['name']}' with binding '{binding['metadata']['name']}'"
    actions: Sequence[str] = (binding.get("spec") or {}).get("validationActions") or ()
    if "Warn" in actions:
        asked.warnings.append(f"Validation failed for ValidatingAdmissionPolicy {names}: {message}")
    if "Deny" not in actions:
        return
    said = f"ValidatingAdmissionPolicy {names} denied request: {message}"
    resource, name = asked.write.resource, asked.write.subject["metadata"].get("name", "")
    details: dict[str, Any] = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    details |= {"kind": resource.plural, "causes": [{"message": said}]}
    text = f'{resource.qualified} "{name}" is forbidden: {said}'
    raise ApiError(_CODES.get(reason, 422), reason, text, details=details)


def _tell_unknown(asked: _Asked, source: str, policy: Object) -> None:
    name = policy["metadata"]["name"]
    asked.warnings.append(f"simulated cluster: an expression of policy {name} cannot be evaluated: {source.strip()}")
