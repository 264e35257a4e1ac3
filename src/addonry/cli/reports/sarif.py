"""SARIF 2.1.0: each finding a result, each kind of finding a rule.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from addonry.cli.output import is_blocking, plain

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_PAGE: Final = "docs/reference/checks.md"


def sarif(told: Mapping[str, Any]) -> dict[str, Any]:
    """The whole log of one scan."""
    from importlib.metadata import version

    found = [(component, finding) for component in told["components"] for finding in component["findings"]]
    by_id = {finding["id"]: finding for _, finding in found}
    places = {check: place for place, check in enumerate(by_id)}
    driver = {
        "name": "Addonry",
        "semanticVersion": _semantic(version("addonry")),
        "rules": [_rule(finding) for finding in by_id.values()],
    }
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(component, finding, places[finding["id"]]) for component, finding in found],
                "properties": {"kubernetes": told["kubernetes"], "target": told["target"], "denied": told["denied"]},
            }
        ],
    }


def _rule(finding: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": finding["id"],
        "name": finding["id"],
        "shortDescription": {"text": _words(finding["id"])},
        "fullDescription": {"text": plain(finding["message"])},
        "help": {"text": f"{plain(finding['remedy'])} See {_PAGE}.".strip()},
        "defaultConfiguration": {"level": "error" if finding["severity"] == "blocks" else "warning"},
    }


def _result(component: Mapping[str, Any], finding: Mapping[str, Any], rule: int) -> dict[str, Any]:
    kind = component["kind"] or "HelmRelease"
    address = f"{component['namespace']}/{kind}/{component['instance']}"
    result: dict[str, Any] = {
        "ruleId": finding["id"],
        "ruleIndex": rule,
        "level": "error" if is_blocking(finding) else "warning",
        "message": {"text": plain(f"{finding['message']} {finding['remedy']}".strip())},
        "locations": [
            {"logicalLocations": [{"name": component["name"], "fullyQualifiedName": address, "kind": "resource"}]}
        ],
        # What stays the same from scan to scan while the trouble does: neither versions nor words.
        "partialFingerprints": {"addonryFinding/v1": _digest(finding["id"], address)},
        "properties": {"version": component["version"], "owner": component["owner"], "evidence": finding["evidence"]},
    }
    if waiver := finding["waived"]:
        reason = plain(f"{waiver['reason']} ({waiver['by']}, until {waiver['until']})")
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": reason}]
    return result


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _words(name: str) -> str:
    """``TwoOwners`` as ``Two owners``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize()


def _semantic(version: str) -> str:
    """The version of a Python package as SemVer has it: ``0.1.dev3+g1a2b`` is ``0.1.0-dev3``."""
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    release = ".".join([*(numbers[0].split(".") if numbers else []), "0", "0", "0"][:3])
    pre = re.search(r"(?:a|b|rc|dev)\d+", version)
    return f"{release}-{pre[0]}" if pre else release
