"""Read our own pages: their fenced examples, links and headings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

PAGES = tuple(
    sorted(
        page
        for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tests/**/*.md"))
        if ".pytest_cache" not in page.parts
    )
)
"""Every page that is part of the project."""

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Example:
    """A fenced block: where it stands, what it is written in, and what it says."""

    page: Path
    language: str
    section: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The shell's lines, continued ones as one."""
        return [line for line in self.text.replace("\\\n", "").splitlines() if line.strip()]


def examples(page: Path, language: str | None = None) -> list[Example]:
    """The fenced blocks of a page, in order; with *language*, those written in it."""
    text = page.read_text()
    found = []
    for match in _FENCE.finditer(text):
        headings = _HEADING.findall(_without_fences(text[: match.start()]))
        found.append(Example(page, match["language"], headings[-1] if headings else "", match["text"]))
    return [each for each in found if language is None or each.language == language]


def links(page: Path) -> list[str]:
    """The targets of a page's links, outside of code."""
    return [match["target"] for match in _LINK.finditer(_SPAN.sub("", _without_fences(page.read_text())))]


def anchors(page: Path) -> set[str]:
    """What links to a page's headings may say behind the #, as GitHub makes it."""
    headings = (each.replace("`", "") for each in _HEADING.findall(_without_fences(page.read_text())))
    return {re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in headings}


def spans(page: Path) -> list[str]:
    """What stands between single backticks, also in tables."""
    return _SPAN.findall(_without_fences(page.read_text()))


def rows(page: Path) -> Iterator[list[str]]:
    """The cells of every row of a page's tables, heads and rules left out."""
    lines = page.read_text().splitlines()
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if line.startswith("|") and not line.startswith("|---") and not following.startswith("|---"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def _without_fences(text: str) -> str:
    return _FENCE.sub("", text)
