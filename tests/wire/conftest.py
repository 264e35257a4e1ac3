import pytest
from hypothesis import settings

from tests.wire.driver import Client
from tests.wire.fakes import FakeLifecycle, a_lifecycle

# A deadline is an assertion on wall time, and would fail on a busy machine.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


@pytest.fixture
def lifecycle() -> FakeLifecycle:
    return a_lifecycle()


@pytest.fixture
def client(lifecycle: FakeLifecycle) -> Client:
    return Client(lifecycle)
