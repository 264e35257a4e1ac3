"""What `addonry simulate` is asked for, and what it starts."""

import json
import ssl
import urllib.request
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from addonry.cli.commands.simulate import Wanted, run_clusters
from addonry.cli.root import addonry


def test_populations_and_versions_are_taken_in_turn_until_every_pair_was_there():
    wanted = Wanted(("eks", "ack"), ("1.31", "1.33"))
    assert [wanted.of(place) for place in range(5)] == [
        ("eks", "1.31"),
        ("ack", "1.31"),
        ("eks", "1.33"),
        ("ack", "1.33"),
        ("eks", "1.31"),
    ]
    assert Wanted().of(3) == ("demo", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--population", "gke"], "'gke' is unknown; there are ack, bare"),
        (["--population", "eks,"], "'' is unknown"),
        (["--kubernetes", "1.27"], "there are 1.28 to 1.37"),
        (["--kubernetes", "1.31,newest"], "'newest' is no Kubernetes version"),
        (["--empty", "--population", "eks"], "exclude each other"),
    ],
)
def test_what_is_not_simulated_is_wrong_usage(arguments, said):
    done = CliRunner().invoke(addonry, ["simulate", *arguments])
    assert done.exit_code == 2
    assert said in done.output


def test_each_cluster_is_reached_with_its_own_kubeconfig(tmp_path: Path):
    wanted = Wanted(("k3s", "bare"), ("1.30",), tls=True)
    with run_clusters(3, out=tmp_path, wanted=wanted) as running:
        versions = []
        for path in running.kubeconfigs.values():
            config = yaml.safe_load(path.read_text())
            request = urllib.request.Request(f"{config['clusters'][0]['cluster']['server']}/version")
            request.add_header("Authorization", f"Bearer {config['users'][0]['user']['token']}")
            with urllib.request.urlopen(request, context=ssl._create_unverified_context()) as answer:
                versions.append(json.load(answer)["gitVersion"])
    assert versions == ["v1.30.14+k3s1", "v1.30.14", "v1.30.14+k3s1"]
