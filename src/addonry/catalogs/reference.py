"""``docs/reference/components.md``, made from the packaged files: ``python -m addonry.catalogs.reference > FILE``.

A test compares the file with what is made here.
"""

import sys
from collections.abc import Iterable, Iterator
from typing import Final

from addonry.catalogs.entries import read_entries
from addonry.model.catalog import CatalogEntry, Counted, EndOfLife, KubernetesRange, VersionScope

TOPICS: Final = {
    "networking": "Networking",
    "dns": "DNS",
    "ingress": "Ingress, gateways and meshes",
    "certificates": "Certificates",
    "storage": "Storage",
    "autoscaling": "Autoscaling",
    "observability": "Observability",
    "policy": "Policy",
    "secrets": "Secrets",
    "backup": "Backup",
    "gpu": "GPU and node features",
    "cloud": "Cloud controllers",
    "delivery": "Delivery",
    "operations": "Operations",
}
"""Heading of each topic, in the order of the page."""

HEAD: Final = """# Components

Made by `python -m addonry.catalogs.reference`; do not edit.

What the packaged catalog knows: {count} components. [A file of your own](../guides/catalog.md) adds to them, or says
otherwise. The column *Kubernetes* has what the project says beyond the charts' own `kubeVersion`: outside of a range
that is *tested* there is a warning, outside of any other a version does not fit. *Ends* tells from which day on
nobody mends some versions. Versions are the application's, those of charts are marked. Known risks, paths and orders
are in the files below `src/addonry/catalogs/components`.
"""
COLUMNS: Final = ("Component", "What it is", "Charts", "Kubernetes", "Ends")


def write_reference() -> str:
    """The whole page."""
    entries = read_entries(())
    parts = [HEAD.format(count=len(entries))]
    for topic, heading in TOPICS.items():
        rows = [_row(entry) for entry in entries if entry.topic == topic]
        parts.append(f"\n## {heading}\n\n" + "".join(f"{line}\n" for line in _table(rows)))
    return "".join(parts)


def _table(rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|" + "---|" * len(COLUMNS)
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _row(entry: CatalogEntry) -> tuple[str, ...]:
    also = f" (also {', '.join(f'`{alias}`' for alias in entry.aliases)})" if entry.aliases else ""
    charts = f"`{entry.source.chart}` of {entry.source.repository}" if entry.source else "none"
    return (
        f"[`{entry.name}`]({entry.home}){also}",
        entry.description,
        charts,
        "; ".join(map(_range, entry.ranges)),
        "; ".join(map(_end, entry.ends)),
    )


def _range(known: KubernetesRange) -> str:
    tested = " tested" if known.is_tested else ""
    return f"{_scope(known.versions)}: [`{known.kubernetes}`]({known.evidence}){tested}"


def _end(end: EndOfLife) -> str:
    return f"{_scope(end.versions)}: [{end.day}]({end.evidence}), then {end.successor}"


def _scope(scope: VersionScope) -> str:
    if not scope.constraint:
        return "all"
    return f"`{scope.constraint}`" if scope.of is Counted.APP else f"chart `{scope.constraint}`"


if __name__ == "__main__":
    sys.stdout.write(write_reference())
