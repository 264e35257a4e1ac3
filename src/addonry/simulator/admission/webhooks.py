"""Admission webhooks: who is asked about a write, what is asked, and the refusals that follow.

Deciding is done on the spot, asking takes time. So where an answer is missing, `AnswerNeeded` is raised with the call to
make; whoever caught it makes the call (`ask`), adds the answer to `Webhooks.answers`, and begins the same work again.
A webhook behind a Service is not called, nothing runs there: it is passed with a ready Pod behind the Service, and fails
without one, as on a real cluster. One with a URL is called.
See https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from addonry.simulator import selectors
from addonry.simulator.access.users import ADMINISTRATOR, Identity
from addonry.simulator.errors import ApiError
from addonry.simulator.expressions.cel import Failed, NotCompiled, Unsupported, compiled
from addonry.simulator.objects import json_patch
from addonry.simulator.resources import Resource, ResourceKey
from addonry.simulator.storage import Object, ObjectKey, Store, new_uid

_GROUP: Final = "admissionregistration.k8s.io"
_MUTATING: Final = ResourceKey(_GROUP, "mutatingwebhookconfigurations")
_VALIDATING: Final = ResourceKey(_GROUP, "validatingwebhookconfigurations")
_DEFAULT_SECONDS: Final = 10
_TYPES: Final = dict.fromkeys(("object", "oldObject", "request"), "any")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Call:
    """One question to one webhook."""

    id: tuple[str, ...]
    url: str
    bundle: str
    seconds: int
    review: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the response of an AdmissionReview, or why there is none."""

    response: Mapping[str, Any] = field(default_factory=dict)
    failure: str = ""


class AnswerNeeded(Exception):
    """Make the call, note its answer, and begin again."""

    def __init__(self, call: Call) -> None:
        super().__init__(call.url)
        self.call = call


@dataclass(frozen=True, slots=True)
class Write:
    """What webhooks are asked about."""

    operation: str  # CREATE, UPDATE or DELETE
    resource: Resource
    obj: Object | None
    old: Object | None = None
    subresource: str = ""
    dry_run: bool = False
    who: Identity = ADMINISTRATOR

    @property
    def subject(self) -> Object:
        found = self.obj if self.obj is not None else self.old
        assert found is not None
        return found


@dataclass
class Webhooks:
    """The webhooks of one cluster; `answers` are those known to the work at hand."""

    store: Store
    answers: dict[tuple[str, ...], Answer] = field(default_factory=dict)

    def mutate(self, write: Write) -> Object:
        """The object as mutating webhooks want it; raises where one refuses or fails."""
        obj = write.subject
        for hook, identity in self._asked(_MUTATING, write):
            response = self._answered(hook, identity, write, obj)
            if patch := response.get("patch"):
                obj = json_patch(obj, _decode(base64.b64decode(patch)))
        return obj

    def validate(self, write: Write) -> None:
        """Raise where a validating webhook refuses or fails."""
        for hook, identity in self._asked(_VALIDATING, write):
            self._answered(hook, identity, write, write.obj)

    def forget(self, write: Write) -> None:
        """Drop the answers about a write that is decided; the next attempt asks anew."""
        about = _about(write)
        for identity in [each for each in self.answers if each[-len(about) :] == about]:
            del self.answers[identity]

    # ------------------------------------------------------------------ who is asked

    def _asked(self, kind: ResourceKey, write: Write) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
        # Configurations of webhooks are never asked about, or a broken one could not be taken away.
        if not self.store.has_any(kind) or write.resource.group == _GROUP:
            return
        about = _about(write)
        for record in self.store.records(kind):
            for hook in record.decode().get("webhooks") or ():
                if self._concerns(hook, write) and _conditions_hold(hook, write):
                    yield hook, (kind.plural, record.key.name, hook["name"], *about)

    def _concerns(self, hook: Mapping[str, Any], write: Write) -> bool:
        is_exact = hook.get("matchPolicy") == "Exact"
        if not any(rule_matches(rule, write, exact=is_exact) for rule in hook.get("rules") or ()):
            return False
        if not namespace_matches(self.store, hook.get("namespaceSelector"), write):
            return False
        wanted = selectors.from_object(hook.get("objectSelector") or {})
        candidates = [obj for obj in (write.obj, write.old) if obj is not None]
        return any(selectors.matches(wanted, obj["metadata"].get("labels")) for obj in candidates)

    # ------------------------------------------------------------------ asking

    def _answered(
        self, hook: Mapping[str, Any], identity: tuple[str, ...], write: Write, obj: Object | None
    ) -> Mapping[str, Any]:
        client = hook.get("clientConfig") or {}
        seconds = hook.get("timeoutSeconds") or _DEFAULT_SECONDS
        if service := client.get("service"):
            answer = self._behind_service(service, seconds)
        elif identity in self.answers:
            answer = self.answers[identity]
        else:
            url = f"{client['url']}{'&' if '?' in client['url'] else '?'}timeout={seconds}s"
            raise AnswerNeeded(Call(identity, url, client.get("caBundle", ""), seconds, _review(write, obj)))
        if answer.failure:
            if hook.get("failurePolicy", "Fail") == "Ignore":
                return {}
            said = f'failed calling webhook "{hook["name"]}": failed to call webhook: {answer.failure}'
            details = {"causes": [{"message": said}]}
            raise ApiError(500, "InternalError", f"Internal error occurred: {said}", details=details)
        if not answer.response.get("allowed"):
            raise _denial(hook["name"], answer.response.get("status") or {})
        return answer.response

    def _behind_service(self, service: Mapping[str, Any], seconds: int) -> Answer:
        name, namespace = service["name"], service["namespace"]
        path = f"/{str(service.get('path', '')).lstrip('/')}"
        post = f'Post "https://{name}.{namespace}.svc:{service.get("port", 443)}{path}?timeout={seconds}s"'
        record = self.store.get(ObjectKey(ResourceKey("", "services"), namespace, name))
        if record is None:
            return Answer(failure=f'{post}: service "{name}" not found')
        labels = record.decode().get("spec", {}).get("selector") or {}
        pods = self.store.records(ResourceKey("", "pods"), namespace) if labels else ()
        if any(labels.items() <= (pod.labels or {}).items() and _is_ready(pod.decode()) for pod in pods):
            return Answer({"allowed": True})
        return Answer(failure=f'{post}: no endpoints available for service "{name}"')


async def ask(call: Call) -> Answer:
    """Call the webhook; whatever goes wrong becomes the answer."""
    return await asyncio.to_thread(_post, call)


def _post(call: Call) -> Answer:
    request = urllib.request.Request(  # noqa: S310 - the address a test put into its webhook configuration
        call.url, _encode(call.review), {"Content-Type": "application/json"}, method="POST"
    )
    context = None
    if call.bundle:
        context = ssl.create_default_context(cadata=base64.b64decode(call.bundle).decode())
    failed = f'Post "{call.url}"'
    try:
        with urllib.request.urlopen(request, timeout=call.seconds, context=context) as response:  # noqa: S310 - see above
            answer = _decode(response.read())
        return Answer(answer["response"])
    except TimeoutError:
        return Answer(failure=f"{failed}: context deadline exceeded")
    except urllib.error.HTTPError as error:
        return Answer(failure=f"the server responded with the status code {error.code}")
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            return Answer(failure=f"{failed}: context deadline exceeded")
        refused = isinstance(error.reason, ConnectionRefusedError)
        host = urllib.request.Request(call.url).host  # noqa: S310 - only taken apart
        return Answer(
            failure=f"{failed}: dial tcp {host}: connect: connection refused" if refused else f"{failed}: EOF"
        )
    except (OSError, ValueError, KeyError, TypeError, msgspec.DecodeError):
        return Answer(failure=f"{failed}: the answer is no AdmissionReview")


def _about(write: Write) -> tuple[str, ...]:
    """Which write an answer is about; a generated name is another each time the work begins again."""
    metadata = write.subject["metadata"]
    name = metadata.get("generateName") or metadata.get("name", "")
    return (write.operation, write.resource.qualified, metadata.get("namespace", ""), name)


def namespace_matches(store: Store, selector: Mapping[str, Any] | None, write: Write) -> bool:
    """Whether a selector of namespaces has that of the write, or the namespace written."""
    metadata = write.subject["metadata"]
    if not selector or (not write.resource.namespaced and write.resource.plural != "namespaces"):
        return True
    labels = metadata.get("labels")
    if write.resource.namespaced:
        record = store.get(ObjectKey(ResourceKey("", "namespaces"), "", metadata.get("namespace", "")))
        labels = record.labels if record else None
    return selectors.matches(selectors.from_object(selector), labels)


def rule_matches(rule: Mapping[str, Any], write: Write, *, exact: bool) -> bool:
    """Whether a rule of a webhook or a policy is about the write; an *exact* one only in the versions that it names."""
    resource = write.resource
    what = f"{resource.plural}/{write.subresource}" if write.subresource else resource.plural
    patterns = (
        {what, "*/*", f"*/{write.subresource}", f"{resource.plural}/*"} if write.subresource else {what, "*", "*/*"}
    )
    scope = rule.get("scope", "*")
    return (
        bool({"*", write.operation} & set(rule.get("operations") or ()))
        and bool({"*", resource.group} & set(rule.get("apiGroups") or ()))
        and (not exact or bool({"*", resource.version} & set(rule.get("apiVersions") or ())))
        and bool(patterns & set(rule.get("resources") or ()))
        and scope in ("*", "Namespaced" if resource.namespaced else "Cluster")
    )


def _conditions_hold(hook: Mapping[str, Any], write: Write) -> bool:
    """Whether the match conditions ask for the webhook; one that cannot be evaluated does not stand in the way."""
    variables = {
        "object": None if write.operation == "DELETE" else write.obj,
        "oldObject": write.old,
        "request": request_of(write),
    }
    failures = []
    for condition in hook.get("matchConditions") or ():
        source = condition["expression"]
        try:
            if not compiled(source, **_TYPES).value(variables):
                return False
        except Failed as failure:
            failures.append(f"{failure}")
        except (NotCompiled, Unsupported):
            continue
    if not failures:
        return True
    if hook.get("failurePolicy", "Fail") == "Ignore":
        return False
    said = f'failed to evaluate match conditions for webhook "{hook["name"]}": {", ".join(failures)}'
    raise ApiError(403, "Forbidden", said)


def request_of(write: Write) -> dict[str, Any]:
    """What is asked about, without the objects."""
    resource, metadata = write.resource, write.subject["metadata"]
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    named = {"group": resource.group, "version": resource.version, "resource": resource.plural}
    request: dict[str, Any] = {
        "kind": kind,
        "resource": named,
        "requestKind": kind,
        "requestResource": named,
        "name": metadata.get("name", ""),
        "namespace": metadata.get("namespace", ""),
        "operation": write.operation,
        "userInfo": write.who.info(),
        "dryRun": write.dry_run,
    }
    if write.subresource:
        request["subResource"] = request["requestSubResource"] = write.subresource
    return request


def _review(write: Write, obj: Object | None) -> dict[str, Any]:
    shown = None if write.operation == "DELETE" else obj
    request = {"uid": new_uid(), **request_of(write), "object": shown, "oldObject": write.old}
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}


def _denial(name: str, status: Mapping[str, Any]) -> ApiError:
    denied = f'admission webhook "{name}" denied the request'
    why = status.get("message") or status.get("reason")
    # A webhook that gives no code, or one of success, has its refusal answered by 400.
    code = int(status.get("code") or 0)
    reason = status.get("reason") or ("Forbidden" if code == 403 else "")
    message = f"{denied}: {why}" if why else f"{denied} without explanation"
    return ApiError(max(code, 400), reason, message)


def _is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
