"""Runs a scenario on a cluster, in a namespace of its own, and tells of every fact whether it holds.

A step that fails does not end the scenario: a cluster that differs is told about as a whole.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.conformance import facts
from tests.conformance.facts import Answer, Verdict
from tests.conformance.paths import Missing, value_at
from tests.conformance.place import Place, Watch
from tests.conformance.scenario import Scenario, Step, filled

_CANNOT: Final = (OSError, subprocess.TimeoutExpired, AssertionError)


@dataclass(frozen=True)
class Outcome:
    """One fact of one step, on one cluster."""

    scenario: str
    step: str
    fact: str
    holds: bool
    found: str


def run(scenario: Scenario, place: Place) -> list[Outcome]:
    """What became of each fact. Removes what it made, whatever happened."""
    running = _Running(scenario, place)
    try:
        return list(running.outcomes())
    finally:
        running.clean_up()


class _Running:
    def __init__(self, scenario: Scenario, place: Place) -> None:
        self._scenario, self._place = scenario, place
        self._ns = f"addonry-{scenario.name}-{place.run}"
        self._variables: dict[str, Any] = {**place.images, "ns": self._ns, "run": place.run}
        self._watches: dict[str, Watch] = {}

    def outcomes(self) -> Iterator[Outcome]:
        self._place.kubectl(self._ns, ["create", "namespace", self._ns])
        for step in self._scenario.steps:
            try:
                answer = self._act(step)
            except _CANNOT as error:
                yield Outcome(self._scenario.name, step.name, "it can be done", holds=False, found=str(error))
                answer = Answer()
            for name, path in step.remember.items():
                try:
                    self._variables[name] = value_at(answer.body, filled(path, self._variables))
                except Missing:
                    told = f"there is {path} to remember"
                    yield Outcome(self._scenario.name, step.name, told, holds=False, found="nothing there")
            for told in step.facts:
                verdict = self._judge(filled(told, self._variables), answer)
                yield Outcome(self._scenario.name, step.name, facts.described(told), verdict.holds, verdict.found)

    def clean_up(self) -> None:
        for watch in self._watches.values():
            watch.close()
        for path in filled(self._scenario.cleanup, self._variables):
            self._place.raw(self._ns, "DELETE", path)
        self._place.kubectl(self._ns, ["delete", "namespace", self._ns, "--wait=false", "--ignore-not-found"])

    # ------------------------------------------------------------------ actions

    def _act(self, step: Step) -> Answer:
        says, options = filled(step.says, self._variables), filled(step.options, self._variables)
        match step.action:
            case "kubectl":
                return self._place.kubectl(self._ns, says, options.get("input"))
            case "helm":
                return self._place.helm(options.get("namespace", self._ns), says, options)
            case "raw":
                method, _, path = says.partition(" ")
                body, kind, headers = options.get("input"), options.get("type", ""), options.get("headers")
                return self._place.raw(self._ns, method, path, body=body, kind=kind, headers=headers)
            case "watch":
                self._watches[options["as"]] = self._place.watch(self._ns, says)
        return Answer()

    # ------------------------------------------------------------------ facts

    def _judge(self, fact: Mapping[str, Any], answer: Answer) -> Verdict:
        if not any(word in fact for word in facts.WAITS):
            return facts.of_answer(fact, answer)
        verdict = Verdict(holds=False, found="")

        def holds() -> bool:
            nonlocal verdict
            verdict = self._look(fact)
            return verdict.holds

        try:
            self._place.until(holds)
        except _CANNOT as error:
            return Verdict(holds=False, found=str(error))
        return verdict

    def _look(self, fact: Mapping[str, Any]) -> Verdict:
        if "seen" in fact:
            return facts.at(fact, list(self._watches[fact["seen"]].events))
        if "event" in fact:
            events = self._place.raw(self._ns, "GET", "events").body["items"]
            found = [event["message"] for event in events if event["reason"] == fact["event"]]
            return Verdict(
                any(fact.get("says", "") in message for message in found), "; ".join(found) or "no such event"
            )
        answer = self._place.raw(self._ns, "GET", fact.get("gone") or fact["object"])
        if "gone" in fact:
            return Verdict(answer.status == 404, str(answer.status))
        return facts.at(fact, answer.body)
