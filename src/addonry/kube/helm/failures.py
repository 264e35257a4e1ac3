"""What a failure of Helm means in our words.

Nearly every failure of Helm is one error with prose, so the kind is told from the words where the number does not say
it. A wrong guess costs a worse sentence and no more: what was done is always read back from the cluster. To teach it a
new sentence, add a row to SIGNS.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from addonry.kube.helm.runner import (
    MEMORY_LIMIT,
    ChildDied,
    ChildLate,
    ChildNotStarted,
    ChildRefused,
    ChildTrouble,
    scrub,
)
from addonry.model.errors import (
    AddonryError,
    ClusterRefused,
    ClusterRejected,
    ClusterUnreachable,
    FieldConflict,
    HelmFailed,
    RenderFailed,
    ValuesInvalid,
)

# Error codes of the library; facts in helm_python/errors.py.
_CHART_LOAD, _CHART_INVALID, _VALUES, _RENDER, _KUBE = -20, -21, -22, -23, -60

_RENDERING: Final = frozenset({"render", "template", "preview"})
_OFFLINE: Final = frozenset({"render", "template"})

_LONGEST: Final = 600


@dataclass(frozen=True, slots=True)
class Sign:
    """Words in Helm's prose, the error they stand for, and what to do about it where the error has no remedy itself."""

    words: re.Pattern[str]
    kind: type[ClusterRefused | ClusterUnreachable | RenderFailed | ClusterRejected]
    remedy: str | None = None


def _words(*words: str) -> re.Pattern[str]:
    return re.compile("|".join(words), re.IGNORECASE)


SIGNS: Final = (
    # Before the words of a broken connection, which may be the webhook's own: asking again would not help.
    Sign(_words("failed calling webhook"), ClusterRejected, "Repair the admission webhook that it names."),
    Sign(
        _words(
            *("connection refused", "connection reset", "no such host", "i/o timeout", "TLS handshake", ": EOF"),
            *("no route to host", "unexpected EOF", r"Client\.Timeout", "cluster unreachable", "server misbehaving"),
            *("http2: ", "too many requests", "currently unable to handle the request", "apiserver not ready"),
        ),
        ClusterUnreachable,
    ),
    Sign(
        _words("is forbidden: User", "Unauthorized", "must be logged in", "cannot impersonate", "x509:"), ClusterRefused
    ),
    Sign(_words("requires kubeVersion"), RenderFailed, "Choose a version of the chart that runs on this Kubernetes."),
    Sign(
        _words(
            *("execution error at", "parse error at", r"template: \S+:\d+", "render error", "YAML parse error"),
            "nil pointer evaluating",
        ),
        RenderFailed,
        "Correct the values, or choose another version.",
    ),
    Sign(
        _words(
            *("is invalid: ", "admission webhook .* denied", "denied the request", "exceeded quota", "unknown field"),
            *("field is immutable", "no matches for kind", "strict decoding error", "is forbidden: "),
        ),
        ClusterRejected,
        "Correct the values, or choose another version of the chart.",
    ),
)
"""Asked in this order; the first that is found names the kind."""

_SCHEMA: Final = _words("don't meet the specifications of the schema", r"values\.schema\.json")
_CONFLICTING: Final = re.compile(r"conflicts? with \"([^\"]+)\"[^:]*:\s*((?:\s*-?\s*\.[^\s,]+)+)")

_SECRET_KEY: Final = re.compile(r"pass|secret|token|credential|private|api_?key|auth", re.IGNORECASE)
_SHORTEST_SECRET: Final = 4


def failure(trouble: ChildTrouble, *, request: Mapping[str, Any], seconds: float) -> AddonryError:
    """The error that stands for what a child came to."""
    what = _what(request)
    match trouble:
        case ChildRefused(code=code, message=message):
            return _told(code, _clean(message, request), what)
        case ChildNotStarted(reason=reason):
            return HelmFailed(
                f"Helm could not be started for {what}: {reason}.",
                remedy="Check that the data directory can be written and that the machine has memory and disk left.",
            )
        case ChildLate():
            return _late(request, what, seconds)
        case ChildDied(out_of_memory=True):
            return _broken(request)(
                f"Helm needed more than {MEMORY_LIMIT >> 20} MiB for {what} and was stopped; "
                "a template of the chart probably calls itself without end.",
                remedy="Choose another version of the chart, or tell its maintainers.",
            )
        case ChildDied(status=status, message=message):
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            words = f": {_clean(message, request)}" if message else "."
            return HelmFailed(f"Helm {how} during {what}{words}", remedy="Ask for it again; report it if it stays.")
        case _:
            return HelmFailed(f"Helm failed during {what}.")


def failure_of_command(error: str, *, request: Mapping[str, Any]) -> AddonryError:
    """The error that stands for what a ``helm`` command printed before it failed."""
    rows = (row for row in error.splitlines() if not row.startswith(("WARNING:", "level=WARN", "W1", "I1")))
    message = "\n".join(rows).removeprefix("Error: ")
    return _told(0, _clean(scrub(message, request), request), _what(request))


def _told(code: int, message: str, what: str) -> AddonryError:
    if code == _VALUES or _SCHEMA.search(message):
        return ValuesInvalid(_schema_problems(message))
    if code in {_CHART_LOAD, _CHART_INVALID, _RENDER}:
        return RenderFailed(
            f"The chart does not render: {message}", remedy="Correct the values, or choose another version."
        )
    if conflicts := _conflicts(message):
        return FieldConflict(conflicts)
    for sign in SIGNS:
        if sign.words.search(message):
            return sign.kind(f"Helm could not finish {what}: {message}", remedy=sign.remedy)
    if code == _KUBE:
        return ClusterUnreachable(f"Helm could not reach the cluster for {what}: {message}")
    return HelmFailed(f"Helm failed during {what}: {message}", remedy="Correct what Helm names and ask for it again.")


def _late(request: Mapping[str, Any], what: str, seconds: float) -> AddonryError:
    if request["operation"] in _OFFLINE:
        return RenderFailed(
            f"Rendering the chart took longer than {seconds:.0f} s and was stopped.",
            remedy="Choose another version of the chart, or tell its maintainers.",
        )
    # Helm's own timeout is shorter and ends what it can end: past the deadline it hangs on a request.
    return ClusterUnreachable(f"Helm was stopped after {seconds:.0f} s during {what}: the API server did not answer.")


def _broken(request: Mapping[str, Any]) -> type[RenderFailed | HelmFailed]:
    return RenderFailed if request["operation"] in _RENDERING else HelmFailed


def _what(request: Mapping[str, Any]) -> str:
    release = request.get("release", "")
    return f"{request['operation']} of release {release}" if release else str(request["operation"])


def _conflicts(message: str) -> tuple[tuple[str, str], ...]:
    """Pairs of field and manager in ``conflict with "kubectl" using apps/v1: .spec.replicas``."""
    if "conflict" not in message:
        return ()
    found = [
        (field.lstrip("- "), manager)
        for manager, fields in _CONFLICTING.findall(message)
        for field in fields.split()
        if field != "-"
    ]
    return tuple(found)


def _schema_problems(message: str) -> tuple[str, ...]:
    """One sentence for each ``- at '/path': what is wrong``, without the value that is wrong: it may be a secret."""
    problems = []
    for row in message.splitlines():
        at, _, wrong = row.strip().removeprefix("- at ").partition(": ")
        if row.strip().startswith("- at ") and wrong:
            path = at.strip("'").strip("/").replace("/", ".") or "the values"
            problems.append(f"{path}: {_without_value(wrong)}")
    return tuple(problems) or (_without_value(message),)


def _without_value(wrong: str) -> str:
    return re.sub(r"^'.*' (does not match|is not valid)", r"the value \1", wrong)


def _clean(message: str, request: Mapping[str, Any]) -> str:
    """*message* on one line of readable length, without values that look secret by their key."""
    for secret in _secret_values(request.get("values") or {}):
        message = message.replace(secret, "***")
    kept_rows = "\n" if "- at '" in message else " "
    message = kept_rows.join(row.strip() for row in message.splitlines() if row.strip())
    return message if len(message) <= _LONGEST else message[:_LONGEST] + " ..."


def _secret_values(values: Any, *, under_secret: bool = False) -> set[str]:
    match values:
        case Mapping():
            return set().union(
                *(
                    _secret_values(value, under_secret=under_secret or bool(_SECRET_KEY.search(str(key))))
                    for key, value in values.items()
                )
            )
        case list() | tuple():
            return set().union(*(_secret_values(value, under_secret=under_secret) for value in values))
        case str() if under_secret and len(values) >= _SHORTEST_SECRET:
            return {values}
        case _:
            return set()
