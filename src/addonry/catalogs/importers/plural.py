"""Plural's compatibility tables: one file for each component, or all in one with ``addons``.

https://github.com/pluralsh/console/tree/master/static/compatibilities. Versions may be YAML numbers there (1.10 would
be 1.1), so everything is read as text; and its lists are what was tested.
"""

from pathlib import PurePath
from typing import Any, Final

from addonry.catalogs.documents import Unreadable, read_texts
from addonry.catalogs.importers import Count, Finding
from addonry.catalogs.importers.ranges import is_version, minor_in, rows_of

EVIDENCE: Final = "https://github.com/pluralsh/console/tree/master/static/compatibilities"


def read(text: bytes, file: str) -> list[Finding]:
    """One finding for each component; a file of one component is called by its name. Raises Unreadable."""
    said = read_texts(text)
    match said:
        case {"addons": list(addons)}:
            return [finding for addon in addons if (finding := _finding(addon, "")) is not None]
        case {"versions": list()}:
            finding = _finding(said, PurePath(file).stem)
            return [finding] if finding else []
        case _:
            raise Unreadable("without versions or addons; give a file of static/compatibilities")


def _finding(addon: Any, name: str) -> Finding | None:
    if not isinstance(addon, dict) or not isinstance(addon.get("versions"), list):
        return None
    name = name or _text(addon, "name")
    if not name:
        return None
    found: dict[str, set[int]] = {}
    odd: list[str] = []
    for each in addon["versions"]:
        version = _text(each, "version")
        minors = each.get("kube") if isinstance(each, dict) else None
        if not is_version(version) or not isinstance(minors, list):
            odd += [version] if version else []
            continue
        known = [(text, minor_in(text)) for text in minors if isinstance(text, str)]
        odd += [f"Kubernetes {text} of {version}" for text, minor in known if minor is None]
        found[version] = {minor for _, minor in known if minor is not None}
    return Finding(
        name,
        rows_of(found),
        Count.APP,
        EVIDENCE,
        repository=_text(addon, "helm_repository_url"),
        chart=_text(addon, "chart_name"),
        notes=(f"{name}: passed over {', '.join(odd[:5])}.",) if odd else (),
    )


def _text(said: Any, member: str) -> str:
    value = said.get(member) if isinstance(said, dict) else None
    return value.strip() if isinstance(value, str) else ""
