"""A scan of each population says what it said before; `python -m tests.golden` writes the texts anew."""

import pytest

from addonry.simulator.populations import names
from tests.golden.scans import HERE, populations, scan


@pytest.fixture(scope="module")
def simulator():
    with populations() as running:
        yield running


@pytest.mark.parametrize("name", names())
def test_a_scan_says_what_its_text_says(simulator, name, tmp_path):
    assert scan(simulator, name, tmp_path) == (HERE / f"{name}.txt").read_text()


def test_there_is_no_text_without_a_population():
    assert {file.stem for file in HERE.glob("*.txt")} == set(names())
