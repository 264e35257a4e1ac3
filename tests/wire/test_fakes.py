"""The stand-in for the lifecycle asks and answers like the real one."""

import inspect

import pytest

from addonry.lifecycle import Lifecycle
from addonry.lifecycle.access import Access
from addonry.lifecycle.service import Service
from tests.wire.fakes import FakeAccess, FakeLifecycle

METHODS = [name for name, member in vars(Lifecycle).items() if inspect.iscoroutinefunction(member)]


def parameters(kind: type, name: str) -> list[tuple[str, str, object]]:
    method = getattr(kind, name)
    assert inspect.iscoroutinefunction(method)
    signature = inspect.signature(method)
    return [(each.name, each.kind.name, each.default) for each in signature.parameters.values()]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_called_in_the_same_way_everywhere(name):
    """The exchanges prove nothing when the gateway calls the stand-in in a way that the service does not take."""
    assert parameters(FakeLifecycle, name) == parameters(Lifecycle, name) == parameters(Service, name)


@pytest.mark.parametrize(
    "name",
    [name for name, member in vars(FakeAccess).items() if inspect.iscoroutinefunction(member)],
)
def test_access_is_asked_for_in_the_same_way(name):
    assert parameters(FakeAccess, name) == parameters(Access, name)
