"""A short storm in every run of the tests; ``make chaos`` has the long ones."""

import random
from pathlib import Path

import pytest

from tests.chaos.storm import Storm


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_nothing_is_lost_doubled_or_done_by_two_in_a_storm(tmp_path: Path, postgres, capsys) -> None:
    """The promise no other tool makes: start something, kill anything, and it finishes or goes back, exactly once."""
    report = Storm(random.Random().randrange(1_000_000), tmp_path, postgres).run(seconds=12.0, tasks=6)
    with capsys.disabled():
        print(f"\n{report}")  # noqa: T201 - the seed and the counts are what one wants to see of it
    assert report.violations == [], str(report)
