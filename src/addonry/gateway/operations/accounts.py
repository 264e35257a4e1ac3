"""Users, policies, access keys, sessions and the audit log: Addonry's own, ACK leaves them to RAM and ActionTrail.

The actions are called as RAM, STS and ActionTrail call theirs, so that policies read as they do there.
"""

from datetime import timedelta
from typing import Annotated, Any, Final, TypedDict

import msgspec

from addonry.gateway import vocabulary
from addonry.gateway.operation import PAGING, Call, Level, PageInfo, Parameter, Registry
from addonry.gateway.operations.envelope import Nothing
from addonry.model.access import ACCOUNT, AuditRecord, Policy
from addonry.model.errors import NotNow

operations = Registry()

DEFAULT_SESSION: Final = 3600


class NewKey(msgspec.Struct):
    """The body of CreateAccessKey."""

    name: str = ""
    user: str = ""


class KeyStatus(msgspec.Struct):
    """The body of UpdateAccessKey."""

    enabled: bool


class NewSession(msgspec.Struct):
    """The body of CreateSession."""

    name: str
    duration_seconds: Annotated[int, msgspec.Meta(ge=900, le=43200)] = DEFAULT_SESSION
    policy: dict[str, Any] | None = None


class NewUser(msgspec.Struct):
    """The body of CreateUser."""

    name: str


class NewPolicy(msgspec.Struct):
    """The body of PutPolicy."""

    document: dict[str, Any]
    description: str = ""


class NewKeyShape(TypedDict):
    """A new key; its secret is in no other answer."""

    access_key_id: str
    access_key_secret: str
    name: str
    user: str
    requestId: str


class SessionShape(TypedDict):
    """A temporary key."""

    access_key_id: str
    access_key_secret: str
    security_token: str
    expiration: str
    requestId: str


class KeyShape(TypedDict):
    """A key, without its secret."""

    access_key_id: str
    name: str
    user: str
    created_at: str
    expires_at: str
    is_root: bool
    enabled: bool


class Keys(TypedDict):
    """All keys."""

    keys: list[KeyShape]
    requestId: str


class UserShape(TypedDict):
    """A user."""

    name: str
    created_at: str
    policies: list[str]


class Users(TypedDict):
    """All users."""

    users: list[UserShape]
    requestId: str


class PolicySummary(TypedDict):
    """A policy without its document."""

    name: str
    description: str
    type: str
    updated_at: str


class PolicyShape(PolicySummary):
    """A policy."""

    document: dict[str, Any]


class Policies(TypedDict):
    """All policies."""

    policies: list[PolicySummary]
    requestId: str


class AuditShape(TypedDict):
    """One call."""

    time: str
    request_id: str
    operation: str
    method: str
    path: str
    cluster_id: str
    access_key_id: str
    user: str
    source_ip: str
    status: int
    code: str
    allowed_by: str
    milliseconds: int


class AuditRecords(TypedDict):
    """A page of the audit log."""

    records: list[AuditShape]
    next_token: str
    page_info: PageInfo


class Caller(TypedDict):
    """Who calls."""

    account_id: str
    access_key_id: str
    user: str
    requestId: str


# Keys


@operations.add(
    "CreateAccessKey",
    "POST",
    "/addonry/v1/keys",
    Level.CREATE,
    NewKeyShape,
    action="ram:CreateAccessKey",
    body=NewKey,
)
async def create_access_key(call: Call) -> NewKeyShape:
    """A new access key; its secret is in this answer and in no other. Without ``user``, of whoever asks."""
    asked = call.object(NewKey)
    # A user makes no key of the account, which would be allowed everything.
    user = asked.user or (call.credential.user if call.credential else "")
    made = await call.lifecycle.access.create_key(asked.name, user=user)
    return {
        "access_key_id": made.id,
        "access_key_secret": made.secret,
        "name": asked.name,
        "user": user,
        "requestId": call.request_id,
    }


@operations.add("ListAccessKeys", "GET", "/addonry/v1/keys", Level.LIST, Keys, action="ram:ListAccessKeys")
async def list_access_keys(call: Call) -> Keys:
    """The access keys, oldest first, without secrets."""
    return {
        "keys": [
            {
                "access_key_id": key.id,
                "name": key.name,
                "user": key.user,
                "created_at": vocabulary.moment(key.created_at),
                "expires_at": vocabulary.moment(key.expires_at),
                "is_root": key.is_root,
                "enabled": key.enabled,
            }
            for key in await call.lifecycle.access.keys()
        ],
        "requestId": call.request_id,
    }


@operations.add(
    "UpdateAccessKey",
    "PUT",
    "/addonry/v1/keys/{access_key_id}",
    Level.UPDATE,
    Nothing,
    action="ram:UpdateAccessKey",
    body=KeyStatus,
)
async def update_access_key(call: Call) -> Nothing:
    """Let an access key be used again, or not for now."""
    enabled = call.object(KeyStatus).enabled
    await call.lifecycle.access.enable_key(call.path["access_key_id"], enabled=enabled)
    return {}


@operations.add(
    "DeleteAccessKey",
    "DELETE",
    "/addonry/v1/keys/{access_key_id}",
    Level.DELETE,
    Nothing,
    action="ram:DeleteAccessKey",
)
async def delete_access_key(call: Call) -> Nothing:
    """Revoke an access key for good."""
    await call.lifecycle.access.delete_key(call.path["access_key_id"])
    return {}


@operations.add(
    "CreateSession",
    "POST",
    "/addonry/v1/sessions",
    Level.CREATE,
    SessionShape,
    action="sts:CreateSession",
    body=NewSession,
)
async def create_session(call: Call) -> SessionShape:
    """A temporary key of whoever asks, good with its token only; ``policy`` confines it further."""
    asked = call.object(NewSession)
    assert call.credential is not None
    lasting = timedelta(seconds=asked.duration_seconds)
    made = await call.lifecycle.access.create_session(
        asked.name, of=call.credential, lasting=lasting, policy=asked.policy
    )
    return {
        "access_key_id": made.id,
        "access_key_secret": made.secret,
        "security_token": made.security_token or "",
        "expiration": vocabulary.moment(made.expires_at),
        "requestId": call.request_id,
    }


@operations.add("GetCaller", "GET", "/addonry/v1/caller", Level.GET, Caller, action="sts:GetCallerIdentity")
async def get_caller(call: Call) -> Caller:
    """Who asks."""
    user = call.credential.user if call.credential else ""
    return {"account_id": ACCOUNT, "access_key_id": call.key, "user": user, "requestId": call.request_id}


# Users


@operations.add("CreateUser", "POST", "/addonry/v1/users", Level.CREATE, Nothing, action="ram:CreateUser", body=NewUser)
async def create_user(call: Call) -> Nothing:
    """A user who may do nothing until a policy is attached."""
    await call.lifecycle.access.create_user(call.object(NewUser).name)
    return {}


@operations.add("ListUsers", "GET", "/addonry/v1/users", Level.LIST, Users, action="ram:ListUsers")
async def list_users(call: Call) -> Users:
    """The users, by name, with the policies attached to each."""
    return {
        "users": [
            {"name": each.name, "created_at": vocabulary.moment(each.created_at), "policies": list(each.policies)}
            for each in await call.lifecycle.access.users()
        ],
        "requestId": call.request_id,
    }


@operations.add("DeleteUser", "DELETE", "/addonry/v1/users/{user}", Level.DELETE, Nothing, action="ram:DeleteUser")
async def delete_user(call: Call) -> Nothing:
    """Forget a user with all access keys."""
    await call.lifecycle.access.delete_user(call.path["user"])
    return {}


@operations.add(
    "AttachPolicyToUser",
    "PUT",
    "/addonry/v1/users/{user}/policies/{policy}",
    Level.UPDATE,
    Nothing,
    action="ram:AttachPolicyToUser",
)
async def attach_policy_to_user(call: Call) -> Nothing:
    """Let a policy decide for a user, beside those attached already."""
    await _refuse_own_raise(call)
    await call.lifecycle.access.attach(call.path["user"], call.path["policy"])
    return {}


@operations.add(
    "DetachPolicyFromUser",
    "DELETE",
    "/addonry/v1/users/{user}/policies/{policy}",
    Level.DELETE,
    Nothing,
    action="ram:DetachPolicyFromUser",
)
async def detach_policy_from_user(call: Call) -> Nothing:
    """Take a policy away from a user."""
    await call.lifecycle.access.detach(call.path["user"], call.path["policy"])
    return {}


async def _refuse_own_raise(call: Call) -> None:
    # Whoever may attach policies could attach any to himself; at least it takes a second person, or the account.
    if call.credential is not None and call.credential.user == call.path["user"]:
        raise NotNow(
            "A user does not attach policies to himself.", remedy="Ask another administrator, or use the account's key."
        )


# Policies


@operations.add("ListPolicies", "GET", "/addonry/v1/policies", Level.LIST, Policies, action="ram:ListPolicies")
async def list_policies(call: Call) -> Policies:
    """The system policies and those of one's own."""
    found = await call.lifecycle.access.policies()
    return {"policies": [_summary(each) for each in found], "requestId": call.request_id}


@operations.add("GetPolicy", "GET", "/addonry/v1/policies/{policy}", Level.GET, PolicyShape, action="ram:GetPolicy")
async def get_policy(call: Call) -> PolicyShape:
    """One policy with its document."""
    policy = await call.lifecycle.access.policy(call.path["policy"])
    return {**_summary(policy), "document": dict(policy.document)}


@operations.add(
    "PutPolicy",
    "PUT",
    "/addonry/v1/policies/{policy}",
    Level.UPDATE,
    Nothing,
    action="ram:CreatePolicy",
    body=NewPolicy,
)
async def put_policy(call: Call) -> Nothing:
    """Add a policy, or put it in place of the one of that name."""
    asked = call.object(NewPolicy)
    await call.lifecycle.access.save_policy(call.path["policy"], asked.document, asked.description)
    return {}


@operations.add(
    "DeletePolicy", "DELETE", "/addonry/v1/policies/{policy}", Level.DELETE, Nothing, action="ram:DeletePolicy"
)
async def delete_policy(call: Call) -> Nothing:
    """Forget a policy that is attached to nobody."""
    await call.lifecycle.access.delete_policy(call.path["policy"])
    return {}


def _summary(policy: Policy) -> PolicySummary:
    return {
        "name": policy.name,
        "description": policy.description,
        "type": "System" if policy.is_system else "Custom",
        "updated_at": vocabulary.moment(policy.updated_at),
    }


# The audit log


@operations.add(
    "ListAuditRecords",
    "GET",
    "/addonry/v1/audit",
    Level.LIST,
    AuditRecords,
    action="actiontrail:LookupEvents",
    query=(
        Parameter("operation", about="Of this operation only."),
        Parameter("access_key_id", about="Signed with this key only."),
        Parameter("user", about="Of this user only."),
        Parameter("cluster_id", about="About this cluster only."),
        *PAGING,
    ),
)
async def list_audit_records(call: Call) -> AuditRecords:
    """Who called what, from where, and what allowed or refused it; newest first."""
    page = call.page()
    records, total = await call.lifecycle.access.audit(
        operation=call.text("operation"),
        key=call.text("access_key_id"),
        user=call.text("user"),
        cluster=call.text("cluster_id"),
        offset=page.offset,
        limit=page.size,
    )
    return {
        "records": [_record(each) for each in records],
        "next_token": page.next_token(total),
        "page_info": page.info(total),
    }


def _record(record: AuditRecord) -> AuditShape:
    return {
        "time": vocabulary.exact_moment(record.at),
        "request_id": record.request_id,
        "operation": record.operation,
        "method": record.method,
        "path": record.path,
        "cluster_id": record.cluster,
        "access_key_id": record.key,
        "user": record.user,
        "source_ip": record.source,
        "status": record.status,
        "code": record.code,
        "allowed_by": record.verdict,
        "milliseconds": record.milliseconds,
    }
