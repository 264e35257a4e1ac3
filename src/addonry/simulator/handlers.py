"""From a request to its answer, for one cluster.

`Api.respond` finds out what a path means and calls the part that knows: discovery, lists and watches, or writes. It
decides nothing about objects. Every refusal is an `ApiError`, turned into a `Status` in one place.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from addonry.simulator import conversion, errors, routing, tables, watching
from addonry.simulator.access.authorization import Attributes, Authorizer
from addonry.simulator.access.reviews import REVIEWS
from addonry.simulator.access.users import ADMINISTRATOR, Identity, Users, impersonated
from addonry.simulator.admission.webhooks import AnswerNeeded
from addonry.simulator.aggregation import answered_elsewhere
from addonry.simulator.bodies import duplicates, read_object, read_patch, read_protobuf, read_yaml
from addonry.simulator.clock import Clock, timestamp
from addonry.simulator.discovery import Discovery, version_info
from addonry.simulator.errors import ApiError
from addonry.simulator.health import health
from addonry.simulator.messages import Request, Response, json_response, text_response
from addonry.simulator.metrics import Metrics
from addonry.simulator.negotiation import PROTOBUF, Form, as_asked, form_of
from addonry.simulator.objects import cannot_be_handled, check_types
from addonry.simulator.resources import Resource, ResourceKey, Served, Subresource
from addonry.simulator.routing import Route
from addonry.simulator.storage import Object, ObjectKey, Record, Store
from addonry.simulator.subresources import ACTIONS, Call, Surroundings
from addonry.simulator.writing import APPLY, PATCH_TYPES, DeleteOptions, WriteOptions, Writer

_MAXIMUM_BODY: Final = 3 * 1024 * 1024
_VALIDATIONS: Final = ("", "Ignore", "Strict", "Warn")
_LONGEST_MANAGER: Final = 128
_POLICIES: Final = ("Foreground", "Background", "Orphan")
# The one kind whose dependents stay when a deletion does not say what is to become of them.
_JOBS: Final = ResourceKey("batch", "jobs")
_JOBS_WARNING: Final = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set "
    "propagationPolicy=Orphan to suppress this warning"
)

# What the answer to a deletion is when the object is gone at once; all others answer a Status.
_ANSWERED_BY_OBJECT: Final = frozenset(
    ("", plural)
    for plural in (
        "namespaces",
        "persistentvolumeclaims",
        "persistentvolumes",
        "pods",
        "podtemplates",
        "resourcequotas",
        "serviceaccounts",
        "services",
    )
)

log = logging.getLogger(__name__)

Ended = Callable[[], Awaitable[Any]]


class Api:
    """The API of one cluster."""

    def __init__(
        self, *, store: Store, served: Served, writer: Writer, discovery: Discovery, clock: Clock, users: Users
    ) -> None:
        self._store, self._served, self._writer = store, served, writer
        self._discovery, self._clock = discovery, clock
        self._authorizer = Authorizer(store)
        self.kubernetes_version = "v1.36.2"
        self._metrics = Metrics()
        self.said: dict[str, str] = {}  # what containers log, by a word of their image
        self._around = Surroundings(store, writer, clock, users, self.said)

    def respond(self, request: Request, ended: Ended, who: Identity = ADMINISTRATOR) -> Response:
        """The answer to a request; *ended* is a function that waits until the client has gone."""
        return as_asked(request, self._json(request, ended, who))

    def _json(self, request: Request, ended: Ended, who: Identity) -> Response:
        try:
            return self._respond(request, ended, who)
        except ApiError as error:
            return refusal(error)
        except AnswerNeeded:
            raise
        except Exception as bug:
            log.exception("No answer to %s %s", request.method, request.path)
            failure = ApiError(500, "InternalError", f"Internal error occurred: {type(bug).__name__}: {bug}")
            return json_response(failure.status(), failure.code)

    def _respond(self, request: Request, ended: Ended, who: Identity) -> Response:
        path = request.path.rstrip("/") or "/"
        route = routing.parse(path)
        who = self._admitted(request, route, who)
        if len(request.body) > _MAXIMUM_BODY:
            raise errors.too_large(_MAXIMUM_BODY)
        answer = self._document(request, path)
        if answer is not None:
            return answer
        if route is None:
            return text_response("404 page not found\n", 404)
        if not route.plural:
            found = self._discovery.version(route.group, route.version)
            return found or self._elsewhere(route) or text_response("404 page not found\n", 404)
        resource = self._served.find(route.group, route.version, route.plural)
        if resource is None:
            if (answer := self._elsewhere(route)) is not None:
                return answer
            if not self._served.has_group(route.group):
                return text_response("404 page not found\n", 404)
            raise errors.no_such_resource()
        return self._resource(request, route, resource, ended, who)

    def _elsewhere(self, route: Route) -> Response | None:
        """The answer for an aggregated API; nothing answers for one that is available."""
        api = answered_elsewhere(self._store, route.group, route.version)
        return None if api is None or api.available else text_response("service unavailable\n", 503)

    def _admitted(self, request: Request, route: Route | None, who: Identity) -> Identity:
        """In whose name the request is carried out; 403 where that is not allowed."""
        other = impersonated(request)
        if other is None and who.is_unrestricted:
            return who
        what = Attributes.of(request, route)
        if other is not None:
            if not self._authorizer.allows(who, Attributes("impersonate", resource="users", name=other.name)):
                # The right to it is one on the request itself, since it can be limited to some requests.
                raise errors.access_forbidden(who.name, replace(what, verb=f"impersonate-on:user-info:{what.verb}"))
            who = other
        if not self._authorizer.allows(who, what):
            raise errors.access_forbidden(who.name, what)
        return who

    # ------------------------------------------------------------------ documents

    def _document(self, request: Request, path: str) -> Response | None:
        """The answer for the paths that are not about objects."""
        if (well := health(path, request.query)) is not None:
            return well
        match path:
            case "/":
                return self._discovery.root()
            case "/metrics":
                return self._metrics.answer()
            case "/version":
                return json_response(version_info(self.kubernetes_version))
            case "/api":
                return self._discovery.core(request)
            case "/apis":
                return self._discovery.groups(request)
            case "/openapi/v3":
                return self._discovery.openapi_index(request)
        missing = text_response("404 page not found\n", 404)
        if path == "/openapi/v2":
            return self._discovery.openapi_v2(request)
        if path.startswith("/openapi/v3/"):
            return self._discovery.openapi(request, path.removeprefix("/openapi/v3/")) or missing
        if path.startswith("/apis/") and path.count("/") == 2:
            return self._discovery.group(path.rpartition("/")[2]) or missing
        return None

    # ------------------------------------------------------------------ objects

    def _resource(self, request: Request, route: Route, resource: Resource, ended: Ended, who: Identity) -> Response:
        self._metrics.note(resource)
        if route.subresource:
            return self._subresource(request, route, resource, who)
        verb = _verb(request, route)
        if verb not in resource.verbs or (resource.namespaced and not route.namespace and verb not in _ACROSS):
            raise errors.method_not_allowed()
        if resource.plural in REVIEWS:
            return self._review(request, resource, who)
        if verb in ("list", "watch"):
            return self._list(request, route, resource, ended, watch=verb == "watch")
        key = ObjectKey(resource.key, route.namespace if resource.namespaced else "", route.name)
        match verb:
            case "get":
                return self._get(request, resource, key)
            case "create":
                written = self._writer.create(
                    resource, route.namespace, read_object(request, resource), _options(request, who)
                )
                return self._shown(request, resource, written.obj, 201, written.warnings)
            case "update":
                body = read_object(request, resource)
                written = self._writer.replace(resource, key, body, _options(request, who))
                return self._shown(request, resource, written.obj, 200, written.warnings)
            case "patch":
                return self._patch(request, resource, key, who)
            case "delete":
                return self._delete(request, resource, key, who)
            case _:
                return self._delete_collection(request, route, resource, who)

    def _record(self, request: Request, resource: Resource, key: ObjectKey) -> Record:
        record = self._store.get_as_of(key, request.as_of) if request.as_of else self._store.get(key)
        if record is None:
            raise errors.not_found(resource, key.name)
        return record

    def _get(self, request: Request, resource: Resource, key: ObjectKey) -> Response:
        record = self._record(request, resource, key)
        match form_of(request, is_custom=resource.is_custom):
            case Form.OBJECT:
                return Response(200, conversion.shown(resource, record).encode(resource.api_version, resource.kind))
            case Form.PARTIAL:
                return json_response(tables.partial(record.decode()))
            case Form.PARTIAL_LIST:
                raise errors.wrong_form(resource, is_list=False)
            case _:
                include = request.query.get("includeObject", "Metadata")
                metadata = {"resourceVersion": str(record.version)}
                return Response(200, watching.table(resource, [record], metadata, self._clock, include))

    def _list(self, request: Request, route: Route, resource: Resource, ended: Ended, *, watch: bool) -> Response:
        query = request.query
        if route.name:
            query["fieldSelector"] = f"metadata.name={route.name}"
        selection = watching.select(resource, route.namespace if resource.namespaced else "", query)
        form = form_of(request, is_custom=resource.is_custom, is_list=True)
        if not watch and form is Form.PARTIAL:
            raise errors.wrong_form(resource, is_list=True)
        if watch:
            stream = watching.watch(self._store, self._clock, selection, form, query, ended, as_of=request.as_of)
            return Response(200, stream=stream)
        body = watching.list_objects(self._store, self._clock, selection, form, query, as_of=request.as_of)
        return Response(200, body)

    def _patch(
        self, request: Request, resource: Resource, key: ObjectKey, who: Identity, subresource: str = ""
    ) -> Response:
        content_type = request.content_type
        if content_type not in PATCH_TYPES:
            raise errors.unsupported_patch()
        options = _options(request, who)
        if content_type == APPLY and not request.query.get("fieldManager"):
            said = "Required value: is required for apply patch"
            raise errors.invalid_options("PatchOptions", "FieldValueRequired", said, "fieldManager")
        body = read_yaml(request.body) if content_type == APPLY else read_patch(request.body, content_type)
        if subresource == "scale":
            scale = self._writer.write_scale(resource, key, body, content_type, options)
            return json_response(scale)
        written = self._writer.patch(resource, key, body, content_type, options, subresource)
        status = 201 if written.created else 200
        return self._shown(request, resource, written.obj, status, written.warnings)

    def _delete(self, request: Request, resource: Resource, key: ObjectKey, who: Identity) -> Response:
        options = replace(self._delete_options(request, resource), who=who)
        obj, gone = self._writer.delete(resource, key, options)
        if gone and resource.key not in _ANSWERED_BY_OBJECT:
            about: dict[str, Any] = {"name": key.name}
            if resource.group:
                about["group"] = resource.group
            about |= {"kind": resource.plural, "uid": obj["metadata"]["uid"]}
            status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": about}
            return json_response(status)
        return self._shown(request, resource, obj, 200, options.warnings)

    def _delete_collection(self, request: Request, route: Route, resource: Resource, who: Identity) -> Response:
        namespace = route.namespace if resource.namespaced else ""
        selection = watching.select(resource, namespace, request.query)
        options = replace(self._delete_options(request, resource), who=who)
        records = selection.records(self._store)
        body = watching.list_objects(self._store, self._clock, selection, Form.OBJECT, {})
        for record in records:
            self._writer.delete(resource, record.key, options)
        return Response(200, body, headers=_warned(options.warnings))

    # ------------------------------------------------------------------ subresources

    def _subresource(self, request: Request, route: Route, resource: Resource, who: Identity) -> Response:
        sub = resource.subresource(route.subresource)
        if sub is None:
            raise errors.no_such_resource()
        verb = _SUBRESOURCE_VERBS.get(request.method, "")
        if verb not in sub.verbs:
            raise errors.method_not_allowed()
        key = ObjectKey(resource.key, route.namespace if resource.namespaced else "", route.name)
        if sub.name in ACTIONS:
            return self._act(request, resource, key, sub, who)
        match sub.name, verb:
            case "scale", "get":
                record = self._record(request, resource, key)
                return json_response(self._writer.scale_of(resource, self._writer.full(resource, record)))
            case "scale", "update":
                body = read_object(request, resource)
                return json_response(self._writer.write_scale(resource, key, body, "", _options(request, who)))
            case _, "get":
                return self._get(request, resource, key)
            case _, "patch":
                return self._patch(request, resource, key, who, sub.name)
            case _:
                body = read_object(request, resource)
                written = self._writer.replace(resource, key, body, _options(request, who), sub.name)
                return self._shown(request, resource, written.obj, 200, written.warnings)

    def _act(self, request: Request, resource: Resource, key: ObjectKey, sub: Subresource, who: Identity) -> Response:
        record = self._store.get(key)
        if record is None:
            raise errors.not_found(resource, key.name)
        body = read_object(request, resource) if request.body else {}
        self._check_types(body, sub.group_version or "v1", sub.kind)
        options = self._deletion(body.get("deleteOptions"), request)
        return ACTIONS[sub.name](self._around, Call(request, resource, record, body, _options(request, who), options))

    def _review(self, request: Request, resource: Resource, who: Identity) -> Response:
        """Who am I, and what may I or somebody else."""
        body = read_object(request, resource)
        self._check_types(body, resource.api_version, resource.kind)
        head: Object = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {}}
        answer = head | REVIEWS[resource.plural](
            {**body, "kind": resource.kind}, who, self._authorizer, self._around.users
        )
        if resource.group == "authentication.k8s.io":
            answer["metadata"] = {"creationTimestamp": timestamp(self._clock.now())}
        elif answer.get("spec"):
            asked = {key: value for key, value in answer.items() if key != "status"}
            answer["metadata"] = self._writer.owned_by(asked, resource, _options(request, who))["metadata"]
        return json_response(answer, 201)

    # ------------------------------------------------------------------ bodies

    def _delete_options(self, request: Request, resource: Resource) -> DeleteOptions:
        body: Any = {}
        if request.body:
            is_protobuf = request.content_type == PROTOBUF
            body = read_protobuf(request.body, resource) if is_protobuf else read_yaml(request.body)
        options = self._deletion(body, request)
        if resource.key == _JOBS and not options.policy:
            return replace(options, policy="Orphan", warnings=(_JOBS_WARNING,))
        return options

    def _deletion(self, sent: Any, request: Request) -> DeleteOptions:
        options = _mapping(sent)
        self._check_types(options, "v1", "DeleteOptions")
        return _merged_delete_options(options, request.query)

    def _check_types(self, sent: Mapping[str, Any], api_version: str, kind: str) -> None:
        """400 for a body that does not decode as *kind*."""
        if problems := check_types(dict(sent), self._writer.schemas.of(api_version, kind)):
            raise errors.bad_request(cannot_be_handled({"kind": kind, "apiVersion": api_version}, problems[0]))

    def _shown(
        self, request: Request, resource: Resource, obj: Object, status: int, warnings: tuple[str, ...]
    ) -> Response:
        headers = _warned(warnings)
        match form_of(request, is_custom=resource.is_custom):
            case Form.PARTIAL:
                return json_response(tables.partial(obj), status, headers)
            case Form.PARTIAL_LIST:
                raise errors.wrong_form(resource, is_list=False)
            case Form.TABLE:
                include = request.query.get("includeObject", "Metadata")
                row = tables.row_of(resource, obj, self._clock.now(), include=include)
                metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
                head = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
                columns = tables.columns_of(resource)
                return json_response({**head, "columnDefinitions": columns, "rows": [row]}, status, headers)
        return json_response(obj, status, headers)


def _warned(warnings: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple(("Warning", f"299 - {json.dumps(warning)}") for warning in warnings)


def refusal(error: ApiError) -> Response:
    """The answer to a request that is refused."""
    status = error.status()
    after = (status.get("details") or {}).get("retryAfterSeconds")
    wait = {"Retry-After": str(after)} if after else {}
    return json_response(status, error.code, tuple((wait | error.headers).items()))


_SUBRESOURCE_VERBS: Final = {"GET": "get", "PUT": "update", "PATCH": "patch", "POST": "create", "DELETE": "delete"}

# Verbs that a namespaced resource answers for all namespaces at once.
_ACROSS: Final = ("list", "watch")


def _verb(request: Request, route: Route) -> str:
    match request.method, bool(route.name):
        case (("GET" | "HEAD"), named):
            watch = request.query.get("watch", "")
            if watch and watch not in ("false", "0"):
                return "watch"
            return "get" if named else "list"
        case "POST", False:
            return "create"
        case "PUT", True:
            return "update"
        case "PATCH", True:
            return "patch"
        case "DELETE", named:
            return "delete" if named else "deletecollection"
    return ""


def _options(request: Request, who: Identity) -> WriteOptions:
    query = request.query
    dry_run = query.get("dryRun", "")
    kind = {"POST": "CreateOptions", "PUT": "UpdateOptions"}.get(request.method, "PatchOptions")
    if dry_run not in ("", "All"):
        said = f'Unsupported value: ["{dry_run}"]: supported values: "All"'
        raise errors.invalid_options(kind, "FieldValueNotSupported", said, "dryRun")
    validation = query.get("fieldValidation", "")
    if validation not in _VALIDATIONS:
        listed = ", ".join(f'"{known}"' for known in _VALIDATIONS)
        said = f'Unsupported value: "{validation}": supported values: {listed}'
        raise errors.invalid_options(kind, "FieldValueNotSupported", said, "fieldValidation")
    if len(query.get("fieldManager", "")) > _LONGEST_MANAGER:
        said = f"Too long: may not be more than {_LONGEST_MANAGER} bytes"
        raise errors.invalid_options(kind, "FieldValueTooLong", said, "fieldManager")
    # As documented for field managers: the first word of the user agent stands in for a missing name.
    manager = query.get("fieldManager") or request.user_agent.partition("/")[0] or "unknown"
    return WriteOptions(
        manager=manager,
        dry_run=bool(dry_run),
        validation=validation or "Warn",
        force=query.get("force", "") == "true",
        who=who,
        duplicates=() if validation == "Ignore" else duplicates(request),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _merged_delete_options(body: Mapping[str, Any], query: Mapping[str, str]) -> DeleteOptions:
    policy = body.get("propagationPolicy") or query.get("propagationPolicy") or ""
    if not policy and (body.get("orphanDependents") is not None or "orphanDependents" in query):
        orphans = body.get("orphanDependents") or query.get("orphanDependents") == "true"
        policy = "Orphan" if orphans else "Background"
    if policy and policy not in _POLICIES:
        listed = ", ".join(f'"{known}"' for known in (*_POLICIES, "nil"))
        said = f'Unsupported value: "{policy}": supported values: {listed}'
        raise errors.invalid_options("DeleteOptions", "FieldValueNotSupported", said, "propagationPolicy")
    grace = body.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
    try:
        seconds = None if grace is None else int(grace)
    except ValueError:
        raise errors.no_number(grace) from None
    preconditions = body.get("preconditions") or {}
    return DeleteOptions(
        policy=policy,
        grace=seconds,
        uid=preconditions.get("uid") or "",
        resource_version=preconditions.get("resourceVersion") or "",
        dry_run=bool(body.get("dryRun")) or query.get("dryRun") == "All",
    )
