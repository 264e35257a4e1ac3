"""What the credentials may not do and a change would need: asked of the API server, before anything is written.

One question when everything is allowed, else one for each verb, resource and namespace of what the component consists of
(https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access).
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from addonry.kube.api import Api, Forbidden, Missing, all_of
from addonry.model.components import ObjectRef, Placement, SourceKind
from addonry.model.errors import ClusterRejected

MOST_QUESTIONS: Final = 120
"""A release of many kinds is asked about in part; the server's dry run judges the rest."""

_REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_AT_ONCE: Final = 8
_VERBS: Final[Mapping[SourceKind, tuple[str, ...]]] = {
    SourceKind.HELM: ("get", "create", "patch", "delete"),
    SourceKind.WORKLOAD: ("get", "patch"),
}
"""What a change does to an object of a component that lives so."""

_RECORDS: Final = ("list", "create", "update", "delete")
"""What Helm does to the Secrets in which it keeps a release."""


@dataclass(frozen=True, slots=True, order=True)
class _Right:
    namespace: str
    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {resource}" + (f" in {self.namespace}" if self.namespace else "")


async def missing_rights(api: Api, placement: Placement, owned: Iterable[ObjectRef]) -> tuple[str, ...]:
    """In words, each right that a change of the component needs and the credentials lack.

    Empty also where the cluster does not answer such questions.
    """
    try:
        if await _may(api, _Right("", "*", "*", "*")):
            return ()
        wanted = sorted(await _wanted(api, placement, owned))[:MOST_QUESTIONS]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def ask(right: _Right) -> bool:
            async with gate:
                return await _may(api, right)

        answers = await all_of(*(ask(each) for each in wanted))
    except (Forbidden, Missing):
        return ()
    return tuple(str(right) for right, may in zip(wanted, answers, strict=True) if not may)


async def _wanted(api: Api, placement: Placement, owned: Iterable[ObjectRef]) -> set[_Right]:
    wanted = set()
    if placement.source is SourceKind.HELM:
        wanted = {_Right(placement.namespace, "", "secrets", verb) for verb in _RECORDS}
    for ref in owned:
        try:
            resource = await api.resource(ref.api_version, ref.kind)
        except ClusterRejected:
            continue  # a kind that is not served is the business of another check
        group = ref.api_version.partition("/")[0] if "/" in ref.api_version else ""
        wanted |= {_Right(ref.namespace, group, resource.plural, verb) for verb in _VERBS[placement.source]}
    return wanted


async def _may(api: Api, right: _Right) -> bool:
    attributes: dict[str, Any] = {"verb": right.verb, "group": right.group, "resource": right.resource}
    if right.namespace:
        attributes["namespace"] = right.namespace
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = await api.create(_REVIEWS, review)
    status = answer.get("status")
    return isinstance(status, Mapping) and status.get("allowed") is True
