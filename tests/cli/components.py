"""Components as the API tells them, for what is printed of them."""

from typing import Any


def a_finding(check: str, severity: str = "blocks", **more: Any) -> dict[str, Any]:
    return {
        "id": check,
        "severity": severity,
        "message": f"{check} is the matter.",
        "remedy": "Mend it.",
        "evidence": [],
        "waived": None,
        **more,
    }


def a_component(name: str = "coredns", *findings: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in_catalog": True,
        "installed": True,
        "version": "1.0.0",
        "app_version": "1.0",
        "namespace": "kube-system",
        "instance": name,
        "kind": "",
        "owner": "Helm",
        "health": "Current",
        "can_upgrade": False,
        "target": "",
        "newest": "1.0.0",
        "can_roll_back": True,
        "end_of_life": None,
        "findings": list(findings),
        **more,
    }


def a_scan(*components: dict[str, Any]) -> dict[str, Any]:
    return {
        "kubernetes": "v1.32.10",
        "target": "",
        "nodes": 3,
        "denied": [],
        "findings": [],
        "namespace": "",
        "others": 0,
        "catalog_problems": {},
        "components": list(components),
    }


WAIVED = {"reason": "agreed with the team", "by": "alice", "until": "2027-01-01T00:00:00Z"}
ENDED = {"day": "2026-04-01", "passed": True, "successor": "another", "evidence": "https://example.com"}
