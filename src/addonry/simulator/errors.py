"""What a refused request is answered with: a `Status` object with the words a real API server uses.

Messages and details follow recordings of a real kube-apiserver 1.36.2; clients parse some of them (Helm looks for
"not found", kubectl for the reason), so they are facts, not prose of ours. To add a refusal, write a function here
that returns an `ApiError`, so that one page shows all of them.
See https://kubernetes.io/docs/reference/using-api/api-concepts/ and the `Status` kind of the API reference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from addonry.simulator.resources import Resource

if TYPE_CHECKING:
    # Only for the annotation: who may do what is decided with the errors of this page.
    from addonry.simulator.access.authorization import Attributes


class ApiError(Exception):
    """A request is refused; carries the whole answer."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = dict(headers or {})

    def status(self) -> dict[str, Any]:
        """The body of the answer."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = dict(self.details)
        body["code"] = self.code
        return body


def _about(resource: Resource, name: str, *, kind: str | None = None) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    details["kind"] = kind or resource.plural
    return details


def not_found(resource: Resource, name: str) -> ApiError:
    message = f'{resource.qualified} "{name}" not found'
    return ApiError(404, "NotFound", message, details=_about(resource, name))


def no_such_resource() -> ApiError:
    message = "the server could not find the requested resource"
    return ApiError(404, "NotFound", message, details={})


def already_exists(resource: Resource, name: str, *, being_deleted: bool = False) -> ApiError:
    prefix = "object is being deleted: " if being_deleted else ""
    message = f'{prefix}{resource.qualified} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=_about(resource, name))


def modified(resource: Resource, name: str) -> ApiError:
    return conflict(
        resource,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )


def conflict(resource: Resource, name: str, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_about(resource, name))


def precondition_failed(resource: Resource, name: str, why: str) -> ApiError:
    """A precondition of a deletion does not hold; here the real server names the kind, not the resource."""
    message = f'Operation cannot be fulfilled on {resource.qualified_kind} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_about(resource, name, kind=resource.kind))


def apply_conflict(message: str, causes: Sequence[tuple[str, str]]) -> ApiError:
    """Other managers own applied fields; *causes* are (message, field), one for each field and owner."""
    listed = [{"reason": "FieldManagerConflict", "message": said, "field": field} for said, field in causes]
    return ApiError(409, "Conflict", message, details={"causes": listed})


def invalid(resource: Resource, name: str, causes: Sequence[tuple[str, str, str]]) -> ApiError:
    """The object breaks rules of its kind; *causes* are (reason, message, field)."""
    # The real server makes some checks twice; it lists such a cause twice, and says it once.
    said = list(dict.fromkeys(f"{field}: {message}" for _, message, field in causes))
    joined = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    resource = replace(resource, group=resource.key.group)  # a view is checked as what it shows
    details = _about(resource, name, kind=resource.kind)
    details["causes"] = [{"reason": reason, "message": message, "field": field} for reason, message, field in causes]
    message = f'{resource.qualified_kind} "{name}" is invalid: {joined}'
    return ApiError(422, "Invalid", message, details=details)


def invalid_patch(shown: str, why: str) -> ApiError:
    """What a patch leads to is no object of its kind; the real server names neither the kind nor the object."""
    message = f"Invalid value: {json.dumps(shown, ensure_ascii=False)}: {why}"
    cause = {"reason": "FieldValueInvalid", "message": message, "field": "patch"}
    return ApiError(422, "Invalid", f' "" is invalid: patch: {message}', details={"causes": [cause]})


def invalid_options(kind: str, reason: str, message: str, field: str) -> ApiError:
    """A query parameter or an options body is not acceptable."""
    return ApiError(
        422,
        "Invalid",
        f'{kind}.meta.k8s.io "" is invalid: {field}: {message}',
        details={
            "group": "meta.k8s.io",
            "kind": kind,
            "causes": [{"reason": reason, "message": message, "field": field}],
        },
    )


def no_number(text: str) -> ApiError:
    return bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def forbidden(resource: Resource, name: str, why: str, *, causes: Sequence[Mapping[str, str]] = ()) -> ApiError:
    details = _about(resource, name)
    if causes:
        details["causes"] = [dict(cause) for cause in causes]
    message = f'{resource.qualified} "{name}" is forbidden: {why}'
    return ApiError(403, "Forbidden", message, details=details)


def access_forbidden(who: str, what: Attributes) -> ApiError:
    """The user has no right to it, in the words of RBAC."""
    if what.path:
        message = f'forbidden: User "{who}" cannot {what.verb} path "{what.path}"'
        return ApiError(403, "Forbidden", message, details={})
    qualified = f"{what.resource}.{what.group}" if what.group else what.resource
    about = f'{qualified} "{what.name}"' if what.name else qualified
    where = f'in the namespace "{what.namespace}"' if what.namespace else "at the cluster scope"
    message = (
        f'{about} is forbidden: User "{who}" cannot {what.verb} resource "{what.what}" '
        f'in API group "{what.group}" {where}'
    )
    details = {"name": what.name, "group": what.group, "kind": what.resource}
    return ApiError(403, "Forbidden", message, details={key: value for key, value in details.items() if value})


def invalid_review(kind: str, cause: tuple[str, str, str]) -> ApiError:
    """A review asks for nothing that could be answered."""
    reason, message, field = cause
    causes = [{"reason": reason, "message": message, "field": field}]
    details = {"group": "authorization.k8s.io", "kind": kind, "causes": causes}
    said = f'{kind}.authorization.k8s.io "" is invalid: {field}: {message}'
    return ApiError(422, "Invalid", said, details=details)


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def method_not_allowed() -> ApiError:
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, details={})


def not_acceptable(available: Sequence[str]) -> ApiError:
    """None of the media types that the client takes is there."""
    message = f"406: Not Acceptable\n\nAvailable representations: {', '.join(available)}"
    return ApiError(406, "NotAcceptable", message, details={})


def no_such_form(available: Sequence[str]) -> ApiError:
    """The media type is there, but not in the form that the client asks for."""
    message = f"only the following media types are accepted: {', '.join(available)}"
    return ApiError(406, "NotAcceptable", message)


def wrong_form(resource: Resource, *, is_list: bool) -> ApiError:
    """Asked for the metadata of one object where there is a list, or of a list where there is one object."""
    # Go's name of the internal package of a group is its first word, and "core" for the group without a name.
    package = "unstructured" if resource.is_custom else resource.group.partition(".")[0] or "core"
    kind = "Unstructured" if resource.is_custom else resource.kind
    asked, found = ("", f"a list (*{package}.{kind}List)") if is_list else ("List", f"not a list (*{package}.{kind})")
    message = f"you requested PartialObjectMetadata{asked}, but the requested object is {found}"
    return ApiError(406, "NotAcceptable", message)


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return ApiError(415, "UnsupportedMediaType", message)


def unsupported_patch_of_custom() -> ApiError:
    """Custom resources have no strategic merge patch."""
    accepted = ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")
    return unsupported_media_type(accepted)


def unsupported_patch() -> ApiError:
    return ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", details={})


def too_large(limit: int) -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def expired(message: str, *, resume: str | None = None) -> ApiError:
    error = ApiError(410, "Expired", message)
    if resume is not None:
        error = _Resumable(error, resume)
    return error


class _Resumable(ApiError):
    """A continue token is too old; the answer holds another that goes on inconsistently."""

    def __init__(self, error: ApiError, resume: str) -> None:
        super().__init__(error.code, error.reason, error.message)
        self._resume = resume

    def status(self) -> dict[str, Any]:
        return super().status() | {"metadata": {"continue": self._resume}}


def from_the_future(asked: int, current: int) -> ApiError:
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return ApiError(504, "Timeout", message, details={"causes": [cause], "retryAfterSeconds": 1})
