"""The tree of commands: its help, its page, what it imports, how it ends."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from addonry.cli.commands.demo import path_to_addonry
from addonry.cli.errors import Failed
from addonry.cli.reference import helps, write_reference
from addonry.cli.root import COMMANDS, addonry

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"
HEAVY = (
    "aiohttp",
    "rich",
    "starlette",
    "sqlalchemy",
    "dbos",
    "helm_python",
    "yaml",
    "uvicorn",
    "msgspec",
    "asyncio",
    "ssl",
    "http",
)


@pytest.mark.parametrize(("path", "text"), list(helps()), ids=lambda value: value if len(value) < 40 else "")
def test_the_help_of_each_command_has_an_example_of_it(path, text):
    examples = re.split(r"\n\s*Examples?:\n", text)
    assert len(examples) == 2, f"{path} has no example"
    assert path in examples[1]


def test_the_page_of_commands_is_what_the_commands_say():
    assert PAGE.read_text() == write_reference(), "run: python -m addonry.cli.reference > docs/reference/commands.md"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_command_says_of_itself(name):
    """The list is a table, so that printing it imports nothing; here the two are compared."""
    command = addonry.get_command(None, name)
    assert command.name == name
    assert (command.help or "").partition("\n")[0] == COMMANDS[name].summary


def test_commands_of_a_later_round_are_not_there_yet(alone):
    for name in ("dashboard",):
        result = alone(name)
        assert result.exit_code == 2
        assert f"No such command '{name}'" in result.stderr


def loaded(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(chr(10).join(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {line.partition(".")[0] for line in ended.stdout.splitlines()}


def test_importing_the_command_line_imports_nothing_heavy():
    """The budget of `addonry --help` is 60 ms of CPU; one of these alone costs that."""
    assert loaded("import addonry.cli, addonry.cli.root").isdisjoint(HEAVY)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "serve"])
def test_the_help_of_a_command_imports_nothing_heavy(name):
    statement = (
        f"import addonry.cli.root as root\n"
        f"try: root.addonry([{name!r}, '--help'])\n"
        f"except SystemExit as end: assert end.code == 0"
    )
    assert loaded(statement).isdisjoint(set(HEAVY) - {"asyncio", "ssl"})


def test_without_a_command_the_help_is_shown_and_the_usage_was_wrong(alone):
    result = alone()
    assert result.exit_code == 2
    assert "Commands:" in result.output


def test_wrong_usage_is_one_line_and_status_2(alone):
    for arguments in (["status"], ["--nope"], ["nope"], ["status", "--nope", "c"], ["scan", "--target", "two"]):
        result = alone(*arguments)
        assert result.exit_code == 2, arguments
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1
        assert "--help" in result.stderr


def test_the_version_is_printed(alone):
    result = alone("--version")
    assert result.exit_code == 0
    assert re.fullmatch(r"addonry \d+\.\d+.*\n", result.stdout)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_names_the_command(alone, shell):
    result = alone("completion", shell)
    assert result.exit_code == 0
    assert "_ADDONRY_COMPLETE" in result.stdout


def test_completion_knows_the_commands():
    ended = subprocess.run(
        [sys.executable, "-m", "addonry"],
        env={**os.environ, "_ADDONRY_COMPLETE": "bash_complete", "COMP_WORDS": "addonry cl", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "clusters" in ended.stdout


def test_completion_knows_the_words_of_an_option():
    ended = subprocess.run(
        [sys.executable, "-m", "addonry"],
        env={
            **os.environ,
            "_ADDONRY_COMPLETE": "bash_complete",
            "COMP_WORDS": "addonry upgrade prod coredns --edits ",
            "COMP_CWORD": "5",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.split() == ["plain,overwrite", "plain,preserve", "plain,none"]


def test_an_unexpected_error_is_one_line_and_says_how_to_learn_more(alone, monkeypatch):
    def explode(*_):
        raise RuntimeError("the roof is\non fire")

    monkeypatch.setattr("addonry.cli.session.find_running", explode)
    result = alone("keys", "list")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "the roof is on fire" in result.stderr
    assert "ADDONRY_DEBUG=1" in result.stderr


def test_a_debugger_sees_the_whole_error(alone, monkeypatch):
    def explode(*_):
        raise RuntimeError("fire")

    monkeypatch.setattr("addonry.cli.session.find_running", explode)
    alone.env["ADDONRY_DEBUG"] = "1"
    assert isinstance(alone("keys", "list").exception, RuntimeError)


def test_ctrl_c_ends_with_the_status_of_the_shell(alone, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("addonry.cli.session.find_running", interrupt)
    assert alone("keys", "list").exit_code == 130


def test_a_reader_that_goes_away_is_no_error():
    """`addonry ... | head -1` must not end in a traceback."""
    shell = f"{sys.executable} -m addonry --help | true"
    ended = subprocess.run(shell, shell=True, capture_output=True, text=True, check=False)
    assert ended.stderr == ""


def test_kubectl_finds_the_plugin():
    assert (Path(sys.executable).parent / "kubectl-addonry").exists()


def test_json_is_all_that_is_printed(api, run):
    api.answer("GET", "/addonry/v1/keys", {"keys": []})
    assert json.loads(run("keys", "list", "-o", "json").stdout) == {"keys": []}


def test_message_and_remedy_are_two_sentences():
    assert Failed("It is not there", remedy="Make it.").message == "It is not there. Make it."
    assert Failed("It is not there.", remedy="Make it.").message == "It is not there. Make it."


def test_a_setting_of_the_environment_that_is_wrong_is_wrong_usage(alone):
    alone.env["ADDONRY_SCAN_SECONDS"] = "soon"
    result = alone("clusters", "list")
    assert result.exit_code == 2
    assert "ADDONRY_SCAN_SECONDS: must be a positive number. Correct or unset" in result.stderr


def test_the_demo_names_the_path_to_addonry_where_the_shell_has_none(tmp_path, monkeypatch):
    """After `make demo` the environment is not activated, and the commands to try would not be found."""
    command = tmp_path / "addonry"
    command.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(command)])
    monkeypatch.setenv("PATH", "/nowhere")
    assert path_to_addonry() == f"  export PATH={tmp_path}:$PATH\n"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert path_to_addonry() == ""
