"""The user's kubeconfig: found, chosen from, made self-contained."""

import base64
import os
import stat

import pytest
import yaml

from addonry.cli.errors import Failed
from addonry.cli.kubeconfigs import read_kubeconfig
from addonry.model.errors import ClusterRefused, KubeconfigRejected
from addonry.simulator.tls import Authority

TOKEN = "a-very-secret-token"


@pytest.fixture(scope="module")
def authority() -> bytes:
    return Authority("somebody's").certificate


def kubeconfig(path, *names, current=None, user=None, **cluster):
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": names[0] if current is None else current,
        "clusters": [{"name": n, "cluster": {"server": f"https://{path.stem}-{n}", **cluster}} for n in names],
        "users": [{"name": n, "user": user or {"token": TOKEN}} for n in names],
        "contexts": [{"name": n, "context": {"cluster": n, "user": n, "namespace": "here"}} for n in names],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_current_context_is_chosen_unless_another_is_named(tmp_path):
    file = kubeconfig(tmp_path / "k", "a", "b")
    assert read_kubeconfig(str(file), None).server == "https://k-a"
    assert read_kubeconfig(str(file), "b").server == "https://k-b"


def test_only_the_chosen_context_is_passed_on(tmp_path):
    file = kubeconfig(tmp_path / "k", "a", "b")
    written = yaml.safe_load(read_kubeconfig(str(file), "b").self_contained(allow_expiring=False))
    assert [len(written[kind]) for kind in ("clusters", "contexts", "users")] == [1, 1, 1]
    assert written["clusters"][0]["cluster"]["server"] == "https://k-b"
    assert written["contexts"][0]["context"]["namespace"] == "here"


def test_the_files_of_the_environment_are_taken_together_and_the_first_wins(tmp_path, monkeypatch):
    first = kubeconfig(tmp_path / "first", "a", current="b")
    second = kubeconfig(tmp_path / "second", "a", "b")
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, (tmp_path / "missing", first, second))))
    assert read_kubeconfig(None, None).server == "https://second-b"
    assert read_kubeconfig(None, "a").server == "https://first-a"


def test_the_home_folder_is_looked_into_last(tmp_path, monkeypatch):
    (tmp_path / ".kube").mkdir()
    kubeconfig(tmp_path / ".kube" / "config", "a")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_kubeconfig(None, None).context == "a"


def test_files_beside_the_kubeconfig_are_inlined(tmp_path, monkeypatch, authority):
    (tmp_path / "ca.pem").write_bytes(authority)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    file = kubeconfig(tmp_path / "k", "a", user={"tokenFile": "token"}, **{"certificate-authority": "ca.pem"})
    monkeypatch.chdir("/")
    written = yaml.safe_load(read_kubeconfig(str(file), None).self_contained(allow_expiring=False))
    cluster, user = written["clusters"][0]["cluster"], written["users"][0]["user"]
    assert base64.b64decode(cluster["certificate-authority-data"]) == authority
    assert user == {"token": TOKEN}
    assert "certificate-authority" not in cluster


def test_contents_win_over_the_file_of_the_same_thing(tmp_path, authority):
    inline = base64.b64encode(authority).decode()
    file = kubeconfig(
        tmp_path / "k", "a", **{"certificate-authority": "gone.pem", "certificate-authority-data": inline}
    )
    written = yaml.safe_load(read_kubeconfig(str(file), None).self_contained(allow_expiring=False))
    assert written["clusters"][0]["cluster"]["certificate-authority-data"] == inline


def test_a_file_that_is_not_there_is_named(tmp_path):
    file = kubeconfig(tmp_path / "k", "a", user={"client-certificate": "gone.pem"})
    with pytest.raises(KubeconfigRejected, match="client-certificate"):
        read_kubeconfig(str(file), None).self_contained(allow_expiring=False)


def plugin(tmp_path, script):
    command = tmp_path / "plugin"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(command)}}


def test_what_a_plugin_hands_out_is_not_registered_unasked(tmp_path):
    ran = tmp_path / "ran"
    file = kubeconfig(tmp_path / "k", "a", user=plugin(tmp_path, f"touch {ran}"))
    with pytest.raises(Failed, match="expire") as caught:
        read_kubeconfig(str(file), None).self_contained(allow_expiring=False)
    assert "--allow-expiring" in caught.value.message
    assert not ran.exists()


def test_the_present_token_of_a_plugin_is_registered_when_asked_to(tmp_path):
    answer = f'{{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": {{"token": "{TOKEN}"}}}}'
    file = kubeconfig(tmp_path / "k", "a", user=plugin(tmp_path, f"echo '{answer}'"))
    written = yaml.safe_load(read_kubeconfig(str(file), None).self_contained(allow_expiring=True))
    assert written["users"][0]["user"] == {"token": TOKEN}


def test_a_plugin_beside_the_kubeconfig_is_found_from_anywhere(tmp_path, monkeypatch):
    user = plugin(tmp_path, "exit 1")
    user["exec"]["command"] = "./plugin"
    file = kubeconfig(tmp_path / "k", "a", user=user)
    monkeypatch.chdir("/")
    written = yaml.safe_load(read_kubeconfig(str(file), None).text())
    assert written["users"][0]["user"]["exec"]["command"] == str(tmp_path / "plugin")


def test_a_plugin_that_fails_is_named_without_what_it_said(tmp_path):
    file = kubeconfig(tmp_path / "k", "a", user=plugin(tmp_path, f"echo {TOKEN}; exit 1"))
    with pytest.raises(ClusterRefused, match="plugin failed") as caught:
        read_kubeconfig(str(file), None).self_contained(allow_expiring=True)
    assert TOKEN not in caught.value.message


@pytest.mark.parametrize("text", ["", "just text", "[]", "{", "clusters: 5", "a: &a [*a]"])
def test_what_is_no_kubeconfig_is_refused(tmp_path, text):
    (tmp_path / "k").write_text(text)
    with pytest.raises(Failed) as caught:
        read_kubeconfig(str(tmp_path / "k"), None)
    assert "\n" not in caught.value.message


def test_an_unknown_context_is_told_with_those_there_are(tmp_path):
    file = kubeconfig(tmp_path / "k", "a", "b")
    with pytest.raises(Failed, match="there are: a, b"):
        read_kubeconfig(str(file), "c")


def test_a_context_that_points_to_nothing_is_refused(tmp_path):
    file = tmp_path / "k"
    file.write_text("current-context: a\ncontexts: [{name: a, context: {cluster: x, user: y}}]")
    with pytest.raises(Failed, match="'x'"):
        read_kubeconfig(str(file), None)


def test_a_missing_file_is_told_with_its_path(tmp_path):
    with pytest.raises(Failed, match="gone"):
        read_kubeconfig(str(tmp_path / "gone"), None)


def test_without_any_kubeconfig_the_way_on_is_told():
    with pytest.raises(Failed, match="--kubeconfig"):
        read_kubeconfig(None, None)


def test_secrets_are_not_in_the_repr(tmp_path):
    assert TOKEN not in repr(read_kubeconfig(str(kubeconfig(tmp_path / "k", "a")), None))


def test_of_very_many_contexts_only_some_are_told(tmp_path):
    path = kubeconfig(tmp_path / "config", *(f"context-{number}" for number in range(300)))
    with pytest.raises(Failed, match=r"context-11 and 288 more"):
        read_kubeconfig(str(path), "typo")
