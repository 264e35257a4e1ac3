"""What differs from one Kubernetes to the next, as far as clients see it: the API versions that are served.

`ERAS` says of every built-in API that not all of 1.28 to 1.37 serve by default when it came and when it went. An API
that came as a beta after 1.24 is off by default until it is v1, so only its v1 counts. Sources:
https://kubernetes.io/docs/reference/using-api/deprecation-guide/ and the feature pages of each release. To follow a
newer Kubernetes, raise NEWEST, add its patch to PATCHES, and a line to ERAS for what it adds or drops.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

OLDEST: Final = 28
NEWEST: Final = 37
DEFAULT_VERSION: Final = "v1.36.2"
"""The one whose API server was recorded."""

PATCHES: Final[Mapping[int, int]] = {
    28: 15,
    29: 15,
    30: 14,
    31: 14,
    32: 10,
    33: 6,
    34: 2,
    35: 1,
    36: 2,
    37: 0,
}
"""The patch release that stands for a minor one when nobody names another."""

_VERSION: Final = re.compile(r"v?1\.(?P<minor>\d{1,3})(?:\.\d{1,3})?(?:[-+].*)?")


@dataclass(frozen=True, slots=True)
class Era:
    """From which minor version on an API is served, and the first that does not serve it any more."""

    group_version: str
    plurals: tuple[str, ...] = ()
    """The resources it is about; empty for all of the group version."""
    since: int = 0
    until: int = 1000
    typed_as: str = ""
    """For an older version of a group: the group version whose types it has."""

    def covers(self, minor: int) -> bool:
        """Whether the API is served by that minor version."""
        return self.since <= minor < self.until


_FLOW_CONTROL: Final = "flowcontrol.apiserver.k8s.io"
_ADMISSION: Final = "admissionregistration.k8s.io/v1"

ERAS: Final = (
    Era(_ADMISSION, ("validatingadmissionpolicies", "validatingadmissionpolicybindings"), since=30),
    Era(_ADMISSION, ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings"), since=36),
    Era(f"{_FLOW_CONTROL}/v1", since=29),
    Era(f"{_FLOW_CONTROL}/v1beta3", since=26, until=32, typed_as=f"{_FLOW_CONTROL}/v1"),
    Era(f"{_FLOW_CONTROL}/v1beta2", since=23, until=29, typed_as=f"{_FLOW_CONTROL}/v1"),
    Era("networking.k8s.io/v1", ("ipaddresses", "servicecidrs"), since=33),
    Era("resource.k8s.io/v1", since=34),
    Era("storage.k8s.io/v1", ("volumeattributesclasses",), since=34),
)


def end_of(group_version: str, plural: str) -> int | None:
    """The first minor version that does not serve an API any more; None when no end is known."""
    ends = (
        era.until for era in ERAS if era.group_version == group_version and (not era.plurals or plural in era.plurals)
    )
    return next((end for end in ends if end < 1000), None)


def minor_of(version: str) -> int:
    """The minor number of `1.31`, `v1.31.4` or `v1.31.4-eks-2d5f260`; raises ValueError for anything else."""
    read = _VERSION.fullmatch(version)
    if read is None:
        raise ValueError(f"{version!r} is no Kubernetes version; write one like 1.31 or v1.31.4.")
    return int(read["minor"])


def whole(version: str) -> str:
    """A version as `/version` tells it: `1.31` stands for its latest patch, `v1.31.4` for itself.

    Raises ValueError for what is no version, and for one that is not simulated.
    """
    minor = minor_of(version)
    if not OLDEST <= minor <= NEWEST:
        raise ValueError(f"Kubernetes {version} is not simulated; there are 1.{OLDEST} to 1.{NEWEST}.")
    if version.count(".") == 1:
        return f"v1.{minor}.{PATCHES[minor]}"
    return version if version.startswith("v") else f"v{version}"


def is_served(group_version: str, plural: str, minor: int) -> bool:
    """Whether a built-in resource is served by that minor version."""
    return all(
        era.covers(minor)
        for era in ERAS
        if era.group_version == group_version and (not era.plurals or plural in era.plurals)
    )
