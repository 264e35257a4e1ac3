"""Bundles of GoNoGo: for a span of chart versions, the oldest and the newest Kubernetes.

https://gonogo.docs.fairwinds.com/. The bounds are often numbers without quotes, so that 1.20 may have become 1.2: such a
bound is passed over and told. The lower bound is a limit; the upper one is what was new when the bundle was written.
"""

from typing import Any, Final

from addonry.catalogs.documents import Unreadable, read_texts
from addonry.catalogs.importers import Count, Finding, Row
from addonry.catalogs.importers.ranges import at_least, at_most, is_version, minor_in

EVIDENCE: Final = "https://gonogo.docs.fairwinds.com/"


def read(text: bytes, file: str) -> list[Finding]:  # noqa: ARG001 - every form's signature
    """One finding for each entry of the bundle. Raises Unreadable."""
    said = read_texts(text)
    match said:
        case {"addons": list(addons)}:
            return [finding for addon in addons if (finding := _finding(addon)) is not None]
        case _:
            raise Unreadable("without addons; give a bundle of GoNoGo")


def _finding(addon: Any) -> Finding | None:
    name, versions, kubernetes = (_of(addon, member) for member in ("name", "versions", "compatible_k8s_versions"))
    if not isinstance(name, str) or not name:
        return None
    start, end = _of(versions, "start"), _of(versions, "end")
    bounds = [limit(text) for text, limit in ((start, at_least), (end, at_most)) if text and is_version(text)]
    rows, odd = [], []
    for member in ("min", "max"):
        text = _of(kubernetes, member)
        minor = minor_in(text) if text else None
        if text and minor is None:
            odd.append(f"{member} {text}, which may be 1.{text.partition('.')[2]}0 without its zero; put it in quotes")
        elif minor is not None:
            constraint = f">=1.{minor}-0" if member == "min" else f"<1.{minor + 1}-0"
            rows.append(Row(" ".join(bounds) or "*", constraint, is_tested=member == "max"))
    source = _of(addon, "source")
    apis = _of(addon, "necessary_api_versions")
    return Finding(
        name,
        tuple(rows),
        Count.CHART,
        EVIDENCE,
        repository=_text(source, "repository"),
        chart=_text(source, "chart"),
        apis=tuple(api for api in apis if isinstance(api, str)) if isinstance(apis, list) else (),
        notes=tuple(f"{name}: passed over {each}." for each in odd),
    )


def _of(said: Any, member: str) -> Any:
    return said.get(member) if isinstance(said, dict) else None


def _text(said: Any, member: str) -> str:
    value = _of(said, member)
    return value.strip() if isinstance(value, str) else ""
