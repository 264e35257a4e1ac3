"""Where components stand, and what pipelines may fail on."""

import pytest
from click.testing import CliRunner

from addonry.cli.commands.scan import COLUMNS, table_of
from addonry.cli.errors import Failed
from addonry.cli.output import aligned
from addonry.cli.root import addonry
from addonry.cli.standing import FailOn, Standing, judge, standing_of
from tests.cli.components import ENDED, WAIVED, a_component, a_finding, a_scan

NEWER = {"can_upgrade": True, "target": "1.1.0", "newest": "2.0.0"}


@pytest.mark.parametrize(
    ("component", "standing"),
    [
        (a_component(), Standing.UP_TO_DATE),
        (a_component(**NEWER), Standing.READY),
        (a_component("x", a_finding("ReleaseStuck"), **NEWER), Standing.BLOCKED),
        (a_component("x", a_finding("NoRollback", "warns"), **NEWER), Standing.READY),
        (a_component("x", a_finding("TwoOwners", waived=WAIVED), **NEWER), Standing.READY),
        (a_component(in_catalog=False, newest=""), Standing.UNKNOWN),
        (a_component(newest=""), Standing.UNKNOWN),
        (a_component("x", a_finding("KubernetesVersion", "warns"), newest="2.0.0"), Standing.BEHIND),
        (a_component("x", a_finding("VersionsSkipped", "warns"), newest="2.0.0"), Standing.BEHIND),
        (a_component("x", a_finding("CatalogUnavailable", "warns")), Standing.UNKNOWN),
    ],
)
def test_each_component_stands_somewhere(component, standing):
    assert standing_of(component) is standing


@pytest.mark.parametrize(
    ("component", "met"),
    [
        (a_component(), set()),
        (a_component(in_catalog=False, newest=""), set()),
        (a_component("x", a_finding("ReleaseStuck")), {FailOn.BLOCKED}),
        (a_component("x", a_finding("ReleaseStuck", waived=WAIVED)), set()),
        (a_component(**NEWER), {FailOn.OUTDATED}),
        (a_component("x", a_finding("KubernetesVersion", "warns"), newest="2.0.0"), {FailOn.OUTDATED}),
        (a_component(end_of_life=ENDED), {FailOn.EOL}),
        (a_component(end_of_life={**ENDED, "passed": False}), set()),
        (a_component(installed=False, **NEWER), set()),
    ],
)
def test_a_pipeline_fails_on_what_it_asked_for_and_nothing_else(component, met):
    failing = set()
    for condition in FailOn:
        try:
            judge([component], [condition])
        except Failed:
            failing.add(condition)
    assert failing == met


def test_one_line_says_why_it_failed():
    many = [a_component(f"c{number}", **NEWER) for number in range(7)]
    with pytest.raises(Failed) as failed:
        judge([*many, a_component("old", end_of_life=ENDED)], [FailOn.OUTDATED, FailOn.EOL])
    assert failed.value.exit_code == 1
    assert "\n" not in failed.value.message
    assert "7 of 8 components outdated: c0 (1.1.0 is out);" in failed.value.message
    assert "and 2 more." in failed.value.message
    assert "1 of 8 components eol: old (since 2026-04-01)." in failed.value.message


@pytest.mark.parametrize("command", [["scan"], ["status", "prod"]])
def test_an_unknown_condition_is_wrong_usage(command):
    done = CliRunner().invoke(addonry, [*command, "--fail-on", "blocked,late"])
    assert done.exit_code == 2
    assert "'late' is unknown; give blocked, outdated, eol" in done.output


def test_the_table_tells_what_fits_what_is_newest_and_the_way_back_in_120_columns():
    blocked = a_component("kube-prometheus-stack", a_finding("ManagedElsewhere"), owner="Argo CD", end_of_life=ENDED)
    table = table_of(a_scan(a_component(**NEWER), a_component("old", can_roll_back=False), blocked))
    assert table.columns == COLUMNS
    assert table.rows[0][3:5] == ("1.1.0", "2.0.0")
    assert table.rows[1][3:] == ("1.0.0", "", "", "no", "UP TO DATE")
    assert table.rows[2][5:] == ("2026-04-01", "yes", "BLOCKED ManagedElsewhere")
    assert max(map(len, aligned(table.columns, table.rows))) <= 120


def test_the_wide_table_says_where_and_how_it_is():
    table = table_of(a_scan(a_component()), wide=True)
    assert dict(zip(table.columns, table.rows[0], strict=True))["NAMESPACE"] == "kube-system"
    assert table.columns[-1] == "STATE"
