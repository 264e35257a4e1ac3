"""Install, upgrade, wait, tasks, status: what is sent, what is shown, how it ends."""

import json

import pytest
import yaml

from addonry.cli.progress import guess_remaining
from addonry.cli.values import put, split_path

TASK = "T-1"
ACCEPTED = {"cluster_id": "c1", "request_id": "R", "task_id": TASK}
CLUSTERS = {
    "clusters": [{"cluster_id": "c1", "name": "prod", "current_version": "1.36.2", "size": 3, "state": "running"}],
    "page_info": {"page_number": 1, "page_size": 100, "total_count": 1},
}


def info(state, percent, *, stage="", note="", error=None, result="initial"):
    broken = {"code": "", "message": "", "remedy": ""} if error is None else {**error, "remedy": "Do this."}
    return {
        "task_id": TASK,
        "cluster_id": "c1",
        "task_type": "cluster_addon_upgrade",
        "state": state,
        "percent": percent,
        "current_stage": stage,
        "stages": [],
        "task_result": [
            {
                "data": "coredns",
                "status": result,
                "from_version": "1.43.0",
                "to_version": "1.45.0",
                "percent": percent,
                "stage": stage,
                "note": note,
                "error": broken,
            }
        ],
        "error": error or {"code": "", "message": ""},
    }


@pytest.fixture
def prod(api):
    """An API with a cluster, where upgrades and installs are accepted."""
    api.answer("GET", "/api/v1/clusters", CLUSTERS)
    api.answer("POST", "/clusters/c1/components/upgrade", ACCEPTED)
    api.answer("POST", "/clusters/c1/components/install", ACCEPTED)
    api.answer("GET", "/clusters/c1/addon_instances", {"addons": [{"name": "coredns", "version": "1.43.0"}]})
    return api


def sent(api, path="/clusters/c1/components/upgrade"):
    return api.find("POST", path).json


def test_an_upgrade_names_components_and_versions(prod, run):
    result = run("upgrade", "prod", "coredns@1.45.0", "metrics-server")
    assert result.exit_code == 0
    assert sent(prod) == [
        {"component_name": "coredns", "next_version": "1.45.0"},
        {"component_name": "metrics-server", "next_version": ""},
    ]
    assert TASK in result.stdout
    assert f"tasks show {TASK}" in result.stderr


def test_an_upgrade_is_answered_as_the_api_does(prod, run):
    assert json.loads(run("upgrade", "prod", "coredns", "-o", "json").stdout) == ACCEPTED
    assert yaml.safe_load(run("upgrade", "prod", "coredns", "-o", "yaml").stdout) == ACCEPTED


def test_an_install_takes_values_from_a_file_and_single_ones(prod, run, tmp_path):
    (tmp_path / "values.yaml").write_text("replicas: 1\nconfig: {a: x, b: y}\n")
    arguments = ["--values", str(tmp_path / "values.yaml"), "--set", "config.a=[1, z]", "--set", "on=true"]
    assert run("install", "prod", "coredns", *arguments).exit_code == 0
    [item] = sent(prod, "/clusters/c1/components/install")
    assert json.loads(item["config"]) == {"replicas": 1, "config": {"a": [1, "z"], "b": "y"}, "on": True}


def test_a_single_value_of_an_upgrade_is_set_among_the_present_ones(prod, run):
    """The API takes the whole of the values: sending only the one that changes would lose the others."""
    instance = {"name": "coredns", "config": '{"replicas": 1, "kept": true}'}
    prod.answer("GET", "/clusters/c1/addon_instances/coredns", instance)
    assert run("upgrade", "prod", "coredns", "--set", "replicas=3").exit_code == 0
    assert json.loads(sent(prod)[0]["config"]) == {"replicas": 3, "kept": True}


def test_without_values_none_are_sent_so_that_the_present_ones_stay(prod, run):
    run("upgrade", "prod", "coredns")
    assert "config" not in sent(prod)[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ["coredns@"],
        ["@1"],
        ["coredns", "coredns@1"],
        ["a", "b", "--set", "x=1"],
        ["a", "--set", "x"],
        ["a", "--set", "x=.inf"],
        ["a", "--values", "/nowhere"],
        [],
    ],
)
def test_a_wrong_call_sends_nothing(prod, run, arguments):
    result = run("upgrade", "prod", *arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    assert not [each for each in prod.asked if each.method == "POST"]


def test_values_that_are_no_mapping_are_refused(prod, run):
    result = run("upgrade", "prod", "a", "--values", "-", stdin="[1, 2]")
    assert result.exit_code == 2
    assert "no mapping" in result.stderr


def test_a_dot_behind_a_backslash_belongs_to_its_key():
    assert split_path(r"nodeSelector.kubernetes\.io/os") == ["nodeSelector", "kubernetes.io/os"]


def test_setting_a_value_changes_nothing_else():
    before = {"a": {"b": 1, "c": 2}, "d": 3}
    assert put(before, ["a", "b"], 9) == {"a": {"b": 9, "c": 2}, "d": 3}
    assert put(before, ["d", "e"], 9) == {"a": {"b": 1, "c": 2}, "d": {"e": 9}}
    assert before == {"a": {"b": 1, "c": 2}, "d": 3}


def test_waiting_prints_each_change_once_and_the_versions_at_the_end(prod, run):
    prod.answer(
        "GET",
        f"/tasks/{TASK}",
        info("running", 10, stage="render"),
        info("running", 10, stage="render"),
        info("running", 50, stage="rollout", note="1 of 2 updated"),
        info("success", 100, result="success"),
    )
    result = run("upgrade", "prod", "coredns", "--wait")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        " 10% coredns render",
        " 50% coredns rollout 1 of 2 updated",
        "100%",
        "coredns 1.43.0 -> 1.45.0",
    ]


def test_a_failed_task_ends_1_and_tells_code_message_remedy_and_what_runs(prod, run):
    error = {"code": "AddonOperationFailed.X", "message": "The image cannot be pulled."}
    prod.answer("GET", f"/tasks/{TASK}", info("fail", 100, error=error, result="failed"))
    result = run("upgrade", "prod", "coredns", "--wait")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: The image cannot be pulled. (AddonOperationFailed.X) Do this. Running now: coredns 1.43.0.\n"
    )


def test_the_last_answer_is_all_that_is_printed_when_waiting_for_json(prod, run):
    prod.answer("GET", f"/tasks/{TASK}", info("running", 10), info("success", 100, result="success"))
    result = run("upgrade", "prod", "coredns", "--wait", "-o", "json")
    assert json.loads(result.stdout)["state"] == "success"


def test_ctrl_c_while_waiting_says_that_the_task_goes_on(prod, run, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    prod.answer("GET", f"/tasks/{TASK}", info("running", 10))
    monkeypatch.setattr("addonry.cli.progress.time.sleep", interrupt)
    result = run("upgrade", "prod", "coredns", "--wait")
    assert result.exit_code == 130
    assert f"Task {TASK} goes on in the service" in result.stderr


def test_a_service_that_is_started_again_meanwhile_is_waited_for(prod, run, monkeypatch):
    """The task is safe in the store; the watcher must not give up because of a restart."""
    from addonry.cli import progress
    from addonry.cli.client import NoAnswer

    answers = iter([NoAnswer("gone"), NoAnswer("gone"), info("success", 100, result="success")])

    def read(_session, _task):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(progress, "read_task", read)
    monkeypatch.setattr("addonry.cli.progress.time.sleep", lambda _: None)
    assert run("upgrade", "prod", "coredns", "--wait").exit_code == 0


def test_the_time_left_is_guessed_only_when_there_is_something_to_go_by():
    assert guess_remaining(10, 50) == 10
    assert guess_remaining(10, 3) is None
    assert guess_remaining(10, 100) is None


def component(name, version, *, ready="true", can=True, status="Success", at="0001-01-01T00:00:00Z"):
    return {
        "addon_info": {"component_name": name, "version": version, "ready_to_upgrade": ready},
        "tasks": {"created_at": at, "finished_at": at, "status": status, "is_canceled": False},
        "can_upgrade": can,
    }


STATUS = "/clusters/c1/components/upgradestatus"
KNOWN = {
    "components": [
        {
            "name": "coredns",
            "owner": "Helm",
            "health": "Current",
            "target": "1.45.0",
            "findings": [],
            "task": None,
        },
        {
            "name": "ingress-nginx",
            "owner": "Helm",
            "health": "Failed",
            "target": "4.13.3",
            "findings": [
                {"id": "WorkloadUnhealthy", "severity": "blocks", "message": "It fails.", "remedy": "Mend it."}
            ],
            "task": None,
        },
    ]
}


@pytest.fixture
def told(prod):
    answer = {
        "coredns": component("coredns", "1.43.0"),
        "ingress-nginx": component(
            "ingress-nginx", "4.12.1", ready="false", status="Failed", at="2026-11-23T08:00:00Z"
        ),
        "cert-manager": component("cert-manager", ""),
    }
    prod.answer("GET", STATUS, answer)
    prod.answer("GET", "/addonry/v1/clusters/c1/components", KNOWN)
    return answer


def test_the_status_is_a_table_with_what_blocks_below(told, run):
    lines = run("status", "prod").stdout.splitlines()
    assert lines[0].split()[:5] == ["COMPONENT", "VERSION", "OWNER", "HEALTH", "NEXT"]
    assert lines[1].split() == ["coredns", "1.43.0", "Helm", "Current", "1.45.0", "READY", "-"]
    assert "BLOCKED WorkloadUnhealthy  Failed 2026-11-23T08:00:00Z" in lines[2]
    assert lines[3:] == ["  ingress-nginx: It fails. Mend it."], "what is not installed is not in the table"


@pytest.mark.parametrize(
    ("status", "task", "shown"),
    [
        ("Upgrading", {"state": "running", "to_version": "1.45.0"}, "Upgrading 40% to 1.45.0"),
        ("Paused", {"state": "paused", "to_version": "1.45.0"}, "Paused 40% to 1.45.0"),
        ("Running", {"state": "running", "to_version": ""}, "Running 40%"),
        (
            "Upgrading",
            {"state": "running", "to_version": "1.45.0", "stall": "ImagePullBackOff"},
            "Upgrading 40% to 1.45.0, ImagePullBackOff",
        ),
    ],
)
def test_the_status_tells_where_a_task_stands_and_what_holds_it_up(api, told, run, status, task, shown):
    api.answer("GET", STATUS, {"coredns": component("coredns", "1.43.0", status=status, at="2026-11-23T08:00:00Z")})
    known = {**KNOWN["components"][0], "task": {"percent": 40, "stall": "", **task}}
    api.answer("GET", "/addonry/v1/clusters/c1/components", {"components": [known]})
    assert run("status", "prod").stdout.splitlines()[1].endswith(shown)


def test_the_status_in_json_is_the_answer_of_the_api(told, run):
    assert json.loads(run("status", "c1", "-o", "json").stdout) == told


def test_the_status_in_xml_is_passed_on_as_it_came(api, told, run):
    text = "<?xml version='1.0'?><DescribeClusterAddonsUpgradeStatusResponse/>\n"
    api.answers["GET", STATUS].append((200, text, "application/xml"))
    assert run("status", "prod", "-o", "xml").stdout == text
    assert api.asked[-1].headers["accept"] == "application/xml"


def test_names_are_sent_as_one_json_array(api, told, run):
    run("status", "prod", "coredns", "ingress-nginx")
    assert api.find("GET", STATUS).target.endswith("?componentIds=%5B%22coredns%22%2C%20%22ingress-nginx%22%5D")


def test_a_name_that_nobody_knows_ends_1_after_the_others_were_shown(told, run):
    result = run("status", "prod", "coredns", "typo")
    assert result.exit_code == 1
    assert "coredns" in result.stdout
    assert "typo" in result.stderr


def test_the_status_of_a_real_ack_cluster_needs_nothing_of_addonrys_own(api, told, run):
    del api.answers["GET", "/addonry/v1/clusters/c1/components"]
    result = run("status", "prod")
    assert result.exit_code == 0
    assert "1.43.0" in result.stdout


def test_watching_prints_again_when_something_has_changed(api, told, run, monkeypatch):
    turns = iter([None, None, None])

    def tick(_):
        if next(turns, "over") == "over":
            raise KeyboardInterrupt

    changed = {**told, "coredns": component("coredns", "1.45.0", can=False)}
    api.answer("GET", STATUS, told, told, changed)
    monkeypatch.setattr("addonry.cli.commands.status.time.sleep", tick)
    result = run("status", "prod", "--watch")
    assert result.exit_code == 130
    assert result.stdout.count("COMPONENT") == 2
    assert "UP TO DATE" in result.stdout


def test_text_of_a_cluster_cannot_drive_the_terminal(api, told, run):
    api.answer("GET", STATUS, {"\x1b[31mevil": component("\x1b[31mevil", "1\x07")})
    assert "\x1b" not in run("status", "prod").stdout
    assert "\x07" not in run("status", "prod").stdout


def test_an_api_error_is_one_line_with_message_and_code(prod, run):
    body = {"code": "BadRequest", "message": "coredns: It\nfails. Mend it.", "requestId": "R"}
    prod.answer("POST", "/clusters/c1/components/upgrade", body, status=400)
    result = run("upgrade", "prod", "coredns")
    assert result.exit_code == 1
    assert result.stderr == "Error: coredns: It fails. Mend it. (BadRequest)\n"


def test_tasks_are_listed_with_their_clusters_names(api, prod, run):
    summary = {
        "task_id": TASK,
        "task_type": "cluster_addon_upgrade",
        "cluster_id": "c1",
        "state": "running",
        "percent": 40,
        "created": "2026-11-23T08:00:00Z",
        "components": [{"data": "coredns", "to_version": "1.45.0"}],
        "error": {"code": "", "message": ""},
    }
    api.answer("GET", "/addonry/v1/tasks", {"tasks": [summary], "page_info": {"total_count": 1}})
    lines = run("tasks", "list").stdout.splitlines()
    assert lines[1].split() == [
        TASK,
        "upgrade",
        "prod",
        "coredns@1.45.0",
        "running",
        "40%",
        "2026-11-23T08:00:00Z",
        "-",
    ]


def test_an_empty_list_is_said_on_stderr(api, prod, run):
    api.answer("GET", "/addonry/v1/tasks", {"tasks": [], "page_info": {"total_count": 0}})
    result = run("tasks", "list", "--state", "fail")
    assert result.stdout == ""
    assert "no such tasks" in result.stderr
    assert "state=fail" in api.find("GET", "/addonry/v1/tasks").target


def test_a_cluster_is_registered_with_a_self_contained_kubeconfig(api, prod, run, tmp_path):
    (tmp_path / "token").write_text("abc")
    user = {"name": "u", "user": {"tokenFile": str(tmp_path / "token")}}
    context = {"name": "x", "context": {"cluster": "k", "user": "u"}}
    cluster = {"name": "k", "cluster": {"server": "https://k"}}
    text = yaml.safe_dump({"current-context": "x", "contexts": [context], "clusters": [cluster], "users": [user]})
    api.answer("POST", "/clusters", ACCEPTED, status=202)
    api.answer("GET", "/clusters/c1", CLUSTERS["clusters"][0])
    result = run("clusters", "add", "prod", "--kubeconfig", "-", "--region", "here", stdin=text)
    assert result.exit_code == 0, result.stderr
    body = sent(api, "/clusters")
    assert (body["name"], body["region_id"], body["cluster_type"]) == ("prod", "here", "ExternalKubernetes")
    assert yaml.safe_load(body["kubeconfig"])["users"][0]["user"] == {"token": "abc"}
    assert "abc" not in result.output


def test_a_key_is_printed_as_the_root_key_file_holds_it(api, run):
    api.answer(
        "POST", "/addonry/v1/keys", {"access_key_id": "A", "access_key_secret": "S", "name": "ci", "requestId": "R"}
    )
    result = run("keys", "create", "ci", "-o", "json")
    assert json.loads(result.stdout) == {"access_key_id": "A", "access_key_secret": "S"}
    assert sent(api, "/addonry/v1/keys") == {"name": "ci"}


def test_the_time_left_of_a_task_looked_at_half_way_goes_by_what_was_seen():
    assert guess_remaining(10, 60, since=50) == 40
    assert guess_remaining(0.1, 50, since=50) is None


def test_a_date_among_the_values_is_the_text_that_it_is(prod, run):
    """As in Helm; YAML of its own would make a date of it, which no JSON can say."""
    run("install", "prod", "coredns", "--set", "since=2020-01-01")
    assert json.loads(sent(prod, "/clusters/c1/components/install")[0]["config"]) == {"since": "2020-01-01"}


def test_a_value_that_cannot_be_read_is_named_by_its_key_alone(prod, run):
    result = run("upgrade", "prod", "coredns", "--set", "admin.password=[hunter2")
    assert result.exit_code == 2
    assert "admin.password" in result.stderr
    assert "hunter2" not in result.stderr


def test_of_names_that_nobody_knows_no_table_is_printed(api, told, run):
    api.answer("GET", STATUS, {})
    result = run("status", "prod", "typo")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: Neither installed nor in the catalog: typo.")


def test_a_component_whose_repository_was_never_read_is_not_called_up_to_date(api, told, run):
    unread = {"id": "CatalogUnavailable", "severity": "warns", "message": "It cannot be reached.", "remedy": "Wait."}
    known = {"components": [{**KNOWN["components"][0], "target": "", "findings": [unread]}]}
    api.answer("GET", STATUS, {"coredns": component("coredns", "1.43.0", can=False)})
    api.answer("GET", "/addonry/v1/clusters/c1/components", known)
    assert "UNKNOWN" in run("status", "prod").stdout
    assert "UP TO DATE" not in run("status", "prod").stdout


def test_a_status_that_may_be_old_says_so(api, told, run):
    """What is shown of a cluster that does not answer is what was last seen of it."""
    detail = {"name": "prod", "trouble": "The cluster does not answer.", "scanned_at": "2026-11-23T08:00:00Z"}
    api.answer("GET", "/clusters/c1", detail)
    assert "prod was last seen 2026-11-23T08:00:00Z: The cluster does not answer." in run("status", "prod").stdout
    api.answer("GET", "/clusters/c1", {**detail, "trouble": ""})
    assert "last seen" not in run("status", "prod").stdout


def test_waiting_goes_the_whole_way_where_versions_must_not_be_skipped(prod, run):
    ways = [("coredns", ["1.44.9", "1.45.0"]), ("metrics-server", ["3.13.0"])]
    paths = [{"component_name": name, "version": "1.43.0", "path": way, "missing": ""} for name, way in ways]
    prod.answer("POST", "/addonry/v1/clusters/c1/paths", {"paths": paths})
    prod.answer("GET", f"/tasks/{TASK}", info("success", 100, result="success"))
    result = run("upgrade", "prod", "coredns@1.45.0", "metrics-server", "--values", "-", "--wait", stdin="{}")
    assert result.exit_code == 2, "values are for one component"
    result = run("upgrade", "prod", "coredns@1.45.0", "metrics-server", "--edits", "preserve", "--wait")
    assert result.exit_code == 0, result.output
    tasks = [each.json for each in prod.asked if each.target == "/clusters/c1/components/upgrade"]
    assert [[(each["component_name"], each["next_version"]) for each in task] for task in tasks] == [
        [("coredns", "1.44.9"), ("metrics-server", "3.13.0")],
        [("coredns", "1.45.0")],
    ]
    assert all(each["edits"] == "preserve" for task in tasks for each in task)
    assert "Upgrade 2 of 2: coredns 1.45.0" in result.stderr


def test_the_way_ends_where_an_upgrade_on_it_fails(prod, run):
    paths = [{"component_name": "coredns", "version": "1.43.0", "path": ["1.44.9", "1.45.0"], "missing": ""}]
    prod.answer("POST", "/addonry/v1/clusters/c1/paths", {"paths": paths})
    error = {"code": "ImagePullBackOff", "message": "It cannot be pulled."}
    prod.answer("GET", f"/tasks/{TASK}", info("fail", 100, result="fail", error=error))
    assert run("upgrade", "prod", "coredns", "--wait").exit_code == 1
    assert len([each for each in prod.asked if each.target == "/clusters/c1/components/upgrade"]) == 1
