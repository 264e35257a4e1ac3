"""What a scan says to the machines of a pipeline."""

from xml.etree.ElementTree import fromstring

import jsonschema

from addonry.cli.reports.junit import junit
from addonry.cli.reports.sarif import sarif
from tests.cli.components import WAIVED, a_component, a_finding, a_scan

TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
RULE = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "string"}, "shortDescription": TEXT, "fullDescription": TEXT, "help": TEXT},
}
SUPPRESSION = {
    "type": "object",
    "required": ["kind"],
    "properties": {
        "kind": {"enum": ["inSource", "external"]},
        "status": {"enum": ["accepted", "underReview", "rejected"]},
    },
}
RESULT = {
    "type": "object",
    "required": ["message"],
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": LEVEL,
        "message": TEXT,
        "locations": {"type": "array", "items": {"type": "object", "required": ["logicalLocations"]}},
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
        "suppressions": {"type": "array", "items": SUPPRESSION},
    },
}
DRIVER = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "semanticVersion": {"type": "string", "pattern": r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$"},
        "rules": {"type": "array", "items": RULE},
    },
}
RUN = {
    "type": "object",
    "required": ["tool"],
    "properties": {
        "tool": {"type": "object", "required": ["driver"], "properties": {"driver": DRIVER}},
        "results": {"type": "array", "items": RESULT},
        "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    },
}
LOG = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {"version": {"const": "2.1.0"}, "runs": {"type": "array", "items": RUN}},
}
"""What SARIF 2.1.0 requires of the members that are used, after its specification."""

SCAN = a_scan(
    a_component("good"),
    a_component("stuck", a_finding("ReleaseStuck", evidence=["revision 2"]), a_finding("EndOfLife", "warns")),
    a_component("other", a_finding("ReleaseStuck"), kind="Deployment"),
    a_component("agreed", a_finding("TwoOwners", waived=WAIVED)),
    a_component("theirs", in_catalog=False, newest=""),
)


def test_sarif_has_the_members_that_the_standard_requires():
    log = sarif(SCAN)
    jsonschema.validate(log, LOG)
    assert log["$schema"].endswith("/sarif-schema-2.1.0.json")


def test_sarif_has_a_rule_for_each_kind_of_finding_and_a_result_for_each_finding():
    [run] = sarif(SCAN)["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == ["ReleaseStuck", "EndOfLife", "TwoOwners"]
    assert [(each["ruleId"], each["level"]) for each in run["results"]] == [
        ("ReleaseStuck", "error"),
        ("EndOfLife", "warning"),
        ("ReleaseStuck", "error"),
        ("TwoOwners", "warning"),
    ]
    assert all(rules[each["ruleIndex"]] == each["ruleId"] for each in run["results"])
    places = [each["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] for each in run["results"]]
    assert places[0] == "kube-system/HelmRelease/stuck"
    assert places[2] == "kube-system/Deployment/other"
    assert ["suppressions" in each for each in run["results"]] == [False, False, False, True]


def test_a_fingerprint_outlives_versions_and_words_and_tells_components_apart():
    def prints(scan):
        return [each["partialFingerprints"]["addonryFinding/v1"] for each in sarif(scan)["runs"][0]["results"]]

    before = a_scan(a_component("a", a_finding("X")), a_component("b", a_finding("X")))
    after = a_scan(
        a_component("a", a_finding("X", message="Said otherwise."), version="2"), a_component("b", a_finding("X"))
    )
    assert prints(before) == prints(after)
    assert len(set(prints(before))) == 2


def test_junit_has_a_case_for_each_component():
    root = fromstring(junit(SCAN))
    [suite] = root
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "2", "1")
    cases = {case.get("name"): case for case in suite}
    failure = cases["stuck"].find("failure")
    assert failure.get("type") == "ReleaseStuck"
    assert "Mend it." in failure.text
    assert "seen: revision 2" in failure.text
    assert "EndOfLife" in cases["stuck"].find("system-out").text
    assert cases["theirs"].find("skipped") is not None
    assert list(cases["good"]) == []


def test_what_a_cluster_says_breaks_no_document():
    nasty = a_component("<&\x00\x1b[31m>", a_finding("X", message="\x07]]> & <b>", remedy=""))
    [case] = fromstring(junit(a_scan(nasty)))[0]
    assert case.get("name") == "<&[31m>"
    assert "\x1b" not in sarif(a_scan(nasty))["runs"][0]["results"][0]["message"]["text"]
