"""The calls that clients make outside of the Container Service, answered as far as they need (ack-gateway 3.3, 8.3).

The Terraform provider asks who it is (STS), where the Container Service is (Location), and of what kind the account is
(BssOpenApi). All are ``POST /`` or ``GET /`` with everything in the query or a form; XML is not spoken here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from addonry.gateway.errors import Refusal
from addonry.model.access import ACCOUNT
from addonry.model.keys import Credential

PATH: Final = "/"


@dataclass(frozen=True, slots=True)
class RpcCall:
    """One call, its signature accepted."""

    parameters: Mapping[str, str]
    credential: Credential
    request_id: str
    host: str


def _caller_identity(call: RpcCall) -> dict[str, Any]:
    user = call.credential.user
    kind = "AssumedRoleUser" if call.credential.security_token else "RAMUser" if user else "Account"
    return {
        "RequestId": call.request_id,
        "AccountId": ACCOUNT,
        "UserId": user or ACCOUNT,
        "PrincipalId": user or ACCOUNT,
        "Arn": f"acs:ram::{ACCOUNT}:{f'user/{user}' if user else 'root'}",
        "IdentityType": kind,
    }


def _endpoints(call: RpcCall) -> dict[str, Any]:
    region = call.parameters.get("Id", "")
    service = call.parameters.get("ServiceCode", "cs")
    endpoint = {
        "Id": region,
        "Type": call.parameters.get("Type", "openAPI"),
        "Endpoint": call.host,
        "Protocols": {"Protocols": ["HTTP", "HTTPS"]},
        "ServiceCode": service,
        # Misspelt, as old clients read it.
        "SerivceCode": service,
        "Namespace": "",
    }
    return {"RequestId": call.request_id, "Success": True, "Endpoints": {"Endpoint": [endpoint]}}


def _instances(call: RpcCall) -> dict[str, Any]:
    return {
        "RequestId": call.request_id,
        "Code": "Success",
        "Message": "Successful!",
        "Success": True,
        "Data": {"TotalCount": 0, "PageNum": 1, "PageSize": 20, "InstanceList": []},
    }


ACTIONS: Final[Mapping[tuple[str, str], Callable[[RpcCall], dict[str, Any]]]] = {
    ("GetCallerIdentity", "2015-04-01"): _caller_identity,
    ("DescribeEndpoints", "2015-06-12"): _endpoints,
    ("QueryAvailableInstances", "2017-12-14"): _instances,
}
"""By action and version. All of them tell nothing but of the caller himself, so no policy is asked."""


def read_parameters(query: str, body: bytes, content_type: str) -> dict[str, str]:
    """What query and form hold; the form wins. Raises Refusal for what is no text."""
    form = body.decode("latin-1") if content_type.startswith("application/x-www-form-urlencoded") else ""
    try:
        pairs = [
            pair
            for text in (query, form)
            for pair in parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=64)
        ]
    except ValueError:
        raise Refusal("IncompleteSignature", "The query is not percent-encoded UTF-8.") from None
    return dict(pairs)


def select(parameters: Mapping[str, str]) -> tuple[str, Callable[[RpcCall], dict[str, Any]]]:
    """The action that the parameters name. Raises Refusal."""
    action = parameters.get("Action", "")
    found = ACTIONS.get((action, parameters.get("Version", "")))
    if found is None:
        raise Refusal("InvalidApi.NotFound")
    return action, found
