"""Pause, resume, cancel, canary, and what waiting says of them."""

import json

import pytest

from addonry.cli.progress import _Bar, look_at
from tests.cli.test_changes import ACCEPTED, CLUSTERS, TASK, info


def stand(state, percent=40, *, last="rollout", wish="", task_type="cluster_addon_upgrade", **result):
    """An answer of DescribeTaskInfo for a task whose last stage is *last*."""
    told = info(state, percent, stage="release" if state == "paused" else "", result="initial")
    told["task_type"] = task_type
    told["wish"] = wish
    told["stages"] = [{"state": "success", "outputs": {"name": last, "component": "coredns"}}]
    told["task_result"][0] |= result
    return told


@pytest.fixture
def prod(api):
    api.answer("GET", "/api/v1/clusters", CLUSTERS)
    api.answer("GET", "/clusters/c1/addon_instances", {"addons": [{"name": "coredns", "version": "1.43.0"}]})
    for path in ("components/upgrade", "components/install", "components/uninstall"):
        api.answer("POST", f"/clusters/c1/{path}", ACCEPTED)
    api.answer("POST", "/addonry/v1/clusters/c1/configure", ACCEPTED)
    for word in ("pause", "resume", "cancel"):
        api.answer("POST", f"/tasks/{TASK}/{word}", {})
    return api


@pytest.mark.parametrize(
    ("word", "action", "now"),
    [("pause", "PauseTask", "paused"), ("resume", "ResumeTask", "running"), ("cancel", "CancelTask", "canceled")],
)
def test_a_task_is_told_a_word_and_its_state_is_shown(prod, run, word, action, now):
    prod.answer("GET", f"/tasks/{TASK}", stand(now))
    result = run(word, TASK)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[1].split() == [TASK, now, "-"]
    asked = prod.find("POST", f"/tasks/{TASK}/{word}")
    assert (asked.headers["x-acs-action"], asked.body) == (action, b"")


def test_a_pause_that_is_not_granted_yet_says_so(prod, run):
    prod.answer("GET", f"/tasks/{TASK}", stand("running", wish="pause"))
    assert "asked to pause" in run("pause", TASK).stdout
    assert json.loads(run("pause", TASK, "-o", "json").stdout)["wish"] == "pause"


def test_a_word_that_is_refused_ends_1_with_the_reason(api, run):
    body = {"code": "BadRequest", "message": "Task T-1 is success; it cannot pause."}
    api.answer("POST", f"/tasks/{TASK}/pause", body, status=400)
    result = run("pause", TASK)
    assert (result.exit_code, result.stderr) == (1, "Error: Task T-1 is success; it cannot pause. (BadRequest)\n")


def test_waiting_for_a_pause_ends_well_once_it_is_granted(prod, run):
    prod.answer("GET", f"/tasks/{TASK}", stand("running", wish="pause"), stand("paused"))
    result = run("pause", TASK, "--wait")
    assert result.exit_code == 0
    assert f"Task {TASK} is paused: `addonry resume {TASK}` goes on" in result.stdout


def test_a_task_that_ended_before_it_was_paused_was_not_paused(prod, run):
    prod.answer("GET", f"/tasks/{TASK}", stand("running", wish="pause"), stand("success", 100))
    result = run("pause", TASK, "--wait")
    assert result.exit_code == 1
    assert "ended well before it could be paused" in result.stderr


def test_waiting_for_a_cancel_ends_well_when_it_is_canceled_and_tells_what_runs(prod, run):
    prod.answer("GET", f"/tasks/{TASK}", stand("running", wish="cancel"), stand("canceled"))
    result = run("cancel", TASK, "--wait")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == f"Task {TASK} is canceled. Running now: coredns 1.43.0."


def test_a_cancel_that_came_too_late_ends_1(prod, run):
    prod.answer("GET", f"/tasks/{TASK}", stand("success", 100))
    result = run("cancel", TASK, "--wait")
    assert (result.exit_code, "before it could be canceled" in result.stderr) == (1, True)


def test_resuming_and_waiting_is_waiting_for_success(prod, run):
    prod.answer("GET", f"/tasks/{TASK}", stand("running"), stand("success", 100))
    result = run("resume", TASK, "--wait")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "coredns 1.43.0 -> 1.45.0")


def test_a_canary_is_asked_for_in_acks_word_and_edits_in_ours(prod, run):
    assert run("upgrade", "prod", "coredns", "--canary", "--edits", "preserve").exit_code == 0
    [item] = prod.find("POST", "/clusters/c1/components/upgrade").json
    assert item == {"component_name": "coredns", "next_version": "", "policy": "canary", "edits": "preserve"}
    assert run("install", "prod", "coredns", "--canary").exit_code == 0
    [item] = prod.find("POST", "/clusters/c1/components/install").json
    assert item == {"name": "coredns", "version": "", "canary": True}


def test_waiting_for_a_canary_ends_well_when_it_is_paused_and_says_what_to_do(prod, run):
    """Nothing goes on before a person has looked, so there is nothing to wait for."""
    prod.answer("GET", f"/tasks/{TASK}", stand("running"), stand("paused", last="canary"))
    result = run("upgrade", "prod", "coredns", "--canary", "--wait")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == (
        f"Task {TASK} is paused after the first pods: "
        f"`addonry resume {TASK}` goes on, `addonry cancel {TASK}` goes back."
    )


def test_the_sentence_about_a_canary_does_not_spoil_json(prod, run):
    prod.answer("GET", f"/tasks/{TASK}", stand("paused", last="canary"))
    result = run("upgrade", "prod", "coredns", "--canary", "--wait", "-o", "json")
    assert json.loads(result.stdout)["state"] == "paused"
    assert "addonry resume" in result.stderr


def test_a_pause_that_somebody_asked_for_meanwhile_is_waited_out(prod, run):
    """A script that waits for an upgrade must not take a colleague's pause for success."""
    prod.answer("GET", f"/tasks/{TASK}", stand("paused", last="hold"), stand("success", 100))
    result = run("upgrade", "prod", "coredns", "--wait")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [" 40% coredns release paused", "100%", "coredns 1.43.0 -> 1.45.0"]


def test_a_task_that_somebody_canceled_meanwhile_ends_1(prod, run):
    prod.answer("GET", f"/tasks/{TASK}", stand("canceled"))
    result = run("upgrade", "prod", "coredns", "--wait")
    assert result.exit_code == 1
    assert f"Task {TASK} ended as canceled. Running now: coredns 1.43.0." in result.stderr


def test_ctrl_c_says_how_to_follow_and_how_to_end_the_task(prod, run, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    prod.answer("GET", f"/tasks/{TASK}", stand("running"))
    monkeypatch.setattr("addonry.cli.progress.time.sleep", interrupt)
    result = run("resume", TASK, "--wait")
    assert result.exit_code == 130
    assert f"addonry tasks show {TASK} --wait" in result.stderr
    assert f"addonry cancel {TASK}" in result.stderr


# Progress


def test_a_stall_is_named_once_and_a_guess_of_the_time_left_is_no_news():
    """Piped, each line is a change; the seconds left change with every look."""
    note = "1 of 2 updated"
    first = look_at({**info("running", 40, stage="rollout", note=note), "seconds_left": 12})
    later = look_at({**info("running", 40, stage="rollout", note=note), "seconds_left": 11})
    assert (first == later, first.left, later.left) == (True, 12, 11)
    told = info("running", 40, stage="rollout", note=note)
    told["task_result"][0]["stall"] = "ImagePullBackOff"
    assert look_at(told) != first
    assert look_at(told).line == " 40% coredns rollout 1 of 2 updated [ImagePullBackOff]"
    told["task_result"][0]["note"] = "container x is in ImagePullBackOff"
    assert look_at(told).line == " 40% coredns rollout container x is in ImagePullBackOff"


@pytest.mark.parametrize(
    ("seconds_left", "elapsed", "shown"),
    [(12, 10.0, "about 12 s left"), (300, 10.0, "about 5 min left"), (None, 10.0, "about 20 s left"), (None, 0.0, "")],
)
def test_the_bar_believes_the_service_before_its_own_guess(seconds_left, elapsed, shown):
    """Only the service knows how long such tasks took before; the guess takes the speed so far."""
    drawn = []

    class Progress:
        def add_task(self, *_, **__):
            return 1

        def update(self, _bar, **members):
            drawn.append(members)

    bar = _Bar(Progress())
    bar.show(look_at(info("running", 10, stage="apply")), 0.0)
    told = {**info("running", 40, stage="rollout", note="1 of 2 updated"), "seconds_left": seconds_left}
    bar.show(look_at(told), elapsed)
    assert drawn[-1] == {
        "completed": 40,
        "description": "coredns rollout",
        "left": shown,
        "note": "1 of 2 updated",
    }


def test_a_task_is_shown_with_its_step_its_stall_its_remarks_and_the_time_left(prod, run):
    told = info("running", 40, stage="rollout", note="1 of 2 updated")
    told |= {"seconds_left": 130, "wish": "pause"}
    told["task_result"][0] |= {"state": "running", "stall": "Unschedulable", "remarks": ["kubectl set spec.replicas."]}
    prod.answer("GET", f"/tasks/{TASK}", told)
    lines = run("tasks", "show", TASK).stdout.splitlines()
    assert f"{TASK}: upgrade on prod, running, asked to pause, 40%, about 2 min left" in lines
    assert "  coredns: 1.43.0 -> 1.45.0 running" in lines
    assert "    kubectl set spec.replicas." in lines
    assert "  coredns rollout (asked to pause): 1 of 2 updated [Unschedulable]" in lines


@pytest.mark.parametrize("state", ["paused", "canceled"])
def test_tasks_can_be_listed_by_the_states_that_a_person_brings_about(prod, run, state):
    prod.answer("GET", "/addonry/v1/tasks", {"tasks": [], "page_info": {"total_count": 0}})
    assert run("tasks", "list", "--state", state).exit_code == 0
    assert f"state={state}" in prod.find("GET", "/addonry/v1/tasks").target


# Configure and uninstall


def test_one_value_is_set_among_the_present_ones(prod, run):
    prod.answer("GET", "/clusters/c1/addon_instances/coredns", {"config": '{"replicas": 1, "kept": true}'})
    result = run("configure", "prod", "coredns", "--set", "replicas=3", "--canary", "--edits", "none")
    assert result.exit_code == 0, result.output
    [item] = prod.find("POST", "/addonry/v1/clusters/c1/configure").json
    assert json.loads(item.pop("config")) == {"replicas": 3, "kept": True}
    assert item == {"name": "coredns", "canary": True, "edits": "none"}


def test_the_values_of_a_file_take_the_place_of_the_present_ones(prod, run):
    result = run("configure", "prod", "coredns", "--values", "-", "--set", "b=2", stdin="a: 1\n")
    assert result.exit_code == 0, result.output
    [item] = prod.find("POST", "/addonry/v1/clusters/c1/configure").json
    assert json.loads(item["config"]) == {"a": 1, "b": 2}


def test_a_configuration_is_told_as_one(prod, run):
    ended = stand("success", 100, task_type="cluster_addon_modify", to_version="1.43.0")
    prod.answer("GET", f"/tasks/{TASK}", ended)
    result = run("configure", "prod", "coredns", "--values", "-", "--wait", stdin="a: 1\n")
    assert result.stdout.splitlines()[-1] == "coredns 1.43.0 configured"


def test_an_uninstall_names_its_components_and_is_told_as_one(prod, run):
    ended = stand("success", 100, task_type="cluster_addon_uninstall", to_version="")
    prod.answer("GET", f"/tasks/{TASK}", ended)
    result = run("uninstall", "prod", "coredns", "metrics-server", "--yes", "--wait")
    assert result.exit_code == 0, result.output
    asked = prod.find("POST", "/clusters/c1/components/uninstall")
    assert asked.json == [{"name": "coredns"}, {"name": "metrics-server"}]
    assert result.stdout.splitlines()[-1] == "coredns 1.43.0 uninstalled"


@pytest.mark.parametrize(("answer", "status", "sent"), [("y\n", 0, True), ("n\n", 1, False), ("", 130, False)])
def test_an_uninstall_asks_on_a_terminal(prod, run, monkeypatch, answer, status, sent):
    monkeypatch.setattr("addonry.cli.commands.changes.is_somebody_there", lambda: True)
    result = run("uninstall", "prod", "coredns", stdin=answer)
    assert result.exit_code == status, result.output
    assert "Uninstall coredns from prod?" in result.stderr
    assert bool([each for each in prod.asked if each.method == "POST"]) is sent


@pytest.mark.parametrize(
    "arguments",
    [
        ["uninstall", "prod", "coredns"],  # a pipe: nobody can be asked
        ["uninstall", "prod", "--yes"],
        ["uninstall", "prod", "a", "a", "--yes"],
        ["configure", "prod", "coredns"],
        ["configure", "prod", "coredns", "--set", "x"],
        ["configure", "prod", "coredns", "--set", "x=1", "--edits", "some"],
        ["upgrade", "prod", "coredns", "--edits", "some"],
        ["plan", "prod", "--set", "x=1"],
        ["plan", "prod", "a", "b", "--set", "x=1"],
        ["plan", "prod", "a", "--configure"],
        ["plan", "prod", "a@1", "--configure", "--set", "x=1"],
        ["pause"],
    ],
)
def test_a_wrong_call_sends_nothing(prod, run, arguments):
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    assert prod.asked == []


# Plan

PLAN = "/addonry/v1/clusters/c1/plan"
NO_ERROR = {"code": "", "message": "", "remedy": ""}


def planned(name="coredns", **given):
    return {
        "component_name": name,
        "task_type": "cluster_addon_upgrade",
        "action": "upgrade",
        "version": "1.43.0",
        "next_version": "1.45.0",
        "canary": False,
        "edits": "overwrite",
        "steps": ["preflight", "apply", "rollout"],
        "remarks": ["spec.replicas of deployment coredns is taken from kubectl."],
        "point_of_no_return": "crds",
        "seconds": 42,
        "path": ["1.45.0"],
        "mode": "server-side",
        "differences": [],
        "images": [],
        "user_edits": [],
        "crds": [],
        "error": NO_ERROR,
        **given,
    }


def test_a_plan_tells_steps_remarks_the_point_of_no_return_and_the_time(prod, run):
    prod.answer("POST", PLAN, {"changes": [planned(), planned("metrics-server", seconds=None, canary=True)]})
    result = run("plan", "prod", "coredns@1.45.0", "metrics-server")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[1].split() == ["coredns", "upgrade", "1.43.0", "1.45.0", "about", "42", "s"]
    assert "upgrade (canary)" in lines[2]
    assert lines[2].endswith("unknown")
    assert lines[3:7] == [
        "  coredns: preflight, apply, rollout",
        "  coredns: spec.replicas of deployment coredns is taken from kubectl.",
        "  coredns: what crds does is not taken back by a rollback.",
        "  applied server-side",
    ]
    assert prod.find("POST", PLAN).json == [
        {"name": "coredns", "version": "1.45.0"},
        {"name": "metrics-server", "version": ""},
    ]


def a_field(path, before, after, change="changed", **more):
    told = {"path": path, "change": change, "before": before, "after": after, "lines": [], "hidden": False}
    return {**told, "noise": False, **more}


def test_a_plan_is_told_field_by_field(prod, run):
    fields = [
        a_field("spec.template.spec.containers[dns].image", "dns:1", "dns:2"),
        a_field("metadata.labels[helm.sh/chart]", "dns-1", "dns-2", noise=True),
        a_field("spec.paused", None, "true", "added"),
        a_field("data.Corefile", None, None, lines=["-a", "+b"]),
        a_field("data.key", "(hidden)", "(hidden)", hidden=True),
    ]
    at = {"namespace": "kube-system", "kept": False, "fields": []}
    unsafe = {"kind": "FieldRemoved", "version": "v1", "field": "spec.size", "message": "is removed"}
    told = planned(
        path=["1.44.0", "1.45.0"],
        images=[{"before": "dns:1", "after": "dns:2"}],
        user_edits=[{"field": "Deployment dns spec.replicas", "manager": "kubectl", "kept": True}],
        crds=[{"name": "zones.example.com", "change": "changed", "unsafe": [unsafe]}],
        differences=[
            {**at, "kind": "Deployment", "name": "dns", "change": "changed", "fields": fields},
            {**at, "kind": "Service", "name": "dns", "change": "changed", "fields": fields[1:2]},
            {**at, "kind": "Secret", "name": "old", "change": "removed", "kept": True},
        ],
    )
    prod.answer("POST", PLAN, {"changes": [told]})
    result = run("plan", "prod", "coredns", "--allow-unsafe-crds")
    assert prod.find("POST", PLAN).json == [{"name": "coredns", "version": "", "unsafe_crds": True}]
    assert result.stdout.splitlines()[5:] == [
        "  by way of 1.44.0 -> 1.45.0; this is the first of 2 upgrades",
        "  applied server-side",
        "  image dns:1 -> dns:2",
        "  ~ CustomResourceDefinition zones.example.com",
        "      ! unsafe: v1 spec.size is removed",
        "  ~ Deployment dns",
        "      ~ spec.template.spec.containers[dns].image: dns:1 -> dns:2",
        "      + spec.paused: true",
        "      ~ data.Corefile:",
        "          -a",
        "          +b",
        "      ~ data.key: changes (hidden)",
        "      and 1 labels or annotations that follow from the version",
        "  - Secret old (stays on the cluster)",
        "  ~ 1 more, in which only labels that follow from the version change",
    ]


def test_a_plan_that_the_cluster_objects_to_is_shown_and_ends_1(prod, run):
    error = {"code": "AddonOperationFailed.ResourceExists", "message": "kubectl owns it.", "remedy": "Ask them."}
    prod.answer("POST", PLAN, {"changes": [planned(error=error)]})
    result = run("plan", "prod", "coredns", "--edits", "none")
    assert result.exit_code == 1
    assert "  coredns: kubectl owns it. Ask them." in result.stdout
    assert result.stderr == "Error: This cannot be done as planned: coredns.\n"
    assert prod.find("POST", PLAN).json[0]["edits"] == "none"


def test_a_plan_of_everything_names_what_is_ready_and_says_why_the_rest_is_not(prod, run):
    def known(name, *, installed=True, ready=True, newer=True):
        findings = [
            {"id": "X", "severity": "warns", "message": "Old.", "remedy": ""},
            *([] if ready else [{"id": "Y", "severity": "blocks", "message": "It fails.", "remedy": "Mend it."}]),
        ]
        return {"name": name, "installed": installed, "ready": ready, "can_upgrade": newer, "findings": findings}

    components = [
        known("coredns"),
        known("ingress-nginx", ready=False),
        known("metrics-server", newer=False),
        known("cert-manager", installed=False),
    ]
    prod.answer("GET", "/addonry/v1/clusters/c1/components", {"components": components})
    prod.answer("POST", PLAN, {"changes": [planned()]})
    result = run("plan", "prod")
    assert result.exit_code == 0, result.output
    assert prod.find("POST", PLAN).json == [{"name": "coredns", "version": ""}]
    assert result.stdout.splitlines()[-1] == "  ingress-nginx: It fails. Mend it."
    prod.answer("GET", "/addonry/v1/clusters/c1/components", {"components": components[2:]})
    result = run("plan", "prod")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "Nothing on prod is ready to be upgraded." in result.stderr


def test_a_plan_of_other_values_is_one_of_a_configuration(prod, run):
    prod.answer("GET", "/clusters/c1/addon_instances/coredns", {"config": '{"kept": true}'})
    prod.answer("POST", PLAN, {"changes": [planned(action="configure")]})
    assert run("plan", "prod", "coredns", "--configure", "--set", "replicas=3").exit_code == 0
    [item] = prod.find("POST", PLAN).json
    assert (item["action"], json.loads(item["config"])) == ("configure", {"kept": True, "replicas": 3})


def test_values_for_what_is_not_installed_are_all_that_there_are(prod, run):
    gone = {"code": "AddonNotFound", "message": "It is not installed."}
    prod.answer("GET", "/clusters/c1/addon_instances/coredns", gone, status=404)
    prod.answer("POST", PLAN, {"changes": [planned(action="install", version="")]})
    assert run("plan", "prod", "coredns", "--set", "replicas=3").exit_code == 0
    assert json.loads(prod.find("POST", PLAN).json[0]["config"]) == {"replicas": 3}


def test_a_plan_in_json_is_the_changes(prod, run):
    prod.answer("POST", PLAN, {"changes": [planned()], "requestId": "R"})
    assert json.loads(run("plan", "prod", "coredns", "-o", "json").stdout) == {"changes": [planned()]}
