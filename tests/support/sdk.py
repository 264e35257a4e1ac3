"""The official Python SDK, pointed at a service of ours (ack-gateway, section 8.1)."""

from typing import Any

from alibabacloud_cs20151215.client import Client
from alibabacloud_tea_openapi.models import Config


def sdk(host: str, key: tuple[str, str]) -> Any:
    """A client of the SDK for *host* with an access key. It gives up reading after 8 s, sooner than by default."""
    return Client(
        Config(
            endpoint=host,
            protocol="http",
            access_key_id=key[0],
            access_key_secret=key[1],
            region_id="local",
            no_proxy="127.0.0.1",
            connect_timeout=2_000,
            read_timeout=8_000,
        )
    )
