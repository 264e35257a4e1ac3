"""May the caller do this? Brings together the caller's policies and what is asked.

The rules of evaluation are in ``rules.access``; here a call becomes a question.
"""

import contextlib
from datetime import UTC, datetime
from typing import Final

from addonry.gateway.errors import Refusal
from addonry.gateway.operation import Call
from addonry.gateway.origin import Origin
from addonry.lifecycle.access import SESSION_POLICY
from addonry.model.access import ACCOUNT, Grants
from addonry.model.errors import NotThere
from addonry.rules.access import Question, Verdict, decide

BY_ACCOUNT: Final = "account"
"""What decides for the account itself, to which no policy applies."""


async def admit(call: Call, origin: Origin, *, now: datetime) -> str:
    """What allowed the call, for the audit log. Raises Refusal with the details that clients show."""
    assert call.credential is not None
    grants = await call.lifecycle.access.grants(call.credential)
    if grants is None:
        return BY_ACCOUNT
    verdict = decide(grants, await _question(call, origin, grants, now))
    if verdict.allowed:
        return str(verdict)
    raise _denial(call, verdict)


async def _question(call: Call, origin: Origin, grants: Grants, now: datetime) -> Question:
    operation = call.operation
    context: dict[str, tuple[str, ...]] = {
        "acs:CurrentTime": (now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),),
        "acs:SecureTransport": ("true" if origin.is_encrypted else "false",),
    }
    if origin.address:
        context["acs:SourceIp"] = (origin.address,)
    names = tuple(operation.names(call)) if operation.names else ()
    if operation.component:
        names = (call.path[operation.component],)
    if names:
        # By the catalog's name: whoever is refused a component must not get it by its alias.
        resolved = tuple([await call.lifecycle.resolve(name) for name in names])
        context["cs:AddonNames"] = context["cs:AddonName"] = resolved
    if operation.tags:
        context |= {f"acs:RequestTag/{key}": (value,) for key, value in operation.tags(call).items()}
    region, relative = call.lifecycle.region, "*"
    if operation.cluster:
        cluster = call.cluster(operation.cluster)
        relative = f"cluster/{cluster}"
        # That there is no such cluster is told once the caller may know.
        with contextlib.suppress(NotThere):
            region = (await call.lifecycle.cluster(cluster)).region
        if _asks_for_tags(grants):
            profile = (await call.lifecycle.profiles()).get(cluster)
            tags = profile.tags if profile else {}
            context |= {f"acs:ResourceTag/{key}": (value,) for key, value in tags.items()}
    return Question(operation.actions, f"acs:cs:{region}:{ACCOUNT}:{relative}", context)


def _asks_for_tags(grants: Grants) -> bool:
    return any("acs:ResourceTag/" in str(policy.document) for layer in grants.layers for policy in layer)


def _denial(call: Call, verdict: Verdict) -> Refusal:
    assert call.credential is not None
    is_session = call.credential.security_token is not None
    whose = "STSToken" if is_session else "RAM"
    action = call.operation.actions[0]
    return Refusal(
        "StatusForbidden",
        f"{whose} policy Forbidden for action {action}",
        remedy=f"Ask an administrator of this Addonry for a policy that allows {action}.",
        detail={
            "AuthAction": action,
            "AuthPrincipalDisplayName": call.credential.user or call.credential.id,
            "AuthPrincipalOwnerId": ACCOUNT,
            "AuthPrincipalType": "AssumedRoleUser" if is_session else "SubUser",
            "NoPermissionType": "ExplicitDeny" if verdict.is_explicit else "ImplicitDeny",
            "PolicyType": "SessionPolicy" if verdict.policy == SESSION_POLICY else "AccountLevelIdentityBasedPolicy",
            "EncodedDiagnosticMessage": "",
        },
    )
