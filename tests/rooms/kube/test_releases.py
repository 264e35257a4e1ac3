"""Helm's release records: ours to read, and once to write back."""

import base64
import gzip
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from addonry.kube.helm.releases import (
    MAX_UNPACKED,
    Release,
    ReleaseUnreadable,
    decode_release,
    document_from_secret,
    encode_release,
    newest,
    newest_deployed,
    release_from_secret,
)
from addonry.model.components import ReleaseStatus
from addonry.model.errors import ClusterRejected


def a_document(**given: Any) -> dict[str, Any]:
    """What Helm 4.2.3 stores, reduced; the form is that of a recorded install."""
    return {
        "name": "coredns",
        "info": {
            "first_deployed": "2026-11-23T08:27:12.291275622Z",
            "last_deployed": "2026-11-23T08:27:13.417929889Z",
            "description": "Install complete",
            "status": "deployed",
            "notes": "Installed.\n",
        },
        "chart": {
            "metadata": {
                "name": "coredns",
                "version": "1.45.0",
                "appVersion": "1.12.3",
                "apiVersion": "v2",
                "kubeVersion": ">=1.28.0-0",
            },
            "templates": [{"name": "templates/a.yaml", "data": "YQ=="}],
            "values": {"replicas": 2},
        },
        "config": {"replicas": 3, "password": "hunter2"},
        "manifest": "---\n# Source: coredns/templates/a.yaml\nkind: ConfigMap\n",
        "hooks": [],
        "version": 4,
        "namespace": "kube-system",
        "apply_method": "ssa",
        **given,
    }


def a_secret(document: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": "sh.helm.release.v1.coredns.v4"},
        "type": "helm.sh/release.v1",
        "data": {"release": encode_release(document)},
    }


def a_release(revision: int, status: ReleaseStatus) -> Release:
    return Release("coredns", "kube-system", revision, status, "coredns", "1.45.0")


def test_a_secret_of_helm_is_read():
    release = release_from_secret(a_secret(a_document()))
    assert release == Release(
        name="coredns",
        namespace="kube-system",
        revision=4,
        status=ReleaseStatus.DEPLOYED,
        chart="coredns",
        chart_version="1.45.0",
        app_version="1.12.3",
        kube_version=">=1.28.0-0",
        values={"replicas": 3, "password": "hunter2"},
        manifest="---\n# Source: coredns/templates/a.yaml\nkind: ConfigMap\n",
        description="Install complete",
        created_at=datetime(2026, 11, 23, 8, 27, 12, 291275, tzinfo=UTC),
        modified_at=datetime(2026, 11, 23, 8, 27, 13, 417929, tzinfo=UTC),
        apply_method="ssa",
    )
    assert release.secret_name == "sh.helm.release.v1.coredns.v4"
    assert release.is_server_side


def test_one_layer_of_base64_is_read_too():
    """A watch that decodes Secret data hands over what Helm itself wrote."""
    once = base64.b64decode(encode_release(a_document()))
    assert decode_release(once) == decode_release(encode_release(a_document()))


def test_a_record_that_was_never_packed_is_read():
    plain = base64.b64encode(json.dumps(a_document()).encode())
    assert decode_release(plain).revision == 4


def test_what_is_written_back_is_what_was_read():
    document = a_document()
    assert document_from_secret(a_secret(document)) == document


def test_a_release_of_helm_3_has_no_apply_method_and_is_not_server_side():
    document = a_document(config=None)
    del document["apply_method"]
    release = decode_release(encode_release(document))
    assert not release.is_server_side
    assert release.values == {}


def test_a_status_nobody_knows_is_unknown():
    assert decode_release(encode_release(a_document(info={"status": "sleeping"}))).status is ReleaseStatus.UNKNOWN
    assert decode_release(encode_release(a_document(info=None))).status is ReleaseStatus.UNKNOWN


@pytest.mark.parametrize(
    "junk",
    [
        "",
        "!!!",
        base64.b64encode(b"plain words"),
        base64.b64encode(base64.b64encode(b"\x1f\x8bnot gzip")),
        base64.b64encode(base64.b64encode(gzip.compress(json.dumps(a_document()).encode())[:-9])),
        base64.b64encode(base64.b64encode(gzip.compress(b"[1, 2]"))),
        base64.b64encode(base64.b64encode(gzip.compress(b'{"name": 7}'))),
        base64.b64encode(base64.b64encode(gzip.compress(b'{"name": "x"}'))),
        base64.b64encode(base64.b64encode(gzip.compress(b'{"name": "\xff"}'))),
    ],
    ids=[
        "nothing",
        "no base64",
        "no second base64",
        "no gzip",
        "cut off",
        "a list",
        "a number",
        "no chart",
        "no UTF-8",
    ],
)
def test_junk_is_the_clusters_fault_and_not_a_crash(junk):
    with pytest.raises(ReleaseUnreadable) as caught:
        decode_release(junk)
    assert isinstance(caught.value, ClusterRejected)
    assert caught.value.remedy


def test_a_record_that_unpacks_without_end_is_refused():
    """A Secret of one MiB could otherwise fill the memory of the service."""
    bomb = gzip.compress(b" " * (MAX_UNPACKED + 1))
    assert len(bomb) < 1024 * 1024
    with pytest.raises(ReleaseUnreadable, match="more than 32 MiB"):
        decode_release(base64.b64encode(bomb))


@pytest.mark.parametrize(
    "secret", [{}, {"data": None}, {"data": {}}, {"data": {"release": 5}}, {"metadata": {"name": "x"}}]
)
def test_a_secret_without_a_release_says_so(secret):
    with pytest.raises(ReleaseUnreadable, match="holds no Helm release"):
        release_from_secret(secret)


def test_values_and_manifests_stay_out_of_the_repr():
    """A release may end up in a log line; its values and Secrets must not."""
    told = repr(decode_release(encode_release(a_document(manifest="kind: Secret # hunter2"))))
    assert "hunter2" not in told


def test_errors_do_not_quote_the_record():
    with pytest.raises(ReleaseUnreadable) as caught:
        decode_release(encode_release(a_document(config="hunter2")))
    assert "hunter2" not in str(caught.value)


def test_the_newest_revision_and_the_newest_deployed_one_are_told_apart():
    history = [
        a_release(2, ReleaseStatus.DEPLOYED),
        a_release(3, ReleaseStatus.FAILED),
        a_release(1, ReleaseStatus.SUPERSEDED),
    ]
    last, running = newest(history), newest_deployed(history)
    assert last is not None
    assert running is not None
    assert (last.revision, running.revision) == (3, 2)
    assert newest([]) is None
    assert newest_deployed([a_release(1, ReleaseStatus.FAILED)]) is None
