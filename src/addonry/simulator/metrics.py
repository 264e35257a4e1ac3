"""`/metrics`, as far as tools for upgrades read it: which deprecated APIs somebody has asked for since the server began.

See https://kubernetes.io/docs/reference/using-api/deprecation-guide/#locate-use-of-deprecated-apis
"""

from __future__ import annotations

from addonry.simulator.messages import Response, text_response
from addonry.simulator.resources import Resource
from addonry.simulator.versions import end_of

_NAME = "apiserver_requested_deprecated_apis"
_HEAD = f"# HELP {_NAME} Gauge of deprecated APIs that have been requested.\n# TYPE {_NAME} gauge\n"


class Metrics:
    """What one cluster has been asked for."""

    def __init__(self) -> None:
        self._requested: dict[tuple[str, str, str], int] = {}

    def note(self, resource: Resource) -> None:
        """Somebody has asked for objects of this resource."""
        end = end_of(resource.api_version, resource.plural)
        if end is not None:
            self._requested[resource.group, resource.version, resource.plural] = end

    def answer(self) -> Response:
        """In the text format of Prometheus."""
        lines = (
            f'{_NAME}{{group="{group}",removed_release="1.{end}",resource="{plural}",subresource="",version="{version}"}} 1\n'
            for (group, version, plural), end in sorted(self._requested.items())
        )
        return text_response(_HEAD + "".join(lines))
