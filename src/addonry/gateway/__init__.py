"""The wire: ACK's component API over HTTP, and Addonry's own additions under ``/addonry/v1``.

``build_gateway`` is the door. The parts: ``signing`` (who sent this), ``operation`` (what is asked), ``operations``
(the translations), ``vocabulary`` (the published words for our statuses), ``codec`` (JSON and XML), ``errors``
(the codes). ``signing.sign_request`` is the client's side.
"""

from typing import TYPE_CHECKING

from addonry.gateway.settings import GatewaySettings

if TYPE_CHECKING:
    from addonry.gateway.app import Gateway
    from addonry.lifecycle import Lifecycle


def build_gateway(lifecycle: "Lifecycle", settings: GatewaySettings | None = None) -> "Gateway":
    """The ASGI application that serves *lifecycle* over the wire."""
    # Imported late: the command line needs ``signing`` alone.
    from addonry.gateway.app import Gateway

    return Gateway(lifecycle, settings or GatewaySettings())


__all__ = ["GatewaySettings", "build_gateway"]
