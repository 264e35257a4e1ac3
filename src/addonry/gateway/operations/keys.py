"""Access keys: Addonry's own, the published API has none."""

from typing import Any

import msgspec

from addonry.gateway import vocabulary
from addonry.gateway.operation import Call, Registry

operations = Registry()


class NewKey(msgspec.Struct):
    """The body of CreateAccessKey."""

    name: str = ""


@operations.add("CreateAccessKey", "POST", "/addonry/v1/keys", may="key:create")
async def create_access_key(call: Call) -> Any:
    """A new access key; its secret is in this answer and in no other."""
    name = call.object(NewKey).name
    credential = await call.lifecycle.create_key(name)
    return {
        "access_key_id": credential.id,
        "access_key_secret": credential.secret,
        "name": name,
        "requestId": call.request_id,
    }


@operations.add("ListAccessKeys", "GET", "/addonry/v1/keys", may="key:read")
async def list_access_keys(call: Call) -> Any:
    """The access keys, oldest first, without secrets."""
    return {
        "keys": [
            {
                "access_key_id": key.id,
                "name": key.name,
                "created_at": vocabulary.moment(key.created_at),
                "is_root": key.is_root,
                "enabled": key.enabled,
            }
            for key in await call.lifecycle.keys()
        ],
        "requestId": call.request_id,
    }
