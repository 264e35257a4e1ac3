"""Each of our words has its published one."""

import inspect
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from addonry.gateway import vocabulary
from addonry.model.clusters import Reach
from addonry.model.tasks import LIVE, EventLevel, Status, TaskKind, Trouble, Wish
from addonry.rules import task_moves
from addonry.rules.health import FATAL, refusal
from tests.wire.fakes import a_change

STATUSES = {"Upgrading", "Success", "Failed", "Running", "Paused", "Canceled"}
STATES = {"running", "paused", "success", "fail", "canceled"}
INSTANCES = {"active", "updating", "upgrading", "deleting", "initial"}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("kind", TaskKind)
def test_every_status_of_every_kind_has_its_published_words(status, kind):
    change = a_change("coredns", kind=kind, status=status)
    assert vocabulary.status_of(change) in STATUSES
    assert vocabulary.STATUS[status].state in STATES
    assert vocabulary.STATUS[status].result in {"initial", "success", "failed"}
    assert vocabulary.instance_state(change) in INSTANCES
    assert vocabulary.KIND[kind].task_type.startswith("cluster_")


def test_the_tables_have_a_row_for_everything_and_none_for_nothing():
    """A status without a row would be a KeyError in every answer that mentions the task."""
    assert set(vocabulary.STATUS) == set(Status)
    assert set(vocabulary.KIND) == set(TaskKind)


def test_a_task_ends_in_a_word_that_clients_stop_at():
    """Terraform polls for success, fail and failed, and for Success and Failed."""
    for status in set(Status) - LIVE:
        assert vocabulary.STATUS[status].state in {"success", "fail", "canceled"}
        assert vocabulary.status_of(a_change("a", status=status)) in {"Success", "Failed", "Canceled"}


@pytest.mark.parametrize(
    ("kind", "status", "word", "instance"),
    [
        (TaskKind.INSTALL, Status.QUEUED, "Running", "initial"),
        (TaskKind.INSTALL, Status.RUNNING, "Running", "initial"),
        (TaskKind.UPGRADE, Status.QUEUED, "Upgrading", "upgrading"),
        (TaskKind.UPGRADE, Status.RUNNING, "Upgrading", "upgrading"),
        (TaskKind.UPGRADE, Status.SUCCESS, "Success", "active"),
        (TaskKind.INSTALL, Status.FAILED, "Failed", "active"),
        (TaskKind.UPGRADE, Status.PAUSED, "Paused", "upgrading"),
        (TaskKind.UPGRADE, Status.CANCELED, "Canceled", "active"),
        (TaskKind.CONFIGURE, Status.RUNNING, "Running", "updating"),
        (TaskKind.CONFIGURE, Status.PAUSED, "Paused", "updating"),
        (TaskKind.CONFIGURE, Status.SUCCESS, "Success", "active"),
        (TaskKind.UNINSTALL, Status.RUNNING, "Running", "deleting"),
        (TaskKind.UNINSTALL, Status.SUCCESS, "Success", "active"),
    ],
)
def test_the_vocabularies_stand_side_by_side(kind, status, word, instance):
    change = a_change("a", kind=kind, status=status)
    assert (vocabulary.status_of(change), vocabulary.instance_state(change)) == (word, instance)


def test_every_reach_and_level_has_its_word():
    assert {vocabulary.CLUSTER_STATE[reach] for reach in Reach} == {"initial", "running", "unavailable"}
    assert {vocabulary.TASK_EVENT_LEVEL[level] for level in EventLevel} == {"Normal", "Warning"}


def test_a_filter_finds_what_it_names():
    for status in Status:
        assert status in vocabulary.statuses_in(vocabulary.STATUS[status].state)
    assert vocabulary.statuses_in("running") == (Status.QUEUED, Status.RUNNING)
    assert vocabulary.statuses_in("cancelled") == (Status.CANCELED,)
    assert vocabulary.statuses_in("unheard-of") == ()
    for kind in TaskKind:
        assert vocabulary.KIND_FILTER[vocabulary.KIND[kind].task_type] is kind
        assert vocabulary.event_type(kind) == vocabulary.KIND[kind].task_type
    assert vocabulary.event_type("something else") == "cluster_modify"


def test_troubles_have_published_codes_where_there_are_some():
    assert vocabulary.trouble_code(Trouble("CrashLoopBackOff", "x")) == "AddonOperationFailed.WaitForAddonReadyTimeout"
    assert vocabulary.trouble_code(Trouble("ClusterUnreachable", "x")) == "AddonOperationFailed.APIServerUnreachable"
    assert vocabulary.trouble_code(Trouble("CrdUnsafe", "x")) == "AddonOperationFailed.CrdUnsafe"


def test_every_stall_of_a_rollout_has_a_published_code():
    assert set(vocabulary.TROUBLE) >= FATAL
    assert vocabulary.TROUBLE[refusal("exceeded quota: pods")] == vocabulary.NOT_READY
    for said in ('failed calling webhook "x"', 'admission webhook "x" denied the request'):
        assert vocabulary.TROUBLE[refusal(said)] == vocabulary.WEBHOOK
    # What is told of itself is one of ours; the published ones come from the page on troubleshooting components.
    published = {"APIServerUnreachable", "UserForbidden", "ResourceExists", "ErrApplyingPatch", "ResourceNotFound"}
    published |= {"ReleaseNameInUse", vocabulary.NOT_READY, vocabulary.WEBHOOK}
    assert set(vocabulary.TROUBLE.values()) <= published


def test_what_a_move_tells_has_an_action_of_its_own():
    """Every reason that the rules tell an event with is one that a reader of a task's events may look for."""
    source = inspect.getsource(task_moves)
    reasons = set(re.findall(r'_event\(\w+, \w+, "(\w+)"', source)) | {f"{wish.capitalize()}Asked" for wish in Wish}
    assert {"Started", "Paused", "Canceled", "Stalled", "PauseAsked"} <= reasons
    assert reasons <= set(vocabulary.ACTION)


def test_times_are_utc_in_each_published_format():
    at = datetime(2022, 8, 3, 10, 12, 3, 482_000, tzinfo=timezone(timedelta(hours=8)))
    assert vocabulary.moment(at) == "2022-08-03T02:12:03Z"
    assert vocabulary.exact_moment(at) == "2022-08-03T02:12:03.482Z"
    assert vocabulary.stage_moment(at) == "2022-08-03 02:12:03"
    assert vocabulary.unix_ms(datetime(2022, 11, 28, 21, 0, 29, 286_000, tzinfo=UTC)) == "1669669229286"
    assert (vocabulary.moment(None), vocabulary.stage_moment(None)) == ("", "")
    assert vocabulary.moment(None, never=vocabulary.ZERO_TIME) == "0001-01-01T00:00:00Z"
