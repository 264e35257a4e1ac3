"""Which service a command speaks to, and with which key."""

import json
import threading

import pytest

from addonry.cli.errors import Failed
from addonry.cli.session import Where, find_running, open_session
from addonry.model.errors import DataDirectoryBusy

from .conftest import KEY

SECRET = "another-secret"


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def write_root_key(data):
    (data / "root.key").write_text(json.dumps({"access_key_id": "ROOT", "access_key_secret": SECRET}))


def write_service(data, address):
    (data / "service.json").write_text(json.dumps({"address": address, "pid": 1}))


def credential_of(asked):
    return asked.headers["authorization"].partition("Credential=")[2].partition(",")[0]


def test_the_service_on_the_data_directory_is_used_with_its_root_key(api, alone, data):
    api.answer("GET", "/healthz", {})
    api.answer("GET", "/addonry/v1/keys", {"keys": []})
    write_service(data, api.url)
    write_root_key(data)
    assert alone("keys", "list", "--data", str(data)).exit_code == 0
    assert credential_of(api.find("GET", "/addonry/v1/keys")) == "ROOT"


@pytest.mark.parametrize("given", ["before", "after", "environment"])
def test_the_data_directory_can_be_named_in_three_places(api, alone, data, given):
    api.answer("GET", "/healthz", {})
    api.answer("GET", "/addonry/v1/keys", {"keys": []})
    write_service(data, api.url)
    write_root_key(data)
    arguments = {
        "before": ["--data", str(data), "keys", "list"],
        "after": ["keys", "list", "--data", str(data)],
        "environment": ["keys", "list"],
    }
    if given == "environment":
        alone.env["ADDONRY_DATA"] = str(data)
    assert alone(*arguments[given]).exit_code == 0


@pytest.mark.parametrize("given", ["before", "after"])
def test_an_endpoint_wins_over_the_environment(api, run, given):
    api.answer("GET", "/addonry/v1/keys", {"keys": []})
    run.env["ADDONRY_ENDPOINT"] = "http://127.0.0.1:1"
    arguments = ["keys", "list"]
    option = ["--endpoint", api.url]
    assert run(*([*option, *arguments] if given == "before" else [*arguments, *option])).exit_code == 0


def test_an_endpoint_without_a_key_says_how_to_get_one(alone):
    result = alone("keys", "list", "--endpoint", "http://127.0.0.1:1")
    assert result.exit_code == 1
    assert "ADDONRY_ACCESS_KEY_SECRET" in result.stderr


def test_half_a_key_is_refused(api, run):
    del run.env["ADDONRY_ACCESS_KEY_SECRET"]
    result = run("keys", "list")
    assert result.exit_code == 1
    assert "one half" in result.stderr
    assert api.asked == []


def test_a_service_that_was_killed_is_not_taken_for_a_running_one(data):
    write_service(data, "http://127.0.0.1:1")
    assert find_running(data) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"address": 5}', '{"address": "ftp://x"}'])
def test_a_damaged_service_file_is_no_running_service(data, text):
    (data / "service.json").write_text(text)
    assert find_running(data) is None


def test_a_damaged_root_key_is_told_without_its_contents(api, alone, data):
    api.answer("GET", "/healthz", {})
    write_service(data, api.url)
    (data / "root.key").write_text(f'{{"access_key_secret": "{SECRET}"')
    result = alone("keys", "list", "--data", str(data))
    assert result.exit_code == 1
    assert "root.key" in result.stderr
    assert SECRET not in result.output


def test_without_a_running_service_the_embedded_one_is_used_and_ended(api, monkeypatch, data):
    """The embedded service is reached by the same client over HTTP; here only its start is replaced."""
    ended = threading.Event()

    class Embedded:
        def __init__(self, where):
            write_root_key(where)

        def start(self):
            return api.url

        def stop(self):
            ended.set()

    monkeypatch.setattr("addonry.cli.embedded.Embedded", Embedded)
    api.answer("GET", "/x", {"a": 1})
    with open_session(Where(None, str(data))) as session:
        assert session.is_embedded
        assert session.client.get("/x") == {"a": 1}
    assert ended.is_set()


def test_a_service_that_is_just_starting_is_waited_for(api, monkeypatch, data):
    """It holds the directory before it answers; a command must neither fail nor open a second one."""

    class Embedded:
        def __init__(self, where):
            self.data = where

        def start(self):
            api.answer("GET", "/healthz", {})
            write_root_key(self.data)
            write_service(self.data, api.url)
            raise DataDirectoryBusy("Another Addonry works there.")

    monkeypatch.setattr("addonry.cli.embedded.Embedded", Embedded)
    with open_session(Where(None, str(data))) as session:
        assert not session.is_embedded
        assert str(session.client.address) == api.url


def clusters(*pairs):
    return {
        "clusters": [{"cluster_id": cluster, "name": name} for cluster, name in pairs],
        "page_info": {"page_number": 1, "page_size": 100, "total_count": len(pairs)},
    }


@pytest.fixture
def session(api, monkeypatch):
    monkeypatch.setenv("ADDONRY_ACCESS_KEY_ID", KEY[0])
    monkeypatch.setenv("ADDONRY_ACCESS_KEY_SECRET", KEY[1])
    with open_session(Where(api.url, None)) as opened:
        yield opened


def test_a_cluster_is_found_by_name_and_by_id(api, session):
    api.answer("GET", "/api/v1/clusters", clusters(("c1", "prod"), ("c2", "prod-2")))
    assert session.cluster_id("prod") == "c1"
    assert session.cluster_id("c2") == "c2"


def test_an_unknown_cluster_is_told_with_those_there_are(api, session):
    api.answer("GET", "/api/v1/clusters", clusters(("c1", "prod")))
    with pytest.raises(Failed, match="no cluster 'x'; there are: prod"):
        session.cluster_id("x")


def test_an_ambiguous_name_is_refused_with_the_ids_to_choose_from(api, session):
    api.answer("GET", "/api/v1/clusters", clusters(("c1", "prod"), ("c2", "prod")))
    with pytest.raises(Failed, match="c1 or c2"):
        session.cluster_id("prod")


def test_a_long_list_is_read_page_by_page(api, session):
    pages = [
        {"items": [{"n": n} for n in numbers], "page_info": {"total_count": 5}} for numbers in ((1, 2), (3, 4), (5,))
    ]
    api.answer("GET", "/list", *pages)
    assert [each["n"] for each in session.pages("/list", "items")] == [1, 2, 3, 4, 5]
    assert [each.target.partition("page_number=")[2][0] for each in api.asked] == ["1", "2", "3"]


def test_no_more_is_read_of_a_list_than_was_asked_for(api, session):
    api.answer("GET", "/list", {"items": [{"n": 1}, {"n": 2}, {"n": 3}], "page_info": {"total_count": 9}})
    assert [each["n"] for each in session.pages("/list", "items", most=2)] == [1, 2]
    assert len(api.asked) == 1
