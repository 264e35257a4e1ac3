"""What is declared is documented."""

from pathlib import Path

import pytest

from addonry.gateway.operations import OPERATIONS, PUBLISHED, UNSERVED
from addonry.gateway.reference import OWN, PAGES

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_what_the_declarations_say(name):
    """Write it anew with ``python -m addonry.gateway.reference docs/reference``."""
    assert (REFERENCE / name).read_text() == PAGES[name]()


def test_every_operation_says_what_it_does():
    assert all(each.summary.endswith(".") for each in OPERATIONS)


def test_the_published_operations_are_served_where_they_are_published():
    """A typing error in a path would make an operation both served and not."""
    where = {each.name: (each.method, each.path.count("/")) for each in PUBLISHED}
    assert len(PUBLISHED) == len(where) == 47
    served = [each for each in OPERATIONS if not each.path.startswith(OWN)]
    assert all(where[each.name] == (each.method, each.path.count("/")) for each in served)
    assert len(served) + len(UNSERVED) == 47


def test_names_are_used_once():
    names = [each.name for each in OPERATIONS]
    assert len(names) == len(set(names))
