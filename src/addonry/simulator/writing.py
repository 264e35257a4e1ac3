"""Every write a client asks for: create, update, patch, apply, delete, with the rules the real server keeps.

The order is that of the real server: decode, shape, merge, restore what only the server may set, fill in defaults,
check, track who owns what, store. What a field *means* is not decided here: merging, defaulting and checking are in
`objects`, allocations in `admission`, going away in `removal`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from addonry.simulator import conversion, errors, generations
from addonry.simulator.access.authorization import Attributes, Authorizer
from addonry.simulator.access.escalation import refuse_escalation
from addonry.simulator.access.users import ADMINISTRATOR, Identity
from addonry.simulator.admission import completion, limits, podsecurity, quotas
from addonry.simulator.admission.accounts import refuse_without_account
from addonry.simulator.admission.policies import policy_errors, refuse_by_policy, webhook_errors
from addonry.simulator.admission.webhooks import Webhooks, Write
from addonry.simulator.bounds import (
    KEPT,
    as_object,
    check_kind,
    check_name,
    limited_to,
    refused_patch,
    shown_result,
)
from addonry.simulator.clock import Clock, timestamp
from addonry.simulator.errors import ApiError
from addonry.simulator.expressions import customrules
from addonry.simulator.objects import (
    ApplyConflict,
    FieldError,
    PatchError,
    Schemas,
    TypeSchema,
    apply,
    apply_defaults,
    cannot_be_handled,
    check_conversion,
    check_custom,
    check_immutable,
    check_required,
    check_types,
    default_custom,
    go_format,
    json_patch,
    merge_patch,
    normalise,
    scale_managers,
    strategic_merge,
    unknown_fields,
    update_managers,
    with_scale_managers,
)
from addonry.simulator.objects.custom import UNCHECKED
from addonry.simulator.removal import begin_removal, is_due
from addonry.simulator.resources import Resource, ResourceKey, Served, built_in
from addonry.simulator.storage import Object, ObjectKey, Record, Store, new_uid

APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
PATCH_TYPES: Final = (JSON_PATCH, MERGE, STRATEGIC, APPLY)

_NAMESPACES: Final = ResourceKey("", "namespaces")
# Kinds that hold expressions, and who compiles them.
_WITH_EXPRESSIONS: Final[Mapping[ResourceKey, Callable[[Object], Iterable[FieldError]]]] = {
    ResourceKey("apiextensions.k8s.io", "customresourcedefinitions"): customrules.definition_errors,
    ResourceKey("admissionregistration.k8s.io", "validatingadmissionpolicies"): policy_errors,
    ResourceKey("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): webhook_errors,
    ResourceKey("admissionregistration.k8s.io", "validatingwebhookconfigurations"): webhook_errors,
}
_NODES: Final = ResourceKey("", "nodes")
# What NamespaceLifecycle keeps from deletion.
_IMMORTAL: Final = ("default", "kube-system", "kube-public")
# Changes of metadata are checked for all kinds alike and once more with each kind.
_METADATA_CHECKS: Final = 2
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """The query parameters of a write."""

    manager: str = "unknown"
    dry_run: bool = False
    validation: str = "Warn"
    force: bool = False
    duplicates: tuple[str, ...] = ()  # members that the body has twice
    who: Identity = ADMINISTRATOR


@dataclass(frozen=True, slots=True)
class Written:
    """The object after a write, and what the client should be warned about."""

    obj: Object
    created: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """The body and query of a deletion."""

    policy: str = ""  # none means in the background
    grace: int | None = None
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False
    warnings: tuple[str, ...] = ()
    who: Identity = ADMINISTRATOR


@dataclass(slots=True)
class _CustomSchema:
    source: Mapping[str, Any] | None
    built: TypeSchema
    has_rules: bool


@dataclass
class Writer:
    """Writes to the objects of one cluster."""

    store: Store
    served: Served
    schemas: Schemas
    clock: Clock
    _custom: dict[str, _CustomSchema] = field(default_factory=dict)
    webhooks: Webhooks = field(init=False)

    def __post_init__(self) -> None:
        self.webhooks = Webhooks(self.store)

    # ------------------------------------------------------------------ what clients ask

    def create(self, resource: Resource, namespace: str, obj: Object, options: WriteOptions) -> Written:
        """POST."""
        obj, warnings = self._accept(resource, obj, options)
        self._place(resource, namespace, obj)
        return self._create(resource, obj, options, warnings)

    def replace(
        self, resource: Resource, key: ObjectKey, obj: Object, options: WriteOptions, subresource: str = ""
    ) -> Written:
        """PUT."""
        live = self.full(resource, self._existing(resource, key))
        obj, warnings = self._accept(resource, obj, options)
        check_name(obj, key)
        return self._update(resource, live, obj, options, subresource, warnings)

    def patch(
        self,
        resource: Resource,
        key: ObjectKey,
        body: Any,
        content_type: str,
        options: WriteOptions,
        subresource: str = "",
    ) -> Written:
        """PATCH of any type; an apply of a missing object creates it."""
        record = self.store.get(key)
        if content_type == APPLY:
            return self._apply(resource, key, record, body, options, subresource)
        if record is None:
            raise errors.not_found(resource, key.name)
        live = self.full(resource, record)
        patched = self._patched(resource, live, body, content_type)
        warnings: tuple[str, ...] = ()
        if schema := self.schema_of(resource):
            is_strategic = content_type == STRATEGIC
            shown = go_format(body) if is_strategic else shown_result(resource, live, patched)
            check = check_conversion if is_strategic else check_types
            if not resource.is_custom and (problems := check(patched, schema)):
                raise errors.invalid_patch(shown, str(problems[0]))
            warnings = self._check_fields(resource, patched, schema, options, patched_to=shown)
            patched = normalise(patched, schema)
        if (patched.get("metadata") or {}).get("name", key.name) != key.name:
            raise errors.bad_request(
                "the name of the object ({}) does not match the name on the URL ({})".format(
                    patched["metadata"]["name"], key.name
                )
            )
        return self._update(resource, live, patched, options, subresource, warnings)

    def delete(self, resource: Resource, key: ObjectKey, options: DeleteOptions) -> tuple[Object, bool]:
        """DELETE: the object as it is now or was last, and whether it is gone."""
        if resource.key == _NAMESPACES and key.name in _IMMORTAL:
            raise errors.forbidden(resource, key.name, "this namespace may not be deleted")
        record = self._existing(resource, key)
        obj = self.full(resource, record)
        if options.uid and options.uid != record.uid:
            why = (
                f"the UID in the precondition ({options.uid}) does not match the UID in record ({record.uid}). "
                "The object might have been deleted and then recreated"
            )
            raise errors.precondition_failed(resource, key.name, why)
        if options.resource_version and options.resource_version != str(record.version):
            why = (
                f"the ResourceVersion in the precondition ({options.resource_version}) does not match the "
                f"ResourceVersion in record ({record.version}). The object might have been modified"
            )
            raise errors.precondition_failed(resource, key.name, why)
        write = Write("DELETE", resource, None, obj, dry_run=options.dry_run, who=options.who)
        refuse_by_policy(self.store, self.served, write)
        self.webhooks.validate(write)
        if options.dry_run:
            return obj, not obj["metadata"].get("finalizers")
        left, is_gone = begin_removal(
            self.store, self.clock, resource, record, policy=options.policy, grace=options.grace
        )
        return self.full(resource, left), is_gone

    def write_scale(
        self, resource: Resource, key: ObjectKey, body: Any, content_type: str, options: WriteOptions
    ) -> Object:
        """PUT or PATCH of the scale subresource; an empty content type means PUT."""
        live = self.full(resource, self._existing(resource, key))
        before = self._owned_scale(resource, live)
        schema, now = self.schemas.of("autoscaling/v1", "Scale"), timestamp(self.clock.now())
        if content_type == APPLY:
            after = self._applied_scale(before, as_object(body), schema, options)
        else:
            new = as_object(body) if not content_type else self._patched(_SCALE, before, body, content_type)
            if problems := check_types(new, schema):
                if content_type:
                    raise errors.invalid_patch(shown_result(_SCALE, before, new), problems[0])
                raise errors.bad_request(cannot_be_handled({**new, "kind": "Scale"}, problems[0]))
            metadata = {**before["metadata"], **(new.get("metadata") or {})}
            if metadata.get("resourceVersion") != before["metadata"]["resourceVersion"]:
                raise errors.modified(resource, key.name)
            after = {**before, **new, "metadata": metadata}
            after = update_managers(before, after, manager=options.manager, schema=schema, now=now, subresource="scale")
        replicas = (after.get("spec") or {}).get("replicas", 0)
        if not isinstance(replicas, int) or replicas < 0:
            said = f"Invalid value: {replicas}: must be greater than or equal to 0"
            raise errors.invalid(resource, key.name, [("FieldValueInvalid", said, "spec.replicas")])
        path = self._replicas_path(resource)
        changed = _with(live, path, replicas)
        entries = after["metadata"].get("managedFields")
        changed = with_scale_managers(changed, entries, path=path)
        written = self._update(resource, live, changed, options, tracked=True)
        return self.scale_of(resource, written.obj)

    def _applied_scale(self, before: Object, body: Object, schema: TypeSchema | None, options: WriteOptions) -> Object:
        try:
            return apply(
                before,
                body,
                manager=options.manager,
                force=options.force,
                schema=schema,
                now=timestamp(self.clock.now()),
                subresource="scale",
            )
        except ApplyConflict as conflict:
            raise errors.apply_conflict(str(conflict), conflict.causes) from conflict
        except PatchError as error:
            raise ApiError(error.status, error.reason, error.message) from error

    def scale_of(self, resource: Resource, obj: Object) -> Object:
        metadata = {
            member: obj["metadata"][member]
            for member in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
            if member in obj["metadata"]
        }
        path = self._replicas_path(resource)
        replicas = _read(obj, path) or 0
        status: Object = {"replicas": _read(obj, self._status_path(resource)) or 0}
        selector = obj.get("spec", {}).get("selector") or {}
        labels = selector.get("matchLabels", selector)
        if resource.is_custom:
            where = (resource.scale_paths or {}).get("labelSelectorPath")
            if where and (text := _read(obj, _path(where))):
                status["selector"] = text
        elif labels:
            status["selector"] = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        spec = {"replicas": replicas} if replicas else {}
        return {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": metadata,
            "spec": spec,
            "status": status,
        }

    def _owned_scale(self, resource: Resource, obj: Object) -> Object:
        """The scale with its owners, which answers leave out."""
        scale = self.scale_of(resource, obj)
        if entries := scale_managers(obj, path=self._replicas_path(resource)):
            scale["metadata"]["managedFields"] = entries
        return scale

    @staticmethod
    def _replicas_path(resource: Resource) -> tuple[str, ...]:
        return _path((resource.scale_paths or {}).get("specReplicasPath", ".spec.replicas"))

    @staticmethod
    def _status_path(resource: Resource) -> tuple[str, ...]:
        return _path((resource.scale_paths or {}).get("statusReplicasPath", ".status.replicas"))

    def owned_by(self, obj: Object, resource: Resource, options: WriteOptions, subresource: str = "") -> Object:
        """The object with its fields noted as the client's; it is stored nowhere."""
        schema, now = self.schema_of(resource), timestamp(self.clock.now())
        return update_managers(None, obj, manager=options.manager, schema=schema, now=now, subresource=subresource)

    # ------------------------------------------------------------------ reading with a kind

    @staticmethod
    def full(resource: Resource, record: Record) -> Object:
        """The object with kind and apiVersion."""
        head = {"kind": resource.kind, "apiVersion": resource.api_version}
        return {**head, **conversion.shown_object(resource, record.decode())}

    def schema_of(self, resource: Resource) -> TypeSchema | None:
        """What is known of the fields of the resource."""
        if not resource.is_custom:
            return self.schemas.of(resource.types, resource.kind)
        name = _name(resource)
        known = self._custom.get(name)
        if known is None or known.source is not resource.openapi_schema:
            source = resource.openapi_schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
            built = self.schemas.with_structural(
                resource.api_version, resource.kind, source, has_status=bool(resource.subresource("status"))
            )
            known = self._custom[name] = _CustomSchema(resource.openapi_schema, built, customrules.has_rules(source))
        return known.built

    # ------------------------------------------------------------------ taking an object in

    def _accept(self, resource: Resource, obj: Any, options: WriteOptions) -> tuple[Object, tuple[str, ...]]:
        """The body of a POST or PUT in the form it is stored in."""
        check_kind(resource, obj)
        head = {"kind": resource.kind, "apiVersion": resource.api_version}
        obj = {**head, **obj, **head}
        obj.setdefault("metadata", {})
        schema = self.schema_of(resource)
        if schema is None:
            return obj, ()
        problems = check_types(obj, schema)
        if problems:
            said = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            raise errors.bad_request(said + str(problems[0]))
        warnings = self._check_fields(resource, obj, schema, options)
        return normalise(obj, schema), warnings

    def _check_fields(
        self,
        resource: Resource,
        obj: Object,
        schema: TypeSchema,
        options: WriteOptions,
        *,
        patched_to: str = "",
    ) -> tuple[str, ...]:
        """Warnings about unknown members and such as come twice; an error when they are not to be let through."""
        if options.validation == "Ignore":
            return ()
        unknown = [f'duplicate field "{path}"' for path in options.duplicates]
        unknown += [f'unknown field "{path}"' for path in unknown_fields(obj, schema)]
        if not unknown or options.validation == "Warn":
            return tuple(unknown)
        message = f"strict decoding error: {', '.join(unknown)}"
        if patched_to:
            raise errors.invalid_patch(patched_to, message)
        kind, version = resource.kind, resource.version
        raise errors.bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {message}')

    def _place(self, resource: Resource, namespace: str, obj: Object) -> None:
        metadata = obj["metadata"]
        if resource.namespaced:
            if metadata.setdefault("namespace", namespace) != namespace:
                raise errors.bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
        else:
            metadata.pop("namespace", None)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + completion.random_suffix()

    def _check_namespace(self, resource: Resource, obj: Object) -> None:
        if not resource.namespaced:
            return
        namespace = obj["metadata"]["namespace"]
        record = self.store.get(ObjectKey(_NAMESPACES, "", namespace))
        if record is None:
            raise errors.not_found(built_in("", "namespaces"), namespace)
        if record.decode()["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
            raise errors.forbidden(resource, obj["metadata"].get("name", ""), why, causes=[cause])

    # ------------------------------------------------------------------ create

    def _create(
        self,
        resource: Resource,
        obj: Object,
        options: WriteOptions,
        warnings: tuple[str, ...] = (),
        *,
        tracked: bool = False,
    ) -> Written:
        metadata = obj["metadata"]
        if metadata.get("resourceVersion"):
            raise errors.bad_request("resourceVersion should not be set on objects to be created")
        for member in (*KEPT, "selfLink"):
            metadata.pop(member, None)
        if resource.subresource("status") and resource.key != _NODES:
            obj.pop("status", None)  # a kubelet registers its node together with its status
        obj = limits.with_defaults(self.store, resource, self._with_defaults(resource, obj))
        changed = self.webhooks.mutate(Write("CREATE", resource, obj, dry_run=options.dry_run, who=options.who))
        if changed is not obj:
            obj = self._with_defaults(resource, changed)
        metadata = obj["metadata"]
        if not metadata.get("name"):
            cause = ("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")
            raise errors.invalid(resource, "", [cause])
        refuse_escalation(self.store, options.who, resource, obj, None)
        found, told = self._custom_errors(resource, obj, None)
        warnings += told
        self._refuse(resource, metadata["name"], [*check_required(obj), *found])
        self._check_namespace(resource, obj)
        refuse_without_account(self.store, resource, obj)
        now = timestamp(self.clock.now())
        if not tracked:
            metadata.pop("managedFields", None)
            obj = update_managers(None, obj, manager=options.manager, schema=self.schema_of(resource), now=now)
        metadata = obj["metadata"]
        metadata["uid"] = new_uid()
        metadata["creationTimestamp"] = now
        if resource.has_generation or resource.is_custom:
            metadata["generation"] = 1
        completion.complete(resource.key, obj, self.store)
        limits.refuse_beyond_limits(self.store, resource, obj)
        warnings += podsecurity.judge(self.store, resource, obj)
        write = Write("CREATE", resource, obj, dry_run=options.dry_run, who=options.who)
        warnings += refuse_by_policy(self.store, self.served, write)
        self.webhooks.validate(write)
        quotas.refuse_over_quota(self.store, resource, obj)
        existing = self.store.get(ObjectKey(resource.key, metadata.get("namespace", ""), metadata["name"]))
        if existing is not None:
            deleting = bool(existing.decode()["metadata"].get("deletionTimestamp"))
            raise errors.already_exists(resource, metadata["name"], being_deleted=deleting)
        if not options.dry_run:
            obj = self._kept(resource, obj)
        return Written(obj, created=True, warnings=warnings)

    # ------------------------------------------------------------------ update

    def _update(
        self,
        resource: Resource,
        live: Object,
        new: Object,
        options: WriteOptions,
        subresource: str = "",
        warnings: tuple[str, ...] = (),
        *,
        tracked: bool = False,
    ) -> Written:
        name = live["metadata"]["name"]
        self._check_versions(resource, live, new)
        new = limited_to(resource, live, new, subresource)
        new = self._with_defaults(resource, new)
        asked = Write("UPDATE", resource, new, live, subresource, options.dry_run, options.who)
        changed = self.webhooks.mutate(asked)
        if changed is not new:
            new = self._with_defaults(resource, changed)
        completion.carry_over(resource.key, live, new)
        self._check_finalizers(resource, live, new)
        refuse_escalation(self.store, options.who, resource, new, live)
        if not subresource:
            found, told = self._custom_errors(resource, new, live)
            warnings += told
            self._refuse(resource, name, [*check_immutable(live, new), *check_required(new), *found])
            warnings += podsecurity.judge(self.store, resource, new, live)
        write = Write("UPDATE", resource, new, live, subresource, options.dry_run, options.who)
        warnings += refuse_by_policy(self.store, self.served, write)
        self.webhooks.validate(write)
        if not tracked:
            new = update_managers(
                live,
                new,
                manager=options.manager,
                schema=self.schema_of(resource),
                now=timestamp(self.clock.now()),
                subresource=subresource,
            )
        generations.count(resource, live, new, subresource)
        if options.dry_run:
            return Written(new, warnings=warnings)
        if is_due(resource, new):
            self.store.remove(ObjectKey(resource.key, new["metadata"].get("namespace", ""), name))
            return Written(new, warnings=warnings)
        return Written(self._kept(resource, new), warnings=warnings)

    def _kept(self, resource: Resource, obj: Object) -> Object:
        """Store the object; it comes back with its version."""
        return self.full(resource, self.store.put(resource, conversion.stored(resource, obj)))

    @staticmethod
    def _check_versions(resource: Resource, live: Object, new: Object) -> None:
        name, old, metadata = live["metadata"]["name"], live["metadata"], new.setdefault("metadata", {})
        if metadata.get("uid", old["uid"]) != old["uid"]:
            said = f'Invalid value: "{metadata["uid"]}": field is immutable'
            raise errors.invalid(resource, name, [("FieldValueInvalid", said, "metadata.uid")] * _METADATA_CHECKS)
        if metadata.get("resourceVersion", "") not in ("", old["resourceVersion"]):
            raise errors.modified(resource, name)

    @staticmethod
    def _check_finalizers(resource: Resource, live: Object, new: Object) -> None:
        if not live["metadata"].get("deletionTimestamp"):
            return
        before = set(live["metadata"].get("finalizers", ()))
        late = [f for f in new["metadata"].get("finalizers", ()) if f not in before]
        if late:
            listed = ", ".join(f'"{finalizer}"' for finalizer in late)
            said = (
                "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
                f"[]string{{{listed}}}"
            )
            causes = [("FieldValueForbidden", said, "metadata.finalizers")]
            raise errors.invalid(resource, live["metadata"]["name"], causes * _METADATA_CHECKS)

    # ------------------------------------------------------------------ patch

    def _patched(self, resource: Resource, live: Object, body: Any, content_type: str) -> Object:
        try:
            match content_type:
                case "application/json-patch+json":
                    return as_object(json_patch(live, body))
                case "application/merge-patch+json":
                    return as_object(merge_patch(live, body))
                case "application/strategic-merge-patch+json" if not resource.is_custom:
                    return as_object(strategic_merge(live, body, self.schema_of(resource)))
        except PatchError as error:
            raise refused_patch(error) from error
        raise errors.unsupported_patch_of_custom()

    def _apply(
        self,
        resource: Resource,
        key: ObjectKey,
        record: Record | None,
        body: Any,
        options: WriteOptions,
        subresource: str,
    ) -> Written:
        body = as_object(body)
        if not body.get("kind") or not body.get("apiVersion"):
            group, _, version = str(body.get("apiVersion") or "").rpartition("/")
            raise errors.bad_request(f"invalid object type: {group}/{version}, Kind={body.get('kind') or ''}")
        check_kind(resource, body)
        metadata = body["metadata"] = body.get("metadata") or {}
        # Only checked here: what goes into messages about the applied object is what the client sent.
        check_name({"metadata": dict(metadata)}, key)
        if record is None and metadata.get("uid"):
            why = f"uid mismatch: the provided object specified uid {metadata['uid']}, and no existing object was found"
            raise errors.conflict(resource, key.name, why)
        live = None if record is None else self.full(resource, record)
        if live is not None and metadata.get("resourceVersion", "") not in ("", live["metadata"]["resourceVersion"]):
            raise errors.modified(resource, key.name)
        try:
            merged = apply(
                live,
                body,
                manager=options.manager,
                force=options.force,
                schema=self.schema_of(resource),
                now=timestamp(self.clock.now()),
                subresource=subresource,
            )
        except ApplyConflict as conflict:
            raise errors.apply_conflict(str(conflict), conflict.causes) from conflict
        except PatchError as error:
            raise ApiError(error.status, error.reason, error.message) from error
        if schema := self.schema_of(resource):
            merged = normalise(merged, schema)
        if live is None:
            if subresource:
                raise errors.not_found(resource, key.name)
            self._check_may_create(resource, key, options.who)
            merged["metadata"] = {**merged.get("metadata", {}), "name": key.name}
            if key.namespace:
                merged["metadata"]["namespace"] = key.namespace
            return self._create(resource, merged, options, tracked=True)
        return self._update(resource, live, merged, options, subresource, tracked=True)

    # ------------------------------------------------------------------ parts

    def _check_may_create(self, resource: Resource, key: ObjectKey, who: Identity) -> None:
        """An apply that creates takes the right to create, too."""
        what = Attributes("create", resource.group, resource.plural, namespace=key.namespace, name=key.name)
        if not Authorizer(self.store).allows(who, what):
            raise errors.access_forbidden(who.name, what)

    def _custom_errors(
        self, resource: Resource, obj: Object, old: Object | None
    ) -> tuple[list[FieldError], tuple[str, ...]]:
        """What is wrong by the schema of a definition and its rules, and what to warn of; or with a definition."""
        if check := _WITH_EXPRESSIONS.get(resource.key):
            return list(check(obj)), ()
        schema = resource.openapi_schema
        if schema is None:
            return [], ()
        errors = check_custom(obj, schema, resource.scale_paths)
        self.schema_of(resource)
        if not self._custom[_name(resource)].has_rules or UNCHECKED in errors:
            return errors, ()
        broken, warnings = customrules.rule_errors(schema, obj, old)
        return errors + broken, tuple(warnings)

    @staticmethod
    def _with_defaults(resource: Resource, obj: Object) -> Object:
        if not resource.is_custom:
            return apply_defaults(obj, resource.kind)
        filled: Object = default_custom(obj, resource.openapi_schema) if resource.openapi_schema else obj
        return filled

    def _existing(self, resource: Resource, key: ObjectKey) -> Record:
        record = self.store.get(key)
        if record is None:
            raise errors.not_found(resource, key.name)
        return record

    @staticmethod
    def _refuse(resource: Resource, name: str, found: Sequence[Any]) -> None:
        if found:
            raise errors.invalid(resource, name, [(str(e.type), e.message, e.field) for e in found])


_SCALE: Final = Resource("autoscaling", "v1", "Scale", "scales", "scale", namespaced=True)


def _name(resource: Resource) -> str:
    return f"{resource.api_version}/{resource.kind}"


def _path(written: str) -> tuple[str, ...]:
    return tuple(written.strip(".").split("."))


def _read(obj: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        obj = obj.get(part) if isinstance(obj, dict) else None
    return obj


def _with(obj: Object, path: tuple[str, ...], value: Any) -> Object:
    """A copy of *obj* with another value at *path*."""
    head, *rest = path
    return {**obj, head: _with(obj.get(head) or {}, tuple(rest), value) if rest else value}
