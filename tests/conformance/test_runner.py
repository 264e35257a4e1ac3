"""The runner itself: what it finds, that it tells differences, and that it refuses scenarios without meaning."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance import facts, paths
from tests.conformance.compare import Known, differences, table
from tests.conformance.facts import Answer
from tests.conformance.runner import Outcome
from tests.conformance.scenario import Mistake, filled, load
from tests.docs.markdown import ROOT

OBJECT = {"a": {"b": [{"type": "x", "n": 1}, {"n": 2}, {"type": "y", "n": 3}]}, "with.dots": "yes", "empty": []}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b[0].n", 1),
        ("a.b[-1].n", 3),
        ("a.b[type=y].n", 3),
        ("a.b[*].type", ["x", "y"]),
        ("a.b.#", 3),
        ("empty.#", 0),
        ('["with.dots"]', "yes"),
    ],
)
def test_a_path_finds_its_value(path, value):
    assert paths.value_at(OBJECT, path) == value


@pytest.mark.parametrize("path", ["a.c", "a.b[9]", "a.b[type=z].n", "with.dots"])
def test_a_path_to_nothing_finds_nothing(path):
    with pytest.raises(paths.Missing):
        paths.value_at(OBJECT, path)


@pytest.mark.parametrize(
    ("fact", "holds"),
    [
        ({"status": 200}, True),
        ({"status": 404}, False),
        ({"at": "n", "is": 3}, True),
        ({"at": "n", "is": "3"}, True),
        ({"at": "n", "is_not": 3}, False),
        ({"at": "n", "at_least": 4}, False),
        ({"at": "list", "has": "b"}, True),
        ({"at": "text", "matches": "^h.llo$"}, True),
        ({"at": "none", "absent": True}, True),
        ({"at": "n", "absent": True}, False),
        ({"at": "none", "present": True}, False),
        ({"at": "none", "is": None}, False),
        ({"output": "hel"}, True),
        ({"lacks": "hel"}, False),
        ({"header": "etag", "is": "x"}, True),
    ],
)
def test_a_fact_about_an_answer_holds_or_not(fact, holds):
    answer = Answer(
        status=200, output="hello", body={"n": 3, "list": ["a", "b"], "text": "hello"}, headers={"ETag": "x"}
    )
    facts.check(fact)
    assert facts.of_answer(fact, answer).holds is holds


@pytest.mark.parametrize(
    "fact", [{}, {"at": "x"}, {"status": 200, "exit": 0}, {"stauts": 200}, {"at": "x", "is": 1, "has": 2}]
)
def test_a_fact_without_meaning_is_refused(fact):
    with pytest.raises(ValueError, match="cannot be"):
        facts.check(fact)


@pytest.mark.parametrize(
    "text",
    [
        "about: x\ncovers: []\nsteps: []\nclean: []",
        "about: x\ncovers: []\nsteps: [{kubectl: a, raw: GET b}]",
        "about: x\ncovers: []\nsteps: [{raw: GET a, chart: web}]",
        "about: x\ncovers: []\nsteps: [{raw: GET a}, {raw: GET a}]",
    ],
)
def test_a_scenario_without_meaning_is_refused(tmp_path, text):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(Mistake):
        load(tmp_path / "x.yaml")


def test_variables_are_filled_in_and_other_braces_left_alone():
    told = {"p": '{"spec":{"n":{n}}}', "{name}": ["{n}", "{.items}", "{unknown}"]}
    assert filled(told, {"n": 3, "name": "x"}) == {"p": '{"spec":{"n":3}}', "x": [3, "{.items}", "{unknown}"]}


def test_differences_are_told_with_their_reason_or_without():
    one = Outcome("s", "step", "fact", holds=True, found="1")
    two = replace(one, fact="other")
    theirs = [replace(one, holds=False, found="7"), replace(two, holds=False, found="8")]
    listed = [Known("s", "step", "other", "real", "It has no such thing.")]
    found = list(differences([one, two], theirs, listed))
    assert [(d.simulated, d.real, d.reason) for d in found] == [
        ("holds", "7", ""),
        ("holds", "8", "It has no such thing."),
    ]
    assert [line.split()[:3] for line in table(found).splitlines()[1:]] == [
        ["s", "step", "fact"],
        ["s", "step", "other"],
    ]
    assert list(differences([one], [one], [])) == []


def ended(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.kubectl
def test_the_command_runs_the_scenarios_on_another_cluster_by_its_kubeconfig():
    """No real cluster is at hand here, so the other one is simulated as well, and reached like any other."""
    # What is set up stays as it is, also when pyproject.toml is newer.
    make = ("make", "-o", ".venv/.dev", f"BIN={Path(sys.executable).parent}", "test-cluster")
    done = ended(*make, "KUBECONFIG=simulated", "ARGS=api-lists kubectl-crd life-services")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 scenarios, " in done.stdout
    assert " 0 differences" in done.stdout


@pytest.mark.slow
@pytest.mark.kubectl
def test_the_command_prints_where_a_cluster_differs_and_fails():
    """A cluster without nodes runs nothing: the scenario, the step, what was expected and what is."""
    done = ended(sys.executable, "-m", "tests.conformance", "--kubeconfig=simulated", "--unlike", "life-job")
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = [each for each in done.stdout.splitlines() if each.startswith("life-job  and goes on")]
    assert "object: jobs/waits" in line
    assert "holds" in line
    assert "fails_on: real" in done.stdout
