"""What the Pods of a Job amount to: how many have succeeded and failed, and for an Indexed Job which indexes are done.

A Pod that is not counted yet carries the finalizer `TRACKING`; the counts of the others are in the status.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from addonry.simulator.life.world import is_leaving
from addonry.simulator.storage import Object

TRACKING: Final = "batch.kubernetes.io/job-tracking"
INDEX: Final = "batch.kubernetes.io/job-completion-index"


@dataclass
class Tally:
    """The counts of one Job at one moment."""

    before: tuple[int, int]  # succeeded and failed, as the status has it
    is_indexed: bool
    completed: set[int]
    succeeded_now: list[str] = field(default_factory=list)
    failed_now: list[str] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)
    """Pods that the Job itself stops now."""

    @classmethod
    def of(cls, job: Object, pods: Sequence[Object]) -> Tally:
        status = job.get("status") or {}
        is_indexed = job["spec"].get("completionMode") == "Indexed"
        before = status.get("succeeded", 0), status.get("failed", 0)
        tally = cls(before, is_indexed, set(_read(status.get("completedIndexes") or "")))
        for pod in pods:
            if TRACKING not in (pod["metadata"].get("finalizers") or ()):
                continue
            uid, phase = pod["metadata"]["uid"], pod["status"].get("phase")
            if phase == "Succeeded":
                tally.succeeded_now.append(uid)
                if is_indexed:
                    tally.completed.add(index_of(pod))
            elif phase == "Failed" or is_leaving(pod):
                tally.failed_now.append(uid)
        return tally

    @property
    def succeeded(self) -> int:
        return len(self.completed) if self.is_indexed else self.before[0] + len(self.succeeded_now)

    @property
    def failed(self) -> int:
        return self.before[1] + len(self.failed_now)

    @property
    def is_settled(self) -> bool:
        """Nothing new is to be counted."""
        return not self.fresh

    @property
    def fresh(self) -> set[str]:
        """The Pods that are counted now, or are dropped without it."""
        return {*self.succeeded_now, *self.failed_now, *self.lost}

    def lose(self, pod: Object, *, counts: bool) -> None:
        """The Job stops a Pod; that *counts* as a failure if it fails itself."""
        self.lost.add(pod["metadata"]["uid"])
        if counts:
            self.failed_now.append(pod["metadata"]["uid"])

    def noted(self, status: Mapping[str, Any]) -> dict[str, Any]:
        """The status before the new ones are counted; an index that is done counts at once."""
        uncounted: dict[str, Any] = {}
        if self.succeeded_now and not self.is_indexed:
            uncounted["succeeded"] = list(self.succeeded_now)
        if self.failed_now:
            uncounted["failed"] = list(self.failed_now)
        succeeded = self.succeeded if self.is_indexed else self.before[0]
        return self._written(status, succeeded, self.before[1], uncounted)

    def counted(self, status: Mapping[str, Any]) -> dict[str, Any]:
        """The status with all of them."""
        return self._written(status, self.succeeded, self.failed, {})

    def _written(
        self, status: Mapping[str, Any], succeeded: int, failed: int, uncounted: Mapping[str, Any]
    ) -> dict[str, Any]:
        kept = {k: v for k, v in status.items() if k not in ("active", "succeeded", "failed", "completedIndexes")}
        counts = {name: count for name, count in (("succeeded", succeeded), ("failed", failed)) if count}
        done = {"completedIndexes": _shown(sorted(self.completed))} if self.completed else {}
        return {**kept, **counts, **done, "uncountedTerminatedPods": dict(uncounted)}

    def open_indexes(self, completions: int, active: Sequence[Object]) -> Iterator[int]:
        """Indexes that are neither done nor under way, the smallest first."""
        taken = self.completed | {index_of(pod) for pod in active} if self.is_indexed else set()
        return (index for index in range(completions) if index not in taken)


def index_of(pod: Object) -> int:
    """Which index of its Job a Pod works on."""
    text = (pod["metadata"].get("annotations") or {}).get(INDEX, "")
    return int(text) if text.isdigit() else -1


def is_finished(pod: Object) -> bool:
    """Whether its containers have ended by themselves."""
    return pod["status"].get("phase") in ("Succeeded", "Failed")


def _read(text: str) -> Iterator[int]:
    """The indexes of a text like `1,3-5,7`."""
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _shown(indexes: Sequence[int]) -> str:
    """The way back of `_read`; two neighbours stand alone, only three or more are a range."""
    runs: list[list[int]] = []
    for index in indexes:
        if runs and runs[-1][-1] == index - 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)
