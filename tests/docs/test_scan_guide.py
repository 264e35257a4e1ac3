"""The guide to scans: its tables are the code's, and its commands work word by word."""

import json
import re
from pathlib import Path
from xml.etree.ElementTree import parse

import pytest

from addonry.cli.commands.scan import COLUMNS
from addonry.cli.standing import FailOn, Standing
from tests.docs.conftest import Reader
from tests.docs.markdown import ROOT, examples, rows

GUIDE = ROOT / "docs" / "guides" / "scan.md"


def test_the_tables_name_every_column_state_and_condition():
    told = [row[0] for row in rows(GUIDE)]
    assert set(COLUMNS) - {"COMPONENT"} <= set(told)
    assert {f"`{each}`" for each in (*Standing, *FailOn)} <= set(told)
    assert {row[0] for row in rows(GUIDE) if row[0].isdecimal()} == {"0", "1", "2"}


@pytest.mark.slow
def test_the_guide_to_scans_works_word_by_word(tmp_path: Path):
    # No repository is there, so that none of the catalog's own is asked.
    reader = Reader(tmp_path, {"ADDONRY_CHART_MIRROR": "http://127.0.0.1:9/charts"})
    starting, looking, pipelines = examples(GUIDE, "sh")
    [start] = starting.commands
    with reader.leaves_running(start):
        platform, eks = (reader.types(line) for line in looking.commands)
        assert re.search(r"^external-dns .*BLOCKED TwoOwners$", platform, re.MULTILINE)
        assert re.search(r"^aws-vpc-cni .* EKS ", eks, re.MULTILINE)
        judged, as_junit, as_sarif = pipelines.commands
        assert reader.types(judged).endswith("not tonight\n")
        reader.types(f"{as_junit} && {as_sarif}")
        reader.types(judged.partition(" ||")[0], status=1)
    assert len(parse(tmp_path / "addons.xml").findall(".//testcase")) == 20
    assert json.loads((tmp_path / "addons.sarif").read_text())["version"] == "2.1.0"
