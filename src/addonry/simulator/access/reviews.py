"""What clients ask about access: who am I, may I, what may I, may somebody else.

Nothing of it is stored. To answer another kind of review, write a function and name it in `REVIEWS`.
See https://kubernetes.io/docs/reference/access-authn-authz/authorization/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from addonry.simulator import errors
from addonry.simulator.access.authorization import Attributes, Authorizer
from addonry.simulator.access.users import Identity, Users
from addonry.simulator.storage import Object

Answer = Callable[[Object, Identity, Authorizer, Users], Object]


def _self_subject(_: Object, who: Identity, __: Authorizer, ___: Users) -> Object:
    return {"status": {"userInfo": who.info()}}


def _self_access(body: Object, who: Identity, authorizer: Authorizer, _: Users) -> Object:
    spec = body.get("spec") or {}
    return {"spec": spec, "status": _verdict(authorizer, who, spec)}


def _access(body: Object, _: Identity, authorizer: Authorizer, __: Users) -> Object:
    spec = body.get("spec") or {}
    if not spec.get("user") and not spec.get("groups"):
        said = "Invalid value: null: at least one of user or group must be specified"
        raise errors.invalid_review(str(body.get("kind")), ("FieldValueInvalid", said, "spec.user"))
    about = Identity(spec.get("user") or "", tuple(spec.get("groups") or ()))
    return {"spec": spec, "status": _verdict(authorizer, about, spec)}


def _self_rules(body: Object, who: Identity, authorizer: Authorizer, _: Users) -> Object:
    namespace = (body.get("spec") or {}).get("namespace") or ""
    if not namespace:
        raise errors.bad_request("no namespace on request")
    rules = [grant.rule for grant in authorizer.grants(who, namespace)]
    about_resources = [
        {name: rule[name] for name in ("verbs", "apiGroups", "resources", "resourceNames") if rule.get(name)}
        for rule in rules
        if rule.get("resources")
    ]
    about_paths = [
        {"verbs": rule.get("verbs"), "nonResourceURLs": rule["nonResourceURLs"]}
        for rule in rules
        if rule.get("nonResourceURLs")
    ]
    status = {"resourceRules": about_resources, "nonResourceRules": about_paths, "incomplete": False}
    return {"spec": {}, "status": status}


def _token(body: Object, _: Identity, __: Authorizer, users: Users) -> Object:
    token = (body.get("spec") or {}).get("token") or ""
    bearer = users.bearer(token) if isinstance(token, str) else None
    if bearer is None:
        return {"spec": {}, "status": {"authenticated": False, "user": {}, "error": "invalid bearer token"}}
    return {"spec": {}, "status": {"authenticated": True, "user": bearer.info()}}


REVIEWS: Final[Mapping[str, Answer]] = {
    "selfsubjectreviews": _self_subject,
    "selfsubjectaccessreviews": _self_access,
    "selfsubjectrulesreviews": _self_rules,
    "subjectaccessreviews": _access,
    "localsubjectaccessreviews": _access,
    "tokenreviews": _token,
}


def _verdict(authorizer: Authorizer, who: Identity, spec: Mapping[str, Any]) -> dict[str, Any]:
    reason = authorizer.reason(who, _asked(spec))
    if reason is None:
        return {"allowed": False}
    return {"allowed": True, "reason": reason} if reason else {"allowed": True}


def _asked(spec: Mapping[str, Any]) -> Attributes:
    if about := spec.get("resourceAttributes"):
        return Attributes(
            about.get("verb") or "",
            about.get("group") or "",
            about.get("resource") or "",
            about.get("subresource") or "",
            about.get("namespace") or "",
            about.get("name") or "",
        )
    about = spec.get("nonResourceAttributes") or {}
    return Attributes(about.get("verb") or "", path=about.get("path") or "/")
