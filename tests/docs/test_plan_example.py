"""The plan in the guide to changes is what a plan looks like."""

import pytest

from tests.docs.conftest import Reader
from tests.docs.markdown import ROOT, examples

GUIDE = ROOT / "docs" / "guides" / "upgrades.md"


@pytest.mark.slow
def test_the_plan_in_the_guide_is_printed_as_it_stands_there(simulated, tmp_path):
    """On the second cluster, where nobody has changed anything."""
    reader = Reader(tmp_path, {"ADDONRY_CHART_MIRROR": simulated["charts"]})
    reader.types(f"addonry clusters add prod --kubeconfig {simulated['clusters'][1]['kubeconfig']}")
    [shown] = examples(GUIDE, "text")
    printed = reader.types("addonry plan prod metrics-server")
    assert [line.rstrip() for line in printed.splitlines()] == shown.text.splitlines()
    [around] = [each for each in examples(GUIDE, "sh") if each.section == "Before an upgrade of Kubernetes"]
    [command] = around.commands
    assert "Nothing has to be upgraded for Kubernetes 1.37." not in reader.types(command), "told on stderr"
