"""Mirrors: addresses to ask in place of those that component files and indexes name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from addonry.model.catalog import CatalogEntry
from addonry.model.errors import InvalidParameter

_ADDRESS: Final = re.compile(r"(?:https?|oci)://[^@?#\s/]+(?:/[^@?#\s]*)?")


@dataclass(frozen=True, slots=True)
class Mirrors:
    """One mirror for everything, or one for each beginning of an address."""

    all: str = ""
    by_prefix: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, one: str | None, several: str | None) -> "Mirrors":
        """From the settings: an address, and pairs ``PREFIX=ADDRESS`` with commas between. Raises InvalidParameter."""
        by_prefix = {}
        for pair in filter(None, (each.strip() for each in (several or "").split(","))):
            prefix, _, address = pair.partition("=")
            by_prefix[_checked(prefix, "ADDONRY_CHART_MIRRORS")] = _checked(address, "ADDONRY_CHART_MIRRORS")
        return cls(_checked(one, "mirror") if one is not None else "", by_prefix)

    def of(self, entry: CatalogEntry) -> CatalogEntry:
        """The same component, its charts from where they are to come from."""
        if entry.source is None:
            return entry
        address = self.all or self.rewritten(entry.source.repository)
        return replace(entry, source=replace(entry.source, repository=address))

    def rewritten(self, address: str) -> str:
        """*address* with the longest beginning that has a mirror replaced by it; a beginning ends where a name does."""
        for prefix in sorted(self.by_prefix, key=len, reverse=True):
            rest = address.removeprefix(prefix)
            if address.startswith(prefix) and (not rest or rest[0] in "/:@"):
                return self.by_prefix[prefix] + rest
        return address


def _checked(address: str, setting: str) -> str:
    address = address.strip().rstrip("/")
    if not _ADDRESS.fullmatch(address):
        raise InvalidParameter(
            setting,
            "must be an http, https or oci address without credentials, query or fragment",
            remedy="Give the address of the folder that holds index.yaml, or of the registry's folder of charts; "
            "credentials belong in ADDONRY_CHART_CREDENTIALS.",
        )
    return address
