"""What is declared is documented, and what is published is declared."""

import re
from pathlib import Path

import pytest

from addonry.gateway.operations import OPERATIONS, OWN
from addonry.gateway.reference import PAGES
from tests.wire.published import PUBLISHED

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_what_the_declarations_say(name):
    """Write it anew with ``python -m addonry.gateway.reference docs/reference``."""
    assert (REFERENCE / name).read_text() == PAGES[name]()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_an_operation_says_what_it_does_and_what_a_policy_calls_it(operation):
    assert operation.summary.endswith(".")
    assert all(action.partition(":")[0] in {"cs", "ram", "sts", "actiontrail"} for action in operation.actions)
    assert len(set(operation.actions)) == len(operation.actions)


def test_all_published_operations_are_served_where_they_are_published():
    served = {(each.name, each.method, shape(each.path)) for each in OPERATIONS if not each.path.startswith(OWN)}
    assert len(PUBLISHED) == 47
    assert served == {(name, method, shape(path)) for name, method, path in PUBLISHED}


def shape(path):
    """The path without the names of its parameters, which ACK spells in many ways."""
    return re.sub(r"{\w+}", "{}", path)


def test_names_are_used_once():
    names = [each.name for each in OPERATIONS]
    assert len(names) == len(set(names))
