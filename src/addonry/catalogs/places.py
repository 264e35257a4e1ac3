"""Addresses within OCI registries: ``oci://HOST/NAME``, with ``:TAG`` or ``@DIGEST`` behind it.

The forms of names, tags and digests are those of the distribution specification:
https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME: Final = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Place:
    """One name within a registry."""

    host: str
    name: str
    reference: str = ""
    """A tag or a digest."""

    @property
    def is_pinned(self) -> bool:
        """Whether the reference is a digest, which can only ever mean one thing."""
        return bool(DIGEST.fullmatch(self.reference))


def place_of(address: str) -> Place | None:
    """The place that an ``oci://`` address names; None for one that no registry could have."""
    try:
        parts = urlsplit(address)
        host = parts.netloc.lower()
        if parts.scheme != "oci" or not parts.hostname or parts.port == 0 or "@" in host or parts.query:
            return None
    except ValueError:
        return None
    path = parts.path.lstrip("/")
    name, at, reference = path.partition("@")
    if at and not DIGEST.fullmatch(reference):
        return None
    if not at:
        name, _, reference = path.partition(":")
        if reference and not _TAG.fullmatch(reference):
            return None
    return Place(host, name, reference) if len(name) <= 255 and _NAME.fullmatch(name) else None
