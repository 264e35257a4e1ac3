"""Where a component stands, in one word for a table, and what ``--fail-on`` makes of it.

Components are as the API tells them. To fail on something more, add a word to FailOn and a row to UNMET.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, TypeVar

import click

from addonry.cli.errors import Failed, WrongUsage
from addonry.cli.output import is_blocking

NAMES_TOLD: Final = 5

Component = Mapping[str, Any]
F = TypeVar("F", bound=Callable[..., Any])


class Standing(StrEnum):
    """May it be changed now, and is there anything to change it to."""

    BLOCKED = "BLOCKED"
    READY = "READY"
    UP_TO_DATE = "UP TO DATE"
    BEHIND = "BEHIND"
    """There is something newer, and nothing that fits and can be gone to."""
    UNKNOWN = "UNKNOWN"


def standing_of(component: Component) -> Standing:
    """The word for a component."""
    if blockers_of(component):
        return Standing.BLOCKED
    if component["can_upgrade"]:
        return Standing.READY
    if _is_behind(component):
        return Standing.BEHIND
    unread = any(each["id"] in {"CatalogUnavailable", "NoCharts"} for each in component["findings"])
    # Nothing on offer is no news: what only a distribution ships has versions that nobody lists.
    return Standing.UP_TO_DATE if component.get("newest") and not unread else Standing.UNKNOWN


def blockers_of(component: Component) -> list[str]:
    """The ids of what stands in its way."""
    return [each["id"] for each in component["findings"] if is_blocking(each)]


class FailOn(StrEnum):
    """What a pipeline may want to stop at."""

    BLOCKED = "blocked"
    OUTDATED = "outdated"
    EOL = "eol"


def _blocked(component: Component) -> str:
    return ", ".join(blockers_of(component))


def _outdated(component: Component) -> str:
    # What does not fit the cluster leaves a component as outdated as what does.
    newer = component["target"] or (component.get("newest", "") if _is_behind(component) else "")
    return f"{newer} is out" if newer else ""


def _is_behind(component: Component) -> bool:
    return any(each["id"] in _OUT_OF_REACH for each in component["findings"])


_OUT_OF_REACH: Final = frozenset({"KubernetesVersion", "VersionsSkipped"})
"""What is said of a component when newer versions exist and none of them can be next."""


def _past_its_life(component: Component) -> str:
    end = component.get("end_of_life")
    return f"since {end['day']}" if end and end["passed"] else ""


UNMET: Final[Mapping[FailOn, Callable[[Component], str]]] = {
    FailOn.BLOCKED: _blocked,
    FailOn.OUTDATED: _outdated,
    FailOn.EOL: _past_its_life,
}
"""What to say of a component that a condition is met by; empty for the others."""


def fail_on_option(command: F) -> F:
    """The option ``--fail-on``; its value arrives as *fail_on*."""
    return click.option(
        "--fail-on",
        metavar="|".join(FailOn),
        multiple=True,
        callback=_read,
        help="Exit with status 1 when a component is blocked, outdated or past its end of life; may be repeated.",
    )(command)


def _read(ctx: click.Context, _parameter: click.Parameter, given: Sequence[str]) -> tuple[FailOn, ...]:
    words = [word.strip() for each in given for word in each.split(",")]
    try:
        return tuple(dict.fromkeys(FailOn(word) for word in words))
    except ValueError:
        wrong = next(word for word in words if word not in set(FailOn))
        raise WrongUsage(f"--fail-on {wrong!r} is unknown; give {', '.join(FailOn)}.", ctx=ctx) from None


def judge(components: Iterable[Component], fail_on: Iterable[FailOn]) -> None:
    """Raises Failed, with one line that says why, when some component meets one of the conditions."""
    installed = [each for each in components if each["installed"]]
    reasons = []
    for condition in fail_on:
        met = [(each["name"], said) for each in installed if (said := UNMET[condition](each))]
        if met:
            shown = "; ".join(f"{name} ({said})" for name, said in met[:NAMES_TOLD])
            more = f"; and {len(met) - NAMES_TOLD} more" if len(met) > NAMES_TOLD else ""
            reasons.append(f"{len(met)} of {len(installed)} components {condition}: {shown}{more}.")
    if reasons:
        raise Failed(" ".join(reasons), remedy="Each finding above has its remedy.")
