"""What a scenario file says: steps, each an action of a client and the facts that must hold after it.

    about: One sentence.
    covers: [life/deployment/surge]        # rows of `coverage.py`
    cleanup: [customresourcedefinitions/x] # what no namespace takes along
    steps:
      - kubectl: rollout status deploy/web # a command; `input` is its standard input, objects as YAML
      - helm: upgrade                      # with `chart`, `values`, `release`, `namespace`, and Helm's own `options`
      - raw: PATCH deployments/web         # a request; `input` is its body, `type` which kind of patch, `headers`
      - watch: pods?watch=true             # a watch that stays open, under the name that `as` gives
      - name: the rollout is done          # no action: only facts to wait for
    each step may have
        name: how the table of differences calls it
        facts: a list, see `facts.py`
        remember: {variable: path}         # of the answer; later steps say {variable}

Words in braces are replaced: {ns}, {run}, the images {app1}, {app2}, {bad}, {crash}, {job}, {notready}, and what was
remembered. A mistake in a file is an error when it is read, not a fact that fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).parent
ACTIONS: Final = ("kubectl", "helm", "raw", "watch")
_OPTIONS: Final = {
    "kubectl": {"input"},
    "helm": {"chart", "values", "options", "release", "namespace"},
    "raw": {"input", "type", "headers"},
    "watch": {"as"},
    "": set[str](),
}
_COMMON: Final = {"name", "facts", "remember"}
_VARIABLE: Final = re.compile(r"\{(\w+)\}")


class Mistake(Exception):
    """A scenario file says something that has no meaning."""


@dataclass(frozen=True)
class Step:
    """One action, and what must hold after it."""

    name: str
    action: str
    """One of ACTIONS, or empty."""
    says: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    facts: tuple[Mapping[str, Any], ...] = ()
    remember: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """A scenario file."""

    name: str
    about: str
    covers: tuple[str, ...]
    steps: tuple[Step, ...]
    cleanup: tuple[str, ...] = ()


def load_all() -> list[Scenario]:
    """All scenarios, by name."""
    return [load(path) for path in sorted(HERE.glob("*.yaml"))]


def load(path: Path) -> Scenario:
    told = yaml.safe_load(path.read_text())
    strange = set(told) - {"about", "covers", "cleanup", "steps"}
    if strange:
        raise Mistake(f"{path.name}: nobody knows what {', '.join(sorted(strange))} should mean.")
    steps = tuple(_step(path.name, number, each) for number, each in enumerate(told["steps"], 1))
    names = [step.name for step in steps]
    if twice := {name for name in names if names.count(name) > 1}:
        raise Mistake(f"{path.name}: two steps are called {', '.join(sorted(twice))}; give one a name.")
    return Scenario(path.stem, told["about"], tuple(told["covers"]), steps, tuple(told.get("cleanup", ())))


def _step(file: str, number: int, told: Mapping[str, Any]) -> Step:
    actions = [action for action in ACTIONS if action in told]
    if len(actions) > 1:
        raise Mistake(f"{file}, step {number}: it can do one thing, not {' and '.join(actions)}.")
    action = actions[0] if actions else ""
    strange = set(told) - _COMMON - {action} - _OPTIONS[action]
    if strange:
        raise Mistake(f"{file}, step {number}: {', '.join(sorted(strange))} cannot stand with {action or 'no action'}.")
    name = told.get("name") or f"{action} {told[action]}"
    options = {key: told[key] for key in _OPTIONS[action] if key in told}
    facts, remember = tuple(told.get("facts", ())), told.get("remember", {})
    return Step(name, action, told.get(action), options, facts, remember)


def filled(told: Any, variables: Mapping[str, Any]) -> Any:
    """What was told with each {variable} replaced; other braces are left alone."""
    if isinstance(told, str):
        alone = _VARIABLE.fullmatch(told)
        if alone and alone[1] in variables:
            return variables[alone[1]]  # a number stays one
        return _VARIABLE.sub(lambda found: str(variables.get(found[1], found[0])), told)
    if isinstance(told, Mapping):
        return {filled(key, variables): filled(value, variables) for key, value in told.items()}
    if isinstance(told, list | tuple):
        return [filled(each, variables) for each in told]
    return told


def strings(told: Any) -> Iterator[str]:
    """All strings in there."""
    if isinstance(told, str):
        yield told
    elif isinstance(told, Mapping):
        for key, value in told.items():
            yield from (*strings(key), *strings(value))
    elif isinstance(told, list | tuple):
        for each in told:
            yield from strings(each)
