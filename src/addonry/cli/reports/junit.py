"""JUnit XML: each component a test case. It fails when something blocks its change, and is skipped when nothing is known.

The elements are those that CI systems read alike: https://github.com/testmoapp/junitxml
"""

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from addonry.cli.output import is_blocking, plain
from addonry.cli.standing import Standing, standing_of


def junit(told: Mapping[str, Any]) -> str:
    """The whole document of one scan."""
    cases = [_case(component) for component in told["components"]]
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": "0",
        "skipped": str(sum(case.find("skipped") is not None for case in cases)),
    }
    root = Element("testsuites", {"name": "addonry scan", **counts})
    suite = SubElement(root, "testsuite", {"name": plain(f"Kubernetes {told['kubernetes']}"), **counts})
    suite.extend(cases)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _case(component: Mapping[str, Any]) -> Element:
    case = Element("testcase", name=plain(component["name"]), classname=plain(component["namespace"] or "cluster"))
    blocking = [each for each in component["findings"] if is_blocking(each)]
    if blocking:
        first = blocking[0]
        failure = SubElement(case, "failure", type=first["id"], message=plain(first["message"]))
        failure.text = "\n".join(_lines(each) for each in blocking)
    elif standing_of(component) is Standing.UNKNOWN:
        SubElement(case, "skipped", message="No catalog that could be read knows its versions.")
    rest = [each for each in component["findings"] if each not in blocking]
    if rest:
        SubElement(case, "system-out").text = "\n".join(_lines(each) for each in rest)
    return case


def _lines(finding: Mapping[str, Any]) -> str:
    seen = [f"seen: {each}" for each in finding["evidence"]]
    return "\n".join(
        plain(line) for line in (f"{finding['id']}: {finding['message']}", finding["remedy"], *seen) if line
    )
