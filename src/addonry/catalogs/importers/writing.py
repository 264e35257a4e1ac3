"""Component files made of findings: additions to components that the catalog knows, whole files for others."""

import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from addonry.catalogs.entries import read_entries
from addonry.catalogs.importers import Finding
from addonry.model.catalog import CatalogEntry
from addonry.model.errors import InvalidParameter

HEAD: Final = "# Made by `addonry catalog import-ranges --from {form}`; the next import replaces it.\n"
_MADE: Final = re.compile(r"# Made by `addonry catalog import-ranges --from [a-z]+`")
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_ADDRESS: Final = re.compile(r"(?:https?|oci)://[^@?#\s/]+(?:/[^@?#\s]*)?")
_API: Final = re.compile(r"([a-z0-9.-]+/)?v[0-9]+((alpha|beta)[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Written:
    """One file, and what could not be taken into it."""

    component: str
    file: Path
    ranges: int
    is_addition: bool


def write(
    findings: Iterable[Finding],
    form: str,
    folder: Path,
    *,
    directories: tuple[Path, ...],
    evidence: str = "",
) -> tuple[tuple[Written, ...], tuple[str, ...]]:
    """Write files to *folder* that go with the packaged ones and those of *directories*; and what was passed over.

    All are read as the catalog would read them before any is written. Raises InvalidParameter, and writes nothing, where
    that fails or a file there is not of an import's making.
    """
    entries = {name: entry for entry in read_entries(directories) for name in (entry.name, *entry.aliases)}
    notes: list[str] = []
    contents: dict[str, dict[str, Any]] = {}
    for finding in findings:
        notes += finding.notes
        if not _NAME.fullmatch(finding.name) or not finding.rows:
            notes.append(f"{finding.name[:63]}: nothing to take.")
            continue
        content = _content(finding, entries.get(finding.name), evidence or finding.evidence)
        name = content.get("extends") or content["name"]
        # A bundle may have an entry for each of several spans of versions.
        before = contents.setdefault(name, content)
        if before is not content:
            before["kubernetes"] += content["kubernetes"]
    texts = {
        f"{name}.{form}.yaml": HEAD.format(form=form) + yaml.safe_dump(content, sort_keys=False, width=120)
        for name, content in contents.items()
    }
    with tempfile.TemporaryDirectory(prefix="addonry-") as aside:
        for file, text in texts.items():
            (Path(aside) / file).write_text(text)
        read_entries((*directories, Path(aside)))
    _put(texts, folder)
    written = tuple(
        Written(name, folder / f"{name}.{form}.yaml", len(content["kubernetes"]), "extends" in content)
        for name, content in contents.items()
    )
    return written, tuple(notes)


def _content(finding: Finding, entry: CatalogEntry | None, evidence: str) -> dict[str, Any]:
    content: dict[str, Any] = {"extends": entry.name} if entry else {"name": finding.name, "title": finding.name}
    if entry is None and _ADDRESS.fullmatch(finding.repository) and _NAME.fullmatch(finding.chart):
        content["chart"] = {"repository": finding.repository, "name": finding.chart}
        content["fingerprints"] = {"charts": [finding.chart]}
    apis = [api for api in finding.apis if _API.fullmatch(api)]
    if apis:
        content["apis"] = list(dict.fromkeys(apis))
    content["kubernetes"] = [
        {
            finding.count.value: row.versions,
            "range": row.kubernetes,
            "evidence": evidence,
            **({"tested": True} if row.is_tested else {}),
        }
        for row in finding.rows
    ]
    return content


def _put(texts: Mapping[str, str], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in texts:
            path = folder / file
            if path.exists() and not _MADE.match(path.read_text()):
                raise InvalidParameter(str(path), "was not made by an import", remedy="Name another directory.")
        for file, text in texts.items():
            (folder / file).write_text(text)
    except OSError as error:
        raise InvalidParameter(str(folder), f"cannot be written: {error.strerror}", remedy="Name another.") from error
