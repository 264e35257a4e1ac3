"""What `addonry catalog` prints of what the API tells."""

import json

ITEM = {"name": "mine", "newest": "1.2.0", "versions_count": 2, "category": "", "title": "Mine", "trouble": ""}


def a_version(version, *changes, **more):
    told = {"version": version, "app_version": "", "kubernetes": "", "created_at": "", "deprecated": False}
    return {**told, "changes": [{"kind": kind, "text": text} for kind, text in changes], **more}


def test_versions_that_fix_security_or_break_something_are_told_with_their_publishers_words(api, run):
    api.answer(
        "GET",
        "/addonry/v1/catalog/mine",
        ITEM
        | {
            "repository": "https://charts.test",
            "versions": [
                a_version("1.2.0", ("security", "Closes a hole"), ("added", "A colour"), fixes_security=True),
                a_version("1.1.0", ("", "BREAKING: another port"), breaking=True, deprecated=True),
                *(a_version(f"0.{n}.0", ("security", "x"), fixes_security=True) for n in range(20)),
            ],
        },
    )
    told = run("catalog", "show", "mine")
    lines = told.stdout.splitlines()
    assert lines[1].split() == ["1.2.0", "-", "any", "-", "fixes", "security", "issues"]
    assert lines[2].endswith("breaking changes, deprecated")
    assert "  1.2.0: security: Closes a hole" in lines
    assert "  1.1.0: BREAKING: another port" in lines
    assert lines[-1] == "  and 12 more (-o json)"
    assert "A colour" not in told.stdout


def test_a_reading_that_reached_nothing_has_failed_and_one_that_reached_something_has_not(api, run):
    good, bad = ITEM | {"repository": "https://a.test"}, ITEM | {"repository": "https://b.test", "trouble": "Down."}
    for components, status in (([good, bad], 0), ([bad], 1), ([], 0)):
        api.answer("POST", "/addonry/v1/catalog/sync", {"components": components})
        told = run("catalog", "sync")
        assert told.exit_code == status
        assert ("https://b.test: Down." in told.stdout) is (bad in components)


def test_a_service_older_than_the_command_tells_less(api, run):
    version = {name: value for name, value in a_version("1.2.0").items() if name != "changes"}
    api.answer("GET", "/addonry/v1/catalog/mine", ITEM | {"repository": "", "versions": [version]})
    assert "1.2.0" in run("catalog", "show", "mine").stdout


def test_a_file_that_cannot_be_read_is_told_before_anything_is_asked(api, run, tmp_path):
    good = tmp_path / "good.yaml"
    good.write_text("name: mine\n")
    told = run("catalog", "add", str(good), str(tmp_path / "nowhere.yaml"))
    assert (told.exit_code, api.asked) == (2, [])
    api.answer("POST", "/addonry/v1/catalog/files", ITEM)
    assert run("catalog", "add", str(good)).exit_code == 0
    assert api.find("POST", "/addonry/v1/catalog/files").json == {"content": "name: mine\n"}


def test_a_password_is_sent_as_it_was_given_but_for_its_line_end(api, run):
    host = {"host": "a.test", "username": "robot", "has_token": False, "has_authority": False, "plain_http": False}
    api.answer("PUT", "/addonry/v1/chart-hosts/a.test", host)
    told = run("catalog", "login", "a.test", "--username", "robot", "--password-stdin", stdin=" hunter2 \r\n")
    assert told.exit_code == 0, told.stderr
    sent = api.find("PUT", "/addonry/v1/chart-hosts/a.test").json
    assert (sent["username"], sent["password"], sent["token"]) == ("robot", " hunter2 ", "")
    assert "hunter2" not in told.stdout + told.stderr
    assert run("catalog", "login", "a.test", "--token-stdin", stdin="\n").exit_code == 2


def test_ranges_are_imported_without_a_service(run, tmp_path):
    addons = [
        {
            "addonName": "coredns",
            "addonVersions": [{"addonVersion": "v1.11.3", "compatibilities": [{"clusterVersion": "1.30"}]}],
        }
    ]
    file = tmp_path / "addons.json"
    file.write_text(json.dumps({"addons": addons}))
    told = run("catalog", "import-ranges", "--from", "eks", str(file), "--out", str(tmp_path / "out"))
    assert told.exit_code == 0, told.stderr
    assert "coredns.eks.yaml" in told.stdout
    assert run("catalog", "import-ranges", "--from", "nobody", str(file), "--out", "x").exit_code == 2


def test_the_list_can_be_asked_for_what_is_for_one_thing(api, run):
    listed = [ITEM | {"topic": "storage"}, ITEM | {"name": "other", "topic": "dns"}]
    api.answer("GET", "/addonry/v1/catalog", {"components": listed})
    assert [line.split()[0] for line in run("catalog", "list").stdout.splitlines()] == ["COMPONENT", "mine", "other"]
    api.answer("GET", "/addonry/v1/catalog", {"components": listed})
    [line] = run("catalog", "list", "--topic", "dns").stdout.splitlines()[1:]
    assert line.split()[0] == "other"
    api.answer("GET", "/addonry/v1/catalog", {"components": listed})
    refused = run("catalog", "list", "--topic", "fun")
    assert refused.exit_code == 2
    assert "none of dns, storage" in refused.stderr
