"""A kubeconfig is read by ourselves: what it may say, what it may not, and that nothing secret comes out of it."""

import asyncio
import base64
import json
import stat
import sys
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from addonry.kube.kubeconfig import MAX_BYTES, Access, Credentials, read_kubeconfig, ssl_context
from addonry.model.errors import ClusterRefused, KubeconfigRejected

TOKEN = "s3cret-t0ken"


def certificate() -> tuple[bytes, bytes]:
    """A certificate that signs itself, and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM), private


CERTIFICATE, KEY = certificate()


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def a_kubeconfig(*, cluster: dict | None = None, user: dict | None = None, **more) -> str:
    """A whole kubeconfig; members of *cluster* and *user* replace the usual ones, None removes them."""
    server = {"server": "https://10.0.0.1:6443", "certificate-authority-data": encoded(CERTIFICATE), **(cluster or {})}
    who = {"token": TOKEN, **(user or {})}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "main",
        "contexts": [{"name": "main", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
        "clusters": [{"name": "c", "cluster": {key: value for key, value in server.items() if value is not None}}],
        "users": [{"name": "u", "user": {key: value for key, value in who.items() if value is not None}}],
        **more,
    }
    return yaml.safe_dump({key: value for key, value in document.items() if value is not None})


def test_the_current_context_gives_server_authority_and_token():
    access = read_kubeconfig(a_kubeconfig())
    assert (access.server, access.host, access.namespace) == ("https://10.0.0.1:6443", "10.0.0.1:6443", "team")
    assert (access.token, access.authority) == (TOKEN, CERTIFICATE)


def test_a_named_context_wins_over_the_current_one():
    contexts = [
        {"name": "main", "context": {"cluster": "c", "user": "u"}},
        {"name": "other", "context": {"cluster": "c"}},
    ]
    assert read_kubeconfig(a_kubeconfig(contexts=contexts), context="other").token == ""


REJECTED = {
    "not YAML": ("a: [", "not YAML"),
    "a list": ("- a", "not a YAML mapping"),
    "empty": ("", "not a YAML mapping"),
    "an HTML page": ("<html><body>Login</body></html>", "not a YAML mapping"),
    "a date out of range": ("a: 2026-99-99", "not YAML"),
    "another kind": ("kind: Pod", "kind is not Config"),
    "no contexts": (a_kubeconfig(contexts=None), "no contexts"),
    "contexts of a wrong type": (a_kubeconfig(contexts="main"), "contexts is not a list"),
    "no current-context": (a_kubeconfig(**{"current-context": None}), "no current-context"),
    "an unknown context": (a_kubeconfig(**{"current-context": "nope"}), "no context 'nope'; there are main"),
    "no such cluster": (a_kubeconfig(clusters=[]), "no cluster 'c'"),
    "no such user": (a_kubeconfig(users=[]), "no user 'u'"),
    "an empty cluster": (a_kubeconfig(clusters=[{"name": "c", "cluster": None}]), "empty or not a mapping"),
    "no server": (a_kubeconfig(cluster={"server": None}), "cluster.server is missing"),
    "a server that is no URL": (a_kubeconfig(cluster={"server": "https://a:b:c"}), "cluster.server is not a URL"),
    "a server with another scheme": (a_kubeconfig(cluster={"server": "unix:///var/run/x"}), "cluster.server"),
    "a server without a host": (a_kubeconfig(cluster={"server": "https://"}), "cluster.server"),
    "a host that cannot be": (a_kubeconfig(cluster={"server": f"https://{'a' * 70}.b"}), "cluster.server"),
    "a server that is a number": (a_kubeconfig(cluster={"server": 7}), "cluster.server is not text"),
    "credentials in the address": (a_kubeconfig(cluster={"server": f"https://u:{TOKEN}@h"}), "holds credentials"),
    "bad base64": (a_kubeconfig(cluster={"certificate-authority-data": "%%%"}), "authority-data is not base64"),
    "base64 of nothing known": (
        a_kubeconfig(cluster={"certificate-authority-data": encoded(b"hello")}),
        "certificate-authority holds no certificate",
    ),
    "an authority that is not used": (a_kubeconfig(cluster={"insecure-skip-tls-verify": True}), "asks not to use it"),
    "a flag that is text": (a_kubeconfig(cluster={"insecure-skip-tls-verify": "yes"}), "neither true nor false"),
    "a proxy of an unknown kind": (a_kubeconfig(cluster={"proxy-url": "socks5://p:1"}), "cluster.proxy-url"),
    "a token that is a date": (
        a_kubeconfig(user={"token": datetime(2026, 1, 1, tzinfo=UTC)}),
        "user.token is not text",
    ),
    "a token with a line break": (a_kubeconfig(user={"token": "a\r\nX: y"}), "user.token holds characters"),
    "a certificate without a key": (
        a_kubeconfig(user={"client-certificate-data": encoded(CERTIFICATE)}),
        "client-key is missing",
    ),
    "a key that does not fit": (
        a_kubeconfig(
            user={
                "client-certificate-data": encoded(CERTIFICATE),
                "client-key-data": encoded(certificate()[1]),
            }
        ),
        "no matching pair",
    ),
    "an auth-provider": (a_kubeconfig(user={"auth-provider": {"name": "gcp"}}), "auth-provider is no longer supported"),
    "groups without a user to be": (a_kubeconfig(user={"as-groups": ["admins"]}), "user.as is missing"),
    "an alias": ("a: &x [1]\nb: *x", "aliases"),
    "endless nesting": ("[" * 2000, ""),
    "too large": ("a: " + "b" * MAX_BYTES, "larger than 1024 KiB"),
    "not UTF-8": (b"a: \xff\xfe\x00", "not YAML"),
}


@pytest.mark.parametrize(("text", "says"), REJECTED.values(), ids=REJECTED.keys())
def test_junk_is_rejected_and_the_reason_is_named(text, says):
    with pytest.raises(KubeconfigRejected) as caught:
        read_kubeconfig(text)
    assert says in caught.value.message
    assert caught.value.remedy


FORBIDDEN = {
    "user.exec": {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": [TOKEN]}},
    "user.auth-provider": {"auth-provider": {"name": TOKEN}},
    "user.tokenFile": {"tokenFile": f"/{TOKEN}"},
    "user.client-certificate": {"client-certificate": f"/{TOKEN}", "client-key-data": encoded(KEY)},
    "user.client-key": {"client-key": f"/{TOKEN}", "client-certificate-data": encoded(CERTIFICATE)},
}


@pytest.mark.parametrize(("field", "user"), FORBIDDEN.items())
def test_an_uploaded_kubeconfig_runs_nothing_and_reads_nothing(field, user):
    """The field is named, its value is not."""
    with pytest.raises(KubeconfigRejected) as caught:
        read_kubeconfig(a_kubeconfig(user=user))
    assert field in caught.value.message
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_an_uploaded_kubeconfig_names_no_authority_file():
    text = a_kubeconfig(cluster={"certificate-authority": "/etc/passwd", "certificate-authority-data": None})
    with pytest.raises(KubeconfigRejected, match=r"cluster\.certificate-authority names a file"):
        read_kubeconfig(text)


def test_bad_yaml_is_not_quoted():
    """PyYAML shows the line it stumbles over, which may hold a token."""
    with pytest.raises(KubeconfigRejected) as caught:
        read_kubeconfig(f"users: [{{token: {TOKEN}\nx")
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_many_aliases_cost_nothing():
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    with pytest.raises(KubeconfigRejected, match="aliases"):
        read_kubeconfig(bomb)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "contexts",
                        "clusters",
                        "users",
                        "current-context",
                        "name",
                        "cluster",
                        "user",
                        "context",
                        "server",
                        "token",
                        "exec",
                        "kind",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
    )
)
def test_no_document_raises_anything_but_a_rejection(document):
    text = yaml.safe_dump(document)
    try:
        access = read_kubeconfig(text)
    except KubeconfigRejected:
        return
    assert access.server


def test_nothing_secret_is_in_a_repr():
    user = {
        "username": "me",
        "password": "pa55word",
        "client-certificate-data": encoded(CERTIFICATE),
        "client-key-data": encoded(KEY),
    }
    access = read_kubeconfig(a_kubeconfig(user=user, cluster={"proxy-url": "http://me:pr0xy@proxy:3128"}))
    for secret in (TOKEN, "pa55word", "pr0xy", "BEGIN"):
        assert secret not in repr(access)
        assert secret not in str(access)


def test_tls_trusts_the_clusters_authority_alone():
    context = ssl_context(read_kubeconfig(a_kubeconfig()))
    assert context is not None
    assert context.cert_store_stats()["x509"] == 1
    assert context.check_hostname


def test_each_cluster_has_a_tls_context_of_its_own():
    access = read_kubeconfig(a_kubeconfig())
    assert ssl_context(access) is not ssl_context(access)


def test_plain_http_has_no_tls():
    assert ssl_context(read_kubeconfig(a_kubeconfig(cluster={"server": "http://127.0.0.1:1"}))) is None


def test_a_client_certificate_is_taken_inline():
    user = {"token": None, "client-certificate-data": encoded(CERTIFICATE), "client-key-data": encoded(KEY)}
    access = read_kubeconfig(a_kubeconfig(user=user))
    assert (access.certificate, access.key) == (CERTIFICATE, KEY)


def test_files_are_read_relative_to_the_kubeconfig_where_that_is_allowed(tmp_path):
    (tmp_path / "ca.pem").write_bytes(CERTIFICATE)
    text = a_kubeconfig(cluster={"certificate-authority": "ca.pem", "certificate-authority-data": None})
    assert read_kubeconfig(text, may_run_plugins=True, base=tmp_path).authority == CERTIFICATE


def test_a_missing_file_is_named_by_its_field(tmp_path):
    text = a_kubeconfig(cluster={"certificate-authority": "ca.pem", "certificate-authority-data": None})
    with pytest.raises(KubeconfigRejected, match="No such file"):
        read_kubeconfig(text, may_run_plugins=True, base=tmp_path)


def test_impersonation_is_taken_over():
    user = {"as": "jane", "as-groups": ["dev", "ops"], "as-user-extra": {"reason": ["audit"]}}
    whom = read_kubeconfig(a_kubeconfig(user=user)).impersonation
    assert whom is not None
    assert (whom.user, whom.groups, whom.extra) == ("jane", ("dev", "ops"), (("reason", ("audit",)),))


def test_what_helm_gets_says_the_same_and_names_no_file(tmp_path):
    """Read again by the strict reader, it gives the same access."""
    (tmp_path / "token").write_text(TOKEN)
    user = {"token": None, "tokenFile": "token", "as": "jane", "as-groups": ["dev"]}
    cluster = {"tls-server-name": "kubernetes", "proxy-url": "http://proxy:3128"}
    access = read_kubeconfig(a_kubeconfig(user=user, cluster=cluster), may_run_plugins=True, base=tmp_path)
    credential = asyncio.run(Credentials(access).current())
    again = read_kubeconfig(access.for_helm(credential))
    assert again.token == TOKEN
    for name in ("server", "namespace", "authority", "tls_server_name", "proxy", "impersonation"):
        assert getattr(again, name) == getattr(access, name)


def test_what_helm_gets_holds_one_context_only():
    contexts = [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in ("main", "other")]
    document = yaml.safe_load(read_kubeconfig(a_kubeconfig(contexts=contexts)).for_helm())
    assert [len(document[each]) for each in ("contexts", "clusters", "users")] == [1, 1, 1]


# Plugins, on the user's own machine.

V1 = "client.authentication.k8s.io/v1"


def a_plugin(directory: Path, script: str) -> Path:
    path = directory / "plugin"
    path.write_text(f"#!{sys.executable}\nimport json, os, sys\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def with_plugin(directory: Path, script: str, **spec) -> Access:
    a_plugin(directory, script)
    user = {"token": None, "exec": {"apiVersion": V1, "command": "./plugin", "interactiveMode": "Never", **spec}}
    return read_kubeconfig(a_kubeconfig(user=user), may_run_plugins=True, base=directory)


def answering(version: str = V1, **status) -> str:
    return f"print({json.dumps(json.dumps({'apiVersion': version, 'kind': 'ExecCredential', 'status': status}))})"


@pytest.mark.parametrize("version", [V1, "client.authentication.k8s.io/v1beta1"])
async def test_a_plugin_gives_the_token(tmp_path, version):
    access = with_plugin(tmp_path, answering(version, token=TOKEN), apiVersion=version)
    assert (await Credentials(access).current()).token == TOKEN


async def test_a_plugin_gives_a_certificate(tmp_path):
    script = answering(clientCertificateData=CERTIFICATE.decode(), clientKeyData=KEY.decode())
    access = with_plugin(tmp_path, script)
    credential = await Credentials(access).current()
    assert (credential.certificate, credential.key) == (CERTIFICATE, KEY)
    assert ssl_context(access, credential) is not None


COUNTING = """
path = sys.argv[1]
count = int(open(path).read()) + 1 if os.path.exists(path) else 1
open(path, "w").write(str(count))
status = {"token": f"token-{count}", "expirationTimestamp": sys.argv[2]}
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}))
"""


@pytest.mark.parametrize(("lasts", "asked"), [(timedelta(hours=1), 1), (timedelta(seconds=-1), 2)])
async def test_a_plugin_is_asked_again_when_its_token_has_expired(tmp_path, lasts, asked):
    moment = (datetime.now(UTC) + lasts).isoformat().replace("+00:00", "Z")
    credentials = Credentials(with_plugin(tmp_path, COUNTING, args=[str(tmp_path / "count"), moment]))
    await credentials.current()
    assert (await credentials.current()).token == f"token-{asked}"


async def test_a_refused_token_is_replaced_once_however_many_ask(tmp_path):
    moment = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    credentials = Credentials(with_plugin(tmp_path, COUNTING, args=[str(tmp_path / "count"), moment]))
    first = await credentials.current()
    again = await asyncio.gather(*(credentials.current(not_this=first) for _ in range(5)))
    assert {each.token for each in again} == {"token-2"}


async def test_a_plugin_learns_of_the_cluster_when_the_kubeconfig_says_so(tmp_path):
    script = """
cluster = json.loads(os.environ["KUBERNETES_EXEC_INFO"])["spec"]["cluster"]
status = {"token": cluster["server"] + " " + cluster["config"]["audience"] + " " + os.environ["REGION"]}
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}))
"""
    a_plugin(tmp_path, script)
    spec = {
        "apiVersion": V1,
        "command": "./plugin",
        "provideClusterInfo": True,
        "env": [{"name": "REGION", "value": "north"}],
    }
    extension = [{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "prod"}}]
    text = a_kubeconfig(user={"token": None, "exec": spec}, cluster={"extensions": extension})
    access = read_kubeconfig(text, may_run_plugins=True, base=tmp_path)
    assert (await Credentials(access).current()).token == "https://10.0.0.1:6443 prod north"


FAILING = {
    "exits": ("sys.exit('log in first with: cloud login')", "log in first with: cloud login"),
    "prints nothing": ("", "not JSON"),
    "prints another kind": ("print('{}')", "no ExecCredential"),
    "speaks another version": (answering("client.authentication.k8s.io/v1beta1", token="x"), "another version"),
    "has no token": (answering(), "neither a token"),
    "has half a certificate": (answering(clientCertificateData="x"), "neither a token"),
    "has no moment": (answering(token="x", expirationTimestamp="soon"), "no moment"),
}


@pytest.mark.parametrize(("script", "says"), FAILING.values(), ids=FAILING.keys())
async def test_a_failing_plugin_is_an_error_with_its_own_words(tmp_path, script, says):
    with pytest.raises(ClusterRefused) as caught:
        await Credentials(with_plugin(tmp_path, script)).current()
    assert says in caught.value.message
    assert "plugin" in caught.value.remedy


async def test_a_missing_plugin_comes_with_its_install_hint(tmp_path):
    access = with_plugin(tmp_path, "", command="no-such-plugin", installHint="Install the cloud CLI.")
    with pytest.raises(ClusterRefused) as caught:
        await Credentials(access).current()
    assert caught.value.remedy == "Install the cloud CLI."


def test_a_plugin_that_wants_to_ask_somebody_is_rejected(tmp_path):
    with pytest.raises(KubeconfigRejected, match="interactiveMode"):
        with_plugin(tmp_path, "", interactiveMode="Always")
