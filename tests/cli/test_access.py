"""Keys, users, policies and the audit log as commands."""

import json

import pytest


@pytest.mark.parametrize(
    ("line", "method", "path", "body", "told"),
    [
        ("keys revoke AK/1", "DELETE", "/addonry/v1/keys/AK%2F1", None, "Revoked AK/1."),
        ("keys disable AK1", "PUT", "/addonry/v1/keys/AK1", {"enabled": False}, "Disabled AK1."),
        ("keys enable AK1", "PUT", "/addonry/v1/keys/AK1", {"enabled": True}, "Enabled AK1."),
        ("users create ann", "POST", "/addonry/v1/users", {"name": "ann"}, "Created user ann."),
        ("users remove ann", "DELETE", "/addonry/v1/users/ann", None, "Removed user ann"),
        ("policies attach p ann", "PUT", "/addonry/v1/users/ann/policies/p", None, "Attached p to ann."),
        ("policies detach p ann", "DELETE", "/addonry/v1/users/ann/policies/p", None, "Detached p from ann."),
        ("policies remove p", "DELETE", "/addonry/v1/policies/p", None, "Removed policy p."),
    ],
)
def test_a_change_is_asked_for_and_told(api, run, line, method, path, body, told):
    api.answer(method, path, {})
    result = run(*line.split())
    assert result.exit_code == 0, result.stderr
    assert told in result.stdout
    asked = api.find(method, path)
    assert (asked.json if asked.body else None) == body


def test_a_key_may_be_made_for_a_user(api, run):
    made = {"access_key_id": "A", "access_key_secret": "S", "name": "laptop", "user": "ann", "requestId": "R"}
    api.answer("POST", "/addonry/v1/keys", made)
    result = run("keys", "create", "laptop", "--user", "ann", "-o", "json")
    assert json.loads(result.stdout) == {"access_key_id": "A", "access_key_secret": "S"}
    assert api.find("POST", "/addonry/v1/keys").json == {"name": "laptop", "user": "ann"}


def test_a_session_is_printed_with_its_token(api, run):
    made = {
        "access_key_id": "STS.A",
        "access_key_secret": "S",
        "security_token": "T",
        "expiration": "E",
        "requestId": "R",
    }
    api.answer("POST", "/addonry/v1/sessions", made)
    result = run("keys", "session", "night", "--minutes", "30", "-o", "json")
    assert json.loads(result.stdout) == {name: value for name, value in made.items() if name != "requestId"}
    assert api.find("POST", "/addonry/v1/sessions").json == {"name": "night", "duration_seconds": 1800}


def test_a_session_is_signed_with_its_token(api, run, monkeypatch):
    monkeypatch.setenv("ADDONRY_SECURITY_TOKEN", "the-token")
    api.answer("GET", "/addonry/v1/keys", {"keys": []})
    assert run("keys", "list").exit_code == 0
    assert api.find("GET", "/addonry/v1/keys").headers["x-acs-security-token"] == "the-token"


def test_a_policy_is_read_from_a_file_or_stdin_and_shown_as_it_can_be_put_again(api, run, tmp_path):
    document = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "cs:*", "Resource": "*"}]}
    file = tmp_path / "p.json"
    file.write_text(json.dumps(document))
    api.answer("PUT", "/addonry/v1/policies/p", {})
    assert run("policies", "put", "p", str(file), "--description", "All.").exit_code == 0
    assert api.find("PUT", "/addonry/v1/policies/p").json == {"document": document, "description": "All."}
    api.answer("GET", "/addonry/v1/policies/p", {"name": "p", "document": document})
    assert json.loads(run("policies", "show", "p").stdout) == document


@pytest.mark.parametrize(
    ("content", "told"), [(b"{", "no JSON"), (b"\xff", "cannot be read"), (None, "cannot be read")]
)
def test_what_is_no_policy_is_told_before_anything_is_sent(api, run, tmp_path, content, told):
    file = tmp_path / "p.json"
    if content is not None:
        file.write_bytes(content)
    result = run("policies", "put", "p", str(file))
    assert (result.exit_code, api.asked) == (1, [])
    assert told in result.stderr


def test_lists_are_tables(api, run):
    api.answer("GET", "/addonry/v1/users", {"users": [{"name": "ann", "created_at": "2026", "policies": ["p", "q"]}]})
    assert "p, q" in run("users", "list").stdout
    told = {"policies": [{"name": "p", "type": "Custom", "updated_at": "2026", "description": "All."}]}
    api.answer("GET", "/addonry/v1/policies", told)
    assert "Custom" in run("policies", "list").stdout
    key = {
        "name": "ci",
        "access_key_id": "STS.1",
        "user": "ann",
        "created_at": "2026",
        "expires_at": "2027",
        "is_root": False,
        "enabled": False,
    }
    api.answer("GET", "/addonry/v1/keys", {"keys": [key]})
    assert "disabled until 2027" in run("keys", "list").stdout


def test_the_audit_log_is_filtered_and_told_in_one_line_a_call(api, run):
    record = {
        "time": "2026-11-23T08:00:00.000Z",
        "request_id": "R",
        "operation": "DeleteCluster",
        "method": "DELETE",
        "path": "/clusters/c1",
        "cluster_id": "c1",
        "access_key_id": "AK1",
        "user": "ann",
        "source_ip": "192.0.2.1",
        "status": 403,
        "code": "StatusForbidden",
        "allowed_by": "",
        "milliseconds": 3,
    }
    api.answer("GET", "/addonry/v1/audit", {"records": [record], "page_info": {"total_count": 1}})
    result = run("audit", "--user", "ann", "--operation", "DeleteCluster", "--key", "AK1", "--limit", "5")
    for word in ("ann", "192.0.2.1", "DeleteCluster", "403 StatusForbidden"):
        assert word in result.stdout
    target = api.find("GET", "/addonry/v1/audit").target
    for part in ("user=ann", "operation=DeleteCluster", "access_key_id=AK1", "page_size=5"):
        assert part in target
    assert json.loads(run("audit", "-o", "json").stdout) == {"records": [record]}
