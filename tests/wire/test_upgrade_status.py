"""DescribeClusterAddonsUpgradeStatus: the call Addonry exists for, each documented and each chosen behaviour."""

from dataclasses import replace
from urllib.parse import quote

import pytest

from addonry.model.components import Health
from addonry.model.readiness import Severity
from addonry.model.tasks import Status, TaskKind, Trouble
from tests.wire.fakes import CLUSTER, a_blocker, a_change, a_status, a_waiver

PATH = f"/clusters/{CLUSTER}/components/upgradestatus"
ZERO = "0001-01-01T00:00:00Z"
ALL = ["cert-manager", "coredns", "ingress-nginx", "metrics-server"]
NEVER = {"created_at": ZERO, "finished_at": ZERO, "is_canceled": False, "status": "Success"}


async def test_the_answer_to_the_byte(client):
    """Members in the order of the published sample; can_upgrade beside them, or Terraform crashes."""
    reply = await client.get(f"{PATH}?componentIds=%5B%22coredns%22%5D")
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert reply.body.decode() == (
        '{"coredns":{"tasks":{"created_at":"2026-11-23T08:00:00Z","finished_at":"2026-11-23T08:00:41Z",'
        '"is_canceled":false,"status":"Success"},"addon_info":{"component_name":"coredns","version":"1.40.0",'
        '"ready_to_upgrade":"true"},"can_upgrade":false}}'
    )


async def test_the_answer_in_xml(client):
    reply = await client.get(f"{PATH}?componentIds=%5B%22coredns%22%5D", accept="application/xml")
    assert reply.headers["content-type"] == "application/xml; charset=utf-8"
    root = reply.xml
    assert root.tag == "DescribeClusterAddonsUpgradeStatusResponse"
    assert [child.tag for child in root] == ["RequestId", "coredns"]
    coredns = root[1]
    assert [child.tag for child in coredns] == ["tasks", "addon_info", "can_upgrade"]
    assert [child.tag for child in coredns[0]] == ["created_at", "finished_at", "is_canceled", "status"]
    assert [child.tag for child in coredns[1]] == ["component_name", "version", "ready_to_upgrade"]
    assert coredns.findtext("addon_info/version") == "1.40.0"
    assert coredns.findtext("can_upgrade") == "false"


async def test_xml_can_be_asked_for_in_the_query(client):
    reply = await client.get(f"{PATH}?Format=XML")
    assert reply.xml.tag == "DescribeClusterAddonsUpgradeStatusResponse"


async def test_a_component_not_installed_is_an_empty_element_in_xml(client):
    reply = await client.get(f"{PATH}?componentIds=cert-manager", accept="text/xml")
    assert b"<version/>" in reply.body


@pytest.mark.parametrize("query", ["", "?componentIds=", "?componentIds=%5B%5D", "?componentIds", "?other=1"])
async def test_without_names_all_components_installed_or_installable_are_told(client, query):
    reply = await client.get(PATH + query)
    assert (reply.status, list(reply.json)) == (200, ALL)


async def test_a_component_of_the_catalog_that_is_not_installed_has_an_empty_version_and_zero_times(client):
    reply = await client.get(f"{PATH}?componentIds=%5B%22cert-manager%22%5D")
    assert reply.json == {
        "cert-manager": {
            "tasks": NEVER,
            "addon_info": {"component_name": "cert-manager", "version": "", "ready_to_upgrade": "true"},
            "can_upgrade": True,
        }
    }


async def test_an_unknown_name_is_left_out(client):
    """Terraform reads a missing key as 'not there'."""
    reply = await client.get(f"{PATH}?componentIds=%5B%22coredns%22,%22nothing%22%5D")
    assert (reply.status, list(reply.json)) == (200, ["coredns"])
    reply = await client.get(f"{PATH}?componentIds=%5B%22nothing%22%5D")
    assert (reply.status, reply.body) == (200, b"{}")


async def test_an_alias_is_answered_under_the_name_that_was_asked(client):
    """The published sample asks for metric-server, without the s, and is answered under it."""
    reply = await client.get(f"{PATH}?componentIds=%5B%22metric-server%22%5D")
    assert list(reply.json) == ["metric-server"]
    assert reply.json["metric-server"]["addon_info"]["component_name"] == "metric-server"
    assert reply.json["metric-server"]["addon_info"]["version"] == "3.12.1"


@pytest.mark.parametrize(
    "query",
    [
        "componentIds=" + quote('["metrics-server","coredns"]'),
        "componentIds=" + quote('["metrics-server","coredns","metrics-server"]'),
        "componentIds=" + quote('[ "metrics-server" , "coredns" ]').replace("%20", "+"),
        'componentIds=["metrics-server","coredns"]',
        "componentIds=metrics-server,coredns",
        "componentIds=metrics-server,%20coredns,",
        "componentIds=metrics-server&componentIds=coredns",
        "componentIds=" + quote('["metrics-server"]') + "&componentIds=" + quote('["coredns"]'),
    ],
)
async def test_names_are_read_from_json_and_leniently_from_lists_each_once_in_their_order(client, query):
    reply = await client.get(f"{PATH}?{query}")
    assert (reply.status, list(reply.json)) == (200, ["metrics-server", "coredns"])


async def test_one_bare_name_is_a_list_of_one(client):
    assert list((await client.get(f"{PATH}?componentIds=coredns")).json) == ["coredns"]


@pytest.mark.parametrize(
    "value", ['{"a":1}', "[1]", "[null]", "42", "true", "null", '"coredns"', '["coredns"', '[["a"]]']
)
async def test_json_of_another_kind_is_refused(client, value):
    reply = await client.get(f"{PATH}?componentIds={quote(value)}")
    assert (reply.status, reply.json["Code"]) == (400, "InvalidParameter")
    assert "componentIds" in reply.json["Message"]


async def test_a_query_that_is_no_text_is_refused(client):
    reply = await client.get(f"{PATH}?componentIds=%FF")
    assert (reply.status, reply.json["Code"]) == (400, "InvalidParameter")


async def test_an_unknown_cluster_is_refused(client):
    reply = await client.get("/clusters/cffff/components/upgradestatus")
    assert (reply.status, reply.json["Code"]) == (404, "ErrorClusterNotFound")


async def tell(client, lifecycle, status):
    lifecycle.statuses[CLUSTER] = {status.name: status}
    return (await client.get(PATH)).json[status.name]


async def test_a_component_never_touched_that_runs_is_a_success(client, lifecycle):
    """Installed by hand, or found on the cluster; older Terraform waits for this word."""
    told = await tell(client, lifecycle, a_status("a"))
    assert told["tasks"] == NEVER
    assert told["can_upgrade"] is True


async def test_a_component_never_touched_that_does_not_run_is_no_success(client, lifecycle):
    told = await tell(client, lifecycle, a_status("a", health=Health.FAILED, message="0 of 2 pods are ready"))
    assert told["tasks"] == {**NEVER, "status": "Failed", "message": "0 of 2 pods are ready"}


async def test_ready_to_upgrade_follows_the_blocking_findings_alone(client, lifecycle):
    blocked = await tell(client, lifecycle, a_status("a", findings=(a_blocker(),)))
    assert blocked["addon_info"]["ready_to_upgrade"] == "false"
    assert blocked["can_upgrade"] is True
    warned = await tell(client, lifecycle, a_status("a", findings=(a_blocker(severity=Severity.WARNS),)))
    assert warned["addon_info"]["ready_to_upgrade"] == "true"
    waived = await tell(client, lifecycle, a_status("a", findings=(replace(a_blocker(), waived=a_waiver()),)))
    assert waived["addon_info"]["ready_to_upgrade"] == "true"


@pytest.mark.parametrize(
    ("kind", "status", "word"),
    [
        (TaskKind.INSTALL, Status.QUEUED, "Running"),
        (TaskKind.INSTALL, Status.RUNNING, "Running"),
        (TaskKind.UPGRADE, Status.QUEUED, "Upgrading"),
        (TaskKind.UPGRADE, Status.RUNNING, "Upgrading"),
        (TaskKind.UPGRADE, Status.PAUSED, "Paused"),
        (TaskKind.CONFIGURE, Status.RUNNING, "Running"),
        (TaskKind.UNINSTALL, Status.RUNNING, "Running"),
    ],
)
async def test_a_task_under_way_has_begun_and_not_ended(client, lifecycle, kind, status, word):
    told = await tell(client, lifecycle, a_status("a", change=a_change("a", kind=kind, status=status)))
    assert told["tasks"] == {
        "created_at": "2026-11-23T08:00:00Z",
        "finished_at": ZERO,
        "is_canceled": False,
        "status": word,
    }


async def test_a_failed_task_says_why_and_what_to_do(client, lifecycle):
    """Terraform prints tasks.error, else tasks.message."""
    trouble = Trouble("RolloutTimeout", "coredns was not ready in 10 minutes.", "Look at its pods.")
    told = await tell(client, lifecycle, a_status("a", change=a_change("a", status=Status.FAILED, trouble=trouble)))
    words = "coredns was not ready in 10 minutes. Look at its pods."
    assert told["tasks"]["status"] == "Failed"
    assert told["tasks"]["finished_at"] == "2026-11-23T08:00:41Z"
    assert told["tasks"]["message"] == words
    assert told["tasks"]["error"] == {"code": "AddonOperationFailed.WaitForAddonReadyTimeout", "message": words}


async def test_a_canceled_task_is_told_as_such_and_not_as_an_error(client, lifecycle):
    told = await tell(client, lifecycle, a_status("a", change=a_change("a", status=Status.CANCELED)))
    assert told["tasks"] == {
        "created_at": "2026-11-23T08:00:00Z",
        "finished_at": "2026-11-23T08:00:41Z",
        "is_canceled": True,
        "status": "Canceled",
    }


async def test_what_was_uninstalled_has_an_empty_version_and_a_success(client, lifecycle):
    change = a_change("a", kind=TaskKind.UNINSTALL, status=Status.SUCCESS)
    told = await tell(client, lifecycle, a_status("a", version=None, change=change))
    assert (told["addon_info"]["version"], told["tasks"]["status"]) == ("", "Success")


async def test_a_modification_that_ended_well_is_a_success_though_nothing_was_ever_upgraded(client, lifecycle):
    """Terraform waits ten minutes for the word."""
    told = await tell(client, lifecycle, a_status("a", change=a_change("a", kind=TaskKind.CONFIGURE)))
    assert told["tasks"]["status"] == "Success"


async def test_a_task_that_rolls_back_is_still_under_way(client, lifecycle):
    change = a_change("a", status=Status.RUNNING, trouble=Trouble("ImagePullBackOff", "No image."))
    told = await tell(client, lifecycle, a_status("a", change=change))
    assert told["tasks"]["status"] == "Upgrading"
    assert "error" not in told["tasks"]


async def test_a_component_that_the_catalog_does_not_know_is_told_as_it_is(client, lifecycle):
    told = await tell(client, lifecycle, a_status("a", target=None, known=False))
    assert (told["addon_info"]["version"], told["can_upgrade"]) == ("1.0.0", False)


async def test_the_encoding_is_kept_until_something_changes(client, lifecycle):
    """Answering from kept bytes must never answer yesterday's news, nor one question with another's answer."""
    first = await client.get(f"{PATH}?componentIds=coredns")
    again = await client.get(f"{PATH}?componentIds=coredns")
    other = await client.get(f"{PATH}?componentIds=metrics-server")
    xml = await client.get(f"{PATH}?componentIds=coredns", accept="application/xml")
    assert first.body == again.body
    assert list(other.json) == ["metrics-server"]
    assert xml.xml.find("coredns") is not None
    lifecycle.statuses[CLUSTER] = {"coredns": a_status("coredns", version="2.0.0")}
    changed = await client.get(f"{PATH}?componentIds=coredns")
    assert changed.json["coredns"]["addon_info"]["version"] == "2.0.0"


async def test_one_component_has_the_same_shape_under_its_name(client):
    reply = await client.get(f"/clusters/{CLUSTER}/components/coredns/upgradestatus")
    whole = await client.get(f"{PATH}?componentIds=coredns")
    assert reply.json == whole.json


async def test_one_component_that_nobody_knows_is_refused(client):
    reply = await client.get(f"/clusters/{CLUSTER}/components/nothing/upgradestatus")
    assert (reply.status, reply.json["Code"]) == (404, "AddonNotFound")


async def test_one_component_may_be_called_as_a_route_is(client, lifecycle):
    """Literal segments win over parameters only where the whole path fits them."""
    lifecycle.statuses[CLUSTER] = {"version": a_status("version")}
    reply = await client.get(f"/clusters/{CLUSTER}/components/version/upgradestatus")
    assert list(reply.json) == ["version"]
