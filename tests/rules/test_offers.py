"""What is known of a version and a Kubernetes beyond the chart's own word."""

import pytest

from addonry.model.catalog import Counted, KubernetesRange, VersionScope
from addonry.rules.offers import fits, image_tag, untested
from tests.builders import an_entry, an_offer


def a_range(kubernetes: str, versions: str = "", page: str = "a", of: Counted = Counted.CHART) -> KubernetesRange:
    return KubernetesRange(VersionScope(versions, of), kubernetes, f"https://example.test/{page}", is_tested=True)


@pytest.mark.parametrize(
    ("ranges", "told"),
    [
        ((), ""),
        ((a_range(">=1.30-0"),), ""),
        ((a_range("<1.30-0"),), "<1.30-0 (https://example.test/a)"),
        ((a_range("<1.30-0"), a_range(">=1.30-0", page="b")), ""),
        (
            (a_range("<1.30-0"), a_range("<1.35-0", page="b")),
            "<1.30-0 (https://example.test/a); <1.35-0 (https://example.test/b)",
        ),
        ((a_range("<1.30-0", ">=2"),), ""),
    ],
    ids=["nobody", "this one", "others", "one of two", "neither of two", "another version"],
)
def test_what_was_tested_is_told_and_takes_no_version_away(ranges, told):
    """Lists of compatibility say what was tested; read as limits they would block what works."""
    entry, offer = an_entry(ranges=ranges), an_offer("1.2.0")
    assert untested(offer, "v1.36.2", entry) == told
    assert fits(offer, "v1.36.2", entry)


def test_a_chart_that_tells_no_application_version_makes_no_tag():
    """Its pattern would leave a bare v, which some registry may even have."""
    assert image_tag(an_offer("1.0.0", app_version=""), an_entry(tag="v{app_version}")) == ""
