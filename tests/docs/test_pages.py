"""Pages hold together: links lead somewhere, every page is reached, and nothing names a machine."""

import re
import shlex
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from addonry.cli.root import addonry
from addonry.settings import VARIABLES
from tests.docs.markdown import PAGES, ROOT, anchors, examples, links, spans

BEYOND_SETTINGS = {
    "ADDONRY_ENDPOINT",
    "ADDONRY_ACCESS_KEY_ID",
    "ADDONRY_ACCESS_KEY_SECRET",
    "ADDONRY_SECURITY_TOKEN",
    "ADDONRY_DEBUG",
}
"""Variables that only the command line reads."""

PLACEHOLDER = re.compile(r"(?:T-)?\.\.\.|[A-Z]+$")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def targets(page: Path) -> list[tuple[Path, str]]:
    """Local files that a page links to, with the anchor."""
    local = (each for each in links(page) if not re.match(r"[a-z]+:", each))
    parts = (each.partition("#") for each in local)
    return [((page.parent / unquote(path)).resolve() if path else page, anchor) for path, _, anchor in parts]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_local_link_leads_to_a_file_and_a_heading(page):
    for target, anchor in targets(page):
        assert target.exists(), f"{name_of(page)} links to {target}"
        assert not anchor or anchor in anchors(target), f"{name_of(page)} links to #{anchor} in {target.name}"


def test_every_page_is_reached_from_the_readme():
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            waiting += [target for target, _ in targets(page) if target in PAGES]
    lost = {name_of(page) for page in PAGES if "tests" not in page.relative_to(ROOT).parts} - set(map(name_of, reached))
    assert not lost, f"nothing leads to {lost}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_a_path_of_a_machine_or_the_host_of_a_package_registry(page):
    text = page.read_text()
    assert not re.findall(r"(?<![\w.])/(?:work|root|tmp|home|Users)/\S*", text)
    assert not re.findall(r"pypi\.org|pythonhosted\.org|npmjs\.org|proxy\.golang\.org|deb\.debian\.org", text)


def commands_in(page: Path) -> list[str]:
    """Every call of ``addonry`` that a page shows, in its examples and within its sentences."""
    lines = [line for each in examples(page, "sh") for line in each.commands]
    shown = [*lines, *spans(page)]
    return [line for line in shown if re.match(r"(?:\.venv/bin/)?addonry [a-z]", line)]


CALLS = [(page, call) for page in PAGES for call in commands_in(page)]


def test_the_pages_show_calls_to_check():
    assert len(CALLS) > 20


@pytest.mark.parametrize(("page", "call"), CALLS, ids=lambda each: name_of(each) if isinstance(each, Path) else each)
def test_every_command_that_a_page_shows_exists_with_its_options(page, call):
    words = [word for word in shlex.split(call, comments=True)[1:] if word not in {"&", "|", "..."}]
    command: click.Command = addonry
    context = click.Context(addonry, info_name="addonry")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        if PLACEHOLDER.fullmatch(words[0]):
            break
        found = command.get_command(context, words[0])
        assert found is not None, f"{name_of(page)}: there is no `{call}`"
        command, context, words = found, click.Context(found, parent=context, info_name=words[0]), words[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [
        word for word in words if word.startswith("-") and word.partition("=")[0] not in known | {"-h", "--help"}
    ]
    assert not unknown, f"{name_of(page)}: `{call}` has no {unknown}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_variable_that_a_page_names_is_read(page):
    named = set(re.findall(r"\bADDONRY_[A-Z_]+\b", page.read_text()))
    assert named <= set(VARIABLES.values()) | BEYOND_SETTINGS


def test_the_variables_of_the_command_line_are_read_there():
    source = "".join(file.read_text() for file in (ROOT / "src/addonry/cli").rglob("*.py"))
    assert {each for each in BEYOND_SETTINGS if f'"{each}"' in source} == BEYOND_SETTINGS


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_module_that_a_page_names_is_there(page):
    """``kube/rollout.py`` and the like; whole paths from the top, or from below ``src/addonry``."""
    named = [each for each in spans(page) if re.fullmatch(r"[\w./-]+/[\w.-]+\.(?:py|yaml|json|md|toml)", each)]
    theirs = {"components/shop-gateway.yaml"}  # what a reader writes
    missing = [
        each
        for each in named
        if each not in theirs
        and not any(
            (base / each).exists() for base in (ROOT, ROOT / "src/addonry", page.parent, ROOT / "src/addonry/catalogs")
        )
    ]
    assert not missing, f"{name_of(page)} names {missing}"
