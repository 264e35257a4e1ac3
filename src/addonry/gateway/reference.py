"""The pages of ``docs/reference`` that are written from the declarations: operations and error codes.

``python -m addonry.gateway.reference docs/reference`` writes them; a test compares.
"""

import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Final

from addonry.gateway import vocabulary
from addonry.gateway.errors import REFUSALS, WIRE, WireError
from addonry.gateway.operation import Operation
from addonry.gateway.operations import OPERATIONS, OWN
from addonry.gateway.operations.bodies import Policy
from addonry.gateway.operations.plans import Action
from addonry.model.tasks import Edits


def operations_page() -> str:
    """Every operation: those of ACK, and Addonry's own."""
    published = [each for each in OPERATIONS if not each.path.startswith(OWN)]
    own = [each for each in OPERATIONS if each.path.startswith(OWN)]
    return "\n".join(
        [
            "# Operations",
            "",
            "Written by `python -m addonry.gateway.reference docs/reference`; a test compares.",
            "",
            "Every request but `GET /healthz` and `GET /openapi.json` is [signed](signatures.md), with `ACS3-HMAC-SHA256` or in",
            "the legacy style, and carries `x-acs-version: 2015-12-15`; the official SDKs do both. Answers are JSON, or XML with",
            "`Accept: application/xml` or `Format=XML`. `GET /openapi.json` has the members of every body and answer.",
            "",
            "The column *action* is what a [policy](policies.md) allows or denies; where a policy written for ACK may hold an",
            "older name, that one counts as well. An operation with a cluster in its path can be limited to clusters.",
            "",
            "## Of ACK's API",
            "",
            *_table(published),
            "",
            "CreateCluster registers a cluster that exists: `cluster_type` is `ExternalKubernetes`, and the kubeconfig",
            "travels as text or base64 in the member `kubeconfig`, or in `user_data`, which the official SDKs can send.",
            "Other cluster types are refused with `InvalidParameter`: Addonry makes no machines. DeleteCluster forgets the",
            "cluster and leaves everything on it as it is. DescribeExternalAgent answers a manifest with an account for",
            "Addonry, because no agent is needed. DescribeClusterUserKubeconfig hands out the kubeconfig that the cluster was",
            "registered with, and refuses `TemporaryDurationMinutes`, which nobody but the cluster could keep.",
            "",
            "RunClusterCheck takes the types `ClusterUpgrade` and `MasterUpgrade` (`options.version`, else the next minor: does",
            "what is installed run there?) and, of our own, `AddonUpgrade` (`target` a component, `options.version`). The types",
            "about machines, `NodePoolUpgrade` and `ClusterMigrate`, are refused with `InvalidParameter`.",
            "",
            "A task is paused and canceled as a whole, also when it is asked for by a component. The answers come at once;",
            "poll DescribeTaskInfo for `paused`, `running` or `canceled`. Asking twice is no error.",
            "",
            f"`policy` of UpgradeClusterAddons is {_or(Policy)}. With `canary` the task is `paused` after the first pods of",
            "the new version, goes on with ResumeTask and back with CancelTask. Bodies may hold more than ACK's members:",
            "",
            *_members(),
            "",
            "DescribeTaskInfo tells `percent`, `seconds_left`, the reason of a `stall` and a `wish` that is not granted yet",
            "also in `outputs`, and the name of a stage in the stage's `outputs`, which the official SDKs hand on.",
            "",
            "## Addonry's own",
            "",
            *_table(own),
            "",
        ]
    )


def errors_page() -> str:
    """Every error code with its status and sense."""
    domain = {(row.code, row.status, row.sense): row for row in WIRE.values() if row.status != 500}
    return "\n".join(
        [
            "# Error codes",
            "",
            "Written by `python -m addonry.gateway.reference docs/reference`; a test compares.",
            "",
            "The body of every error is JSON in both of ACK's spellings (`Code`, `Message`, `RequestId` and `code`,",
            "`message`, `requestId`); the message ends with what to do next. `NotFound` is in the code or message of a",
            "404 only, and a 5xx is never the caller's fault.",
            "",
            "## Of an operation",
            "",
            *_codes(domain.values()),
            "",
            "## Of the gateway, before an operation runs",
            "",
            *_codes(REFUSALS.values()),
            "",
            "## Of a task that failed",
            "",
            "The member `error` of a task, and `tasks.error` of the upgrade status. A reason without a row here is told",
            f"under its own name: `{vocabulary.TROUBLE_PREFIX}.VersionChanged`.",
            "",
            "| code | reasons |",
            "|---|---|",
            *_troubles(),
            "",
        ]
    )


PAGES: Final = {"operations.md": operations_page, "errors.md": errors_page}


def _table(operations: Iterable[Operation]) -> list[str]:
    return [
        "| operation | method and path | action | what it does |",
        "|---|---|---|---|",
        *(
            f"| {each.name} | `{each.method} {each.path}` | `{each.actions[0]}` | {_markdown(each.summary)} |"
            for each in operations
        ),
    ]


def _members() -> list[str]:
    configures = "ConfigureComponents, PlanChanges"
    rows = {
        "canary": (
            f"InstallClusterAddons, UpgradeClusterAddons, {configures}",
            "true is the policy `canary`, which ACK has for upgrades only",
        ),
        "edits": (
            f"UpgradeClusterAddons, {configures}",
            f"what becomes of fields that others have set: {_or(Edits)}; without it, `overwrite`",
        ),
        "unsafe_crds": (
            f"InstallClusterAddons, UpgradeClusterAddons, {configures}",
            "true lets CRDs change in a way that may break what is stored in them",
        ),
        "action": (
            "PlanChanges",
            f"{_or(Action)}; without it, what is installed is upgraded and the rest installed",
        ),
    }
    lines = [f"| `{name}` | {of} | {means} |" for name, (of, means) in rows.items()]
    return ["| member | of | means |", "|---|---|---|", *lines]


def _or(words: type[StrEnum]) -> str:
    *others, last = (f"`{word}`" for word in words)
    return f"{', '.join(others)} or {last}"


def _troubles() -> list[str]:
    reasons: dict[str, list[str]] = {}
    for reason, code in vocabulary.TROUBLE.items():
        reasons.setdefault(code, []).append(f"`{reason}`")
    return [f"| `{vocabulary.TROUBLE_PREFIX}.{code}` | {', '.join(of)} |" for code, of in reasons.items()]


def _markdown(docstring: str) -> str:
    return docstring.replace("``", "`")


def _codes(rows: Iterable[WireError]) -> list[str]:
    return ["| code | status | sense |", "|---|---|---|", *(f"| `{r.code}` | {r.status} | {r.sense} |" for r in rows)]


def main(directory: str) -> None:
    """Write the pages into *directory*."""
    for name, page in PAGES.items():
        Path(directory, name).write_text(page())


if __name__ == "__main__":
    main(sys.argv[1])
