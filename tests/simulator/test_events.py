"""Events, and the two API groups that show them."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from addonry.simulator import SteppedClock
from addonry.simulator.life.events import EVENTS, Recorder, Reporter
from addonry.simulator.life.world import World
from addonry.simulator.resources import Served
from addonry.simulator.storage import Store

CORE = "/api/v1/namespaces/default/events"
NEWER = "/apis/events.k8s.io/v1/namespaces/default/events"
CONTROLLER = Reporter("some-controller")
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def event(name="hello", **members):
    about = {"kind": "Pod", "namespace": "default", "name": "web", "apiVersion": "v1"}
    return {
        "metadata": {"name": name, "namespace": "default"},
        "regarding": about,
        "note": "It was said.",
        "reason": "Said",
        "action": "Saying",
        "type": "Normal",
        "eventTime": "2026-11-23T08:38:20.500000Z",
        "reportingController": "example.com/speaker",
        "reportingInstance": "speaker-1",
        **members,
    }


def test_what_is_written_in_one_group_is_read_in_the_other(client):
    made = client.post(NEWER, event())
    assert (made["apiVersion"], made["note"], made["regarding"]["name"]) == ("events.k8s.io/v1", "It was said.", "web")
    assert (made["deprecatedFirstTimestamp"], made["deprecatedSource"]) == (None, {})
    kept = client.get(f"{CORE}/hello")
    assert (kept["apiVersion"], kept["message"], kept["involvedObject"]["name"]) == ("v1", "It was said.", "web")
    assert (kept["reportingComponent"], kept["source"], kept["firstTimestamp"]) == ("example.com/speaker", {}, None)
    [owner] = kept["metadata"]["managedFields"]
    assert owner["apiVersion"] == "events.k8s.io/v1"
    assert {"f:note", "f:regarding", "f:eventTime"} <= owner["fieldsV1"].keys()
    assert not {"f:deprecatedSource", "f:deprecatedFirstTimestamp"} & owner["fieldsV1"].keys()

    client.merge(f"{CORE}/hello", {"count": 3, "source": {"component": "old"}})
    [listed] = client.get(NEWER)["items"]
    assert (listed["deprecatedCount"], listed["deprecatedSource"]) == (3, {"component": "old"})
    client.merge(f"{NEWER}/hello", {"metadata": {"labels": {"seen": "yes"}}})
    client.delete(f"{NEWER}/hello")
    assert client("GET", f"{CORE}/hello").status == 404


def test_a_watch_of_one_group_sees_what_is_written_in_the_other(client):
    version = client.get(NEWER)["metadata"]["resourceVersion"]
    client.post(CORE, {"metadata": {"name": "old"}, "involvedObject": {"namespace": "default"}, "message": "As ever."})
    request = urllib.request.Request(
        f"{client.cluster.server}{NEWER}?watch=1&resourceVersion={version}&fieldSelector=metadata.name%3Dold",
        headers={"Authorization": f"Bearer {client.cluster.token}"},
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        told = json.loads(response.readline())
    assert (told["type"], told["object"]["apiVersion"], told["object"]["note"]) == (
        "ADDED",
        "events.k8s.io/v1",
        "As ever.",
    )
    assert "reportingController" not in told["object"]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"eventTime": None}, ["eventTime: Required value"]),
        (
            {"action": "", "reportingController": "", "reportingInstance": "x" * 129},
            [
                "reportingController: Required value",
                'reportingController: Invalid value: "": name part must be non-empty',
                'reportingInstance: Invalid value: "": can have at most 128 characters',
                "action: Required value",
            ],
        ),
        ({"deprecatedCount": 2}, ['count: Invalid value: "": needs to be unset']),
        ({"type": "Odd"}, ['type: Invalid value: "": has invalid value: Odd']),
        ({"regarding": {"kind": "Node"}, "eventTime": None}, ["eventTime: Required value"]),
        ({"series": {"count": 1}}, ['series.count: Invalid value: "": should be at least 2']),
    ],
)
def test_the_newer_group_asks_more_of_an_event(client, members, said):
    refused = client("POST", NEWER, event(**members))
    assert refused.status == 422
    assert refused.body["message"].startswith('Event "hello" is invalid: ')
    for words in said:
        assert words in refused.body["message"]


def test_only_the_series_of_an_event_goes_on_in_the_newer_group(client):
    made = client.post(NEWER, event())
    series = {"count": 2, "lastObservedTime": "2026-11-23T08:39:20.500000Z"}
    assert client("PUT", f"{NEWER}/hello", {**made, "series": series}).status == 200
    refused = client("PATCH", f"{NEWER}/hello", {"note": "other"}, "application/merge-patch+json")
    assert refused.body["message"] == 'Event "hello" is invalid: message: Invalid value: "other": field is immutable'
    assert client.merge(f"{CORE}/hello", {"message": "other"})["message"] == "other"


def test_an_event_is_about_an_object_of_its_namespace(client):
    refused = client("POST", CORE, {"metadata": {"name": "x"}, "involvedObject": {"namespace": "elsewhere"}})
    assert refused.body["message"] == (
        'Event "x" is invalid: involvedObject.namespace: Invalid value: "elsewhere": does not match event.namespace'
    )


def test_each_group_selects_by_its_own_names(client):
    client.post(NEWER, event())
    client.post(NEWER, event("other", reason="Else"))

    def names(path, selector):
        return [item["metadata"]["name"] for item in client.get(f"{path}?fieldSelector={selector}")["items"]]

    assert names(NEWER, "regarding.kind%3DPod,reason%3DSaid") == names(CORE, "involvedObject.kind%3DPod,reason%3DSaid")
    assert names(NEWER, "reportingController%3Dexample.com/speaker,reason%3DElse") == ["other"]
    assert names(CORE, "source%3Dexample.com/speaker") == ["hello", "other"]
    for path, selector in ((NEWER, "involvedObject.kind%3DPod"), (CORE, "regarding.kind%3DPod")):
        refused = client("GET", f"{path}?fieldSelector={selector}")
        assert (refused.status, refused.body["reason"]) == (400, "BadRequest")


def test_a_table_row_tells_the_series_and_who_reported_it(client):
    series = {"count": 7, "lastObservedTime": "2026-11-23T08:39:20.500000Z"}
    client.post(NEWER, event(series=series))
    table = client.get(NEWER, Accept=TABLE)
    names = [column["name"] for column in table["columnDefinitions"]]
    row = dict(zip(names, table["rows"][0]["cells"], strict=True))
    assert (row["Object"], row["Source"], row["Count"]) == ("pod/web", "example.com/speaker, speaker-1", 7)
    [whole] = client.get(f"{NEWER}?includeObject=Object", Accept=TABLE)["rows"]
    assert whole["object"]["note"] == "It was said."


def test_rights_are_those_of_the_group_that_is_asked(cluster, client):
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    rule = {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["list"]}
    client.post(f"{rbac}/roles", {"metadata": {"name": "r"}, "rules": [rule]})
    subject = {"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}
    role = {"kind": "Role", "name": "r", "apiGroup": "rbac.authorization.k8s.io"}
    client.post(f"{rbac}/rolebindings", {"metadata": {"name": "b"}, "subjects": [subject], "roleRef": role})
    token = f"Bearer {cluster.user('jane').token}"
    assert client("GET", NEWER, Authorization=token).status == 200
    assert client("GET", CORE, Authorization=token).status == 403


@dataclass
class Diary:
    """The Events of one reporter about one object."""

    clock: SteppedClock
    store: Store
    recorder: Recorder

    def tell(self, message: str, by: Reporter = CONTROLLER, **how: Any) -> None:
        about = {"kind": "ReplicaSet", "namespace": "default", "name": "web", "uid": "1"}
        self.recorder.tell(about, "Done", message, by=by, warning=False, **how)

    def told(self) -> list[tuple[str, int]]:
        return [(e["message"], e.get("count", 0)) for e in self.events()]

    def events(self) -> list[dict[str, Any]]:
        return [record.decode() for record in self.store.records(EVENTS.key)]

    def after(self, seconds: float) -> Diary:
        asyncio.run(self.clock.advance(seconds))
        return self


@pytest.fixture
def diary() -> Diary:
    clock, store = SteppedClock(), Store()
    world = World(store, Served(), clock, lambda *_: None)
    return Diary(clock, store, world.recorder)


def test_what_is_told_again_counts_up(diary):
    diary.tell("made")
    diary.tell("made")
    assert diary.told() == [("made", 2)]
    [said] = diary.events()
    assert (said["source"], said["reportingComponent"]) == ({"component": "some-controller"}, "some-controller")


def test_what_counts_up_is_kept_as_long_as_something_new(diary):
    diary.tell("made")
    diary.after(3000).tell("made")
    diary.after(3000)
    assert diary.told() == [("made", 2)]
    diary.after(601)
    assert diary.told() == []


def test_from_the_tenth_of_a_reason_on_they_are_told_in_one(diary):
    for number in range(12):
        diary.tell(f"made {number}")
    combined = [(message, count) for message, count in diary.told() if message.startswith("(combined")]
    assert len(diary.told()) == 10
    assert combined == [("(combined from similar events): made 11", 3)]
    diary.after(601).tell("made 12")
    assert ("made 12", 1) in diary.told()


def test_after_25_about_an_object_a_reporter_waits(diary):
    for _ in range(30):
        diary.tell("made")
    assert diary.told() == [("made", 25)]
    diary.after(300).tell("made")
    assert diary.told() == [("made", 31)]


def test_the_scheduler_reports_by_the_newer_group(diary):
    for number in range(12):
        diary.tell(f"bound {number}", Reporter("default-scheduler", instance="default-scheduler-1"), action="Binding")
    assert len(diary.told()) == 12
    said = diary.events()[0]
    assert (said["action"], said["source"], said["firstTimestamp"]) == ("Binding", {}, None)
    assert (said["reportingComponent"], said["reportingInstance"]) == ("default-scheduler", "default-scheduler-1")
    assert datetime.fromisoformat(said["eventTime"]) == diary.clock.now()
