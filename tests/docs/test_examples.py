"""The examples of the pages run as they are printed, in the order in which a reader meets them.

What is put in place of something else: the ports 8080 and 7070, by free ones; ``DATA`` and ``BACKUP``, by directories.
"""

import asyncio
import json
import re
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from addonry.kube.api import Api
from addonry.kube.controllers import RESOURCES
from addonry.kube.kubeconfig import read_kubeconfig
from addonry.settings import Settings
from addonry.simulator import Simulator
from tests.docs.conftest import Reader
from tests.docs.markdown import ROOT, Example, examples, rows, spans
from tests.rooms.kube.cluster_objects import put_crd
from tests.support.kubectl import find_kubectl, why_not_kubectl
from tests.support.waiting import until

README = ROOT / "README.md"
SERVICE = ROOT / "docs" / "guides" / "service.md"
CLUSTERS = ROOT / "docs" / "guides" / "clusters.md"
CATALOG = ROOT / "docs" / "guides" / "catalog.md"
CHECKS = ROOT / "docs" / "guides" / "checks.md"


def shell(page: Path, section: str) -> list[Example]:
    """The shell examples of a section."""
    found = [each for each in examples(page, "sh") if each.section == section]
    assert found, f"{page.name} has no example in {section!r}"
    return found


def one(page: Path, language: str) -> str:
    """The only example in a language."""
    [found] = examples(page, language)
    return found.text


def without_moments(told):
    """The same with every moment but the year 1 as ``then``."""
    text = json.dumps(told)
    return json.loads(re.sub(r'"2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ"', '"then"', text))


def in_order(told) -> str:
    """Equal texts have equal members in equal order."""
    return json.dumps(without_moments(told), indent=1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def data_files(data: Path) -> set[str]:
    return {each.name + ("/" if each.is_dir() else "") for each in data.iterdir()}


def test_no_example_of_the_readme_is_left_out():
    """One more example, or one in another language, wants a test here."""
    told = [(each.language, each.section) for each in examples(README)]
    assert told == [
        ("sh", "Two commands"),
        ("sh", "A first session on your own cluster"),
        ("text", "A first session on your own cluster"),
        ("sh", "A first session on your own cluster"),
        ("sh", "A first session on your own cluster"),
        ("python", "From ACK's SDK"),
        ("json", "From ACK's SDK"),
        ("sh", "Simulated clusters"),
        ("sh", "Simulated clusters"),
    ]


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_the_two_commands_are_the_demo_and_the_tests():
    [example] = shell(README, "Two commands")
    commands = [line.partition("#")[0].strip() for line in example.commands]
    assert commands == ["make demo", "make test"]
    for command, does in zip(commands, ("addonry demo", "-m pytest"), strict=True):
        told = subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=True)
        assert does in told.stdout


@pytest.mark.slow
def test_the_first_session_of_the_readme_works_word_by_word(reader: Reader):
    looking, serving, working = shell(README, "A first session on your own cluster")

    scanned = [reader.types(line).splitlines() for line in looking.commands]
    assert set(one(README, "text").splitlines()) <= set(scanned[0])
    assert not reader.data.exists(), "a scan writes nothing"

    [serve] = serving.commands
    with reader.leaves_running(serve) as ready:
        address = ready.removeprefix("Addonry serves ").strip()
        registered, status, upgraded, tasks = [reader.types(line) for line in working.commands]
        assert re.search(r"^prod +c[0-9a-f]{32} .* running$", registered, re.MULTILINE)
        assert re.search(r"^metrics-server +3\.12\.1 .* READY", status, re.MULTILINE)
        assert upgraded.endswith("metrics-server 3.12.1 -> 3.13.0\n")
        task = re.search(r"T-[0-9a-f]+", tasks).group()
        assert "rollout" in reader.types(f".venv/bin/addonry tasks show {task}")

        answered = ask_with_the_sdk(reader, address)
        assert in_order(answered) == in_order(json.loads(one(README, "json")))

        told = {name.strip(" `") for row in rows(SERVICE) for name in row[0].split(",")}
        # The certificate is there with --tls-self-signed only, the others after `catalog add` and `import`.
        assert data_files(reader.data) == told - {"tls/", "components/", "snapshot/"}
        assert stat.S_IMODE(reader.data.stat().st_mode) == 0o700
        for secret in ("secret.key", "root.key", "addonry.sqlite"):
            assert stat.S_IMODE((reader.data / secret).stat().st_mode) == 0o600

        back_up(reader)
    assert "prod" in reader.types("addonry clusters list --data backup"), "the copy is a whole data directory"


def ask_with_the_sdk(reader: Reader, address: str):
    """The README's program, as a program."""
    program = reader.place / "status.py"
    text = one(README, "python")
    assert '"127.0.0.1:8080"' in text
    program.write_text(text.replace("127.0.0.1:8080", address.removeprefix("http://")))
    return json.loads(reader.types(f'"{sys.executable}" {program.name}'))


def back_up(reader: Reader) -> None:
    """The commands of the service guide."""
    (reader.place / "backup").mkdir()
    [example] = shell(SERVICE, "Backups")
    for line in example.commands:
        reader.types(line.replace("DATA", str(reader.data)).replace("BACKUP", "backup"))


@pytest.mark.slow
def test_the_simulated_clusters_of_the_readme_work_word_by_word(tmp_path: Path):
    starting, trying = shell(README, "Simulated clusters")
    reader = Reader(tmp_path)
    port = str(free_port())
    [simulate] = starting.commands
    assert "7070" in simulate
    with reader.leaves_running(simulate.replace("7070", port)) as ready:
        assert "sim-3" in ready
        assert f"127.0.0.1:{port}/charts" in ready
        scan, *foreign = trying.commands
        assert reader.types(scan.replace("7070", port)).count(" READY") == 4
        assert [line.split()[0] for line in foreign] == ["kubectl", "helm"]
        exports = [each for each in spans(README) if each.startswith("export ")]
        assert len(exports) == 2
        session = " && ".join([*exports, ".venv/bin/addonry scan"]).replace("7070", port)
        assert reader.types(session).count(" READY") == 4


@pytest.mark.slow
@pytest.mark.parametrize(("command", "expected"), [("kubectl", "coredns-"), ("helm", "metrics-server")])
def test_the_foreign_commands_of_the_readme_work_on_simulated_clusters(command, expected, simulated, tmp_path):
    found = find_kubectl() if command == "kubectl" else shutil.which(command)
    if found is None:
        pytest.skip(f"README example not run: there is no {command} on this machine")
    reader = Reader(tmp_path)
    if found != shutil.which(command):
        (tmp_path / "bin" / command).symlink_to(found)
    (tmp_path / "clusters").mkdir()
    shutil.copy(simulated["clusters"][1]["kubeconfig"], tmp_path / "clusters" / "sim-1.kubeconfig")
    [line] = [
        line for each in shell(README, "Simulated clusters") for line in each.commands if line.startswith(f"{command} ")
    ]
    assert expected in reader.types(line)


@pytest.mark.slow
def test_the_guide_to_a_catalog_of_your_own_works_word_by_word(reader: Reader):
    (reader.place / "components").mkdir()
    for name, example in zip(("shop-gateway", "coredns-more"), examples(CATALOG, "yaml"), strict=False):
        (reader.place / "components" / f"{name}.yaml").write_text(example.text)
    [linting] = shell(CATALOG, "Before it is used")
    lint, schema = linting.commands
    assert "2 files, 0 errors, 0 warnings" in reader.types(lint)
    reader.types(schema)
    assert json.loads((reader.place / "component.schema.json").read_text())["$id"] == "urn:addonry:catalog:component"
    starting, adding = shell(CATALOG, "An example")
    scan, serve = starting.commands
    assert "coredns" in reader.types(scan)
    with reader.leaves_running(serve):
        assert "shop-gateway" in reader.types("addonry catalog show shop-gateway -o json")
        [add] = adding.commands
        assert "shop-gateway" in reader.types(add)


@pytest.mark.slow
def test_the_guides_way_without_the_internet_works_word_by_word(reader: Reader):
    _, exporting, importing = shell(CATALOG, "Without a way to the internet")
    before = reader.types("addonry scan")
    [export] = exporting.commands
    assert re.search(r"^catalog\.tar\.gz +\S+ \S+ +2 +[1-9]", reader.types(export), re.MULTILINE)
    del reader.environment["ADDONRY_CHART_MIRROR"]
    imported, offline, scan = importing.commands
    assert "catalog.tar.gz" in reader.types(imported)
    known = [line for line in before.splitlines() if line.startswith(("coredns", "metrics-server"))]
    assert set(known) <= set(reader.types(f"{offline} && {scan}").splitlines())


@pytest.mark.slow
def test_the_guide_to_the_service_says_how_to_serve_https_and_make_keys(reader: Reader):
    """The certificate is made as an operator would; the command trusts it by SSL_CERT_FILE, as the guide says."""
    if shutil.which("openssl") is None:
        pytest.skip("service guide not run: there is no openssl on this machine")
    [secret] = shell(SERVICE, "The secret key")
    reader.environment["ADDONRY_SECRET_KEY"] = reader.types(secret.text).strip()
    reader.types(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost -keyout tls.key -out tls.crt"
    )
    [serving] = shell(SERVICE, "TLS")
    port = str(free_port())
    in_the_clear = re.sub(r" --tls-\S+ \S+", "", serving.text.strip())
    assert "can be reached from outside" in reader.types(f"! {in_the_clear} 2>&1"), "refused, with a status of failure"
    with reader.leaves_running(serving.text.strip().replace("8443", port)) as ready:
        assert "https://" in ready
        reader.environment |= {"ADDONRY_ENDPOINT": f"https://localhost:{port}", "SSL_CERT_FILE": "tls.crt"}
        making, for_a_user = shell(SERVICE, "Keys for callers")
        made = json.loads(reader.types(making.text))
        assert list(made) == ["access_key_id", "access_key_secret"]
        create, attach, key = for_a_user.commands
        reader.types(create)
        reader.types(attach)
        anns = json.loads(reader.types(key))
        names = {"ADDONRY_ACCESS_KEY_ID": anns["access_key_id"], "ADDONRY_ACCESS_KEY_SECRET": anns["access_key_secret"]}
        as_ann = " ".join(f"{name}={value}" for name, value in names.items())
        reader.types(f"{as_ann} addonry clusters list")
        reader.types(f"{as_ann} addonry users list", status=1)
        [asking] = shell(SERVICE, "Who did what")
        told = [reader.types(each) for each in asking.commands]
        assert "ListUsers" in told[0]
        assert "403 StatusForbidden" in told[0]
        assert not (reader.data / "secret.key").exists()


def test_the_commands_that_write_pages_write_what_is_there(reader_of_nothing: Reader):
    [example] = shell(ROOT / "CONTRIBUTING.md", "Documentation")
    reader_of_nothing.types("mkdir -p docs/reference")
    for line in example.commands:
        reader_of_nothing.types(line.replace(".venv/bin/python", f'"{sys.executable}"'))
    written = sorted((reader_of_nothing.place / "docs" / "reference").iterdir())
    assert [each.name for each in written] == ["commands.md", "components.md", "errors.md", "operations.md"]
    for page in written:
        assert page.read_text() == (ROOT / "docs" / "reference" / page.name).read_text()


def test_the_unit_of_the_service_guide_is_one():
    unit = one(SERVICE, "ini")
    sections = re.findall(r"^\[(\w+)\]$", unit, re.MULTILINE)
    assert sections == ["Unit", "Service", "Install"]
    assert f"--listen {Settings(Path()).listen}" in unit


@pytest.mark.slow
def test_what_the_trouble_guide_says_of_a_killed_service_and_a_lost_key(reader: Reader):
    with reader.leaves_running("addonry serve"):
        reader.types("addonry clusters add prod")
        second = reader.types("addonry serve 2>&1", status=1)
        assert "Another Addonry works on" in second
    (reader.data / "secret.key").rename(reader.place / "kept")
    assert "secret.key is missing" in reader.types("addonry serve 2>&1", status=1)
    (reader.place / "kept").rename(reader.data / "secret.key")
    lost = (reader.data / "root.key").read_text()
    (reader.data / "root.key").unlink()
    with reader.leaves_running("addonry serve"):
        assert (reader.data / "root.key").read_text() == lost
        assert "prod" in reader.types("addonry clusters list")


@pytest.mark.slow
def test_what_the_trouble_guide_says_of_a_cluster_that_does_not_answer(reader: Reader):
    with reader.leaves_running("addonry simulate --clusters 1 --out gone --speed 10"):
        reader.types("addonry clusters add prod --kubeconfig gone/sim-1.kubeconfig")
        assert "READY" in reader.types("addonry status prod")
    reader.environment["ADDONRY_SCAN_SECONDS"] = "1"
    with reader.leaves_running("addonry serve"):
        until(lambda: "unavailable" in reader.types("addonry clusters list"), what="the cluster to be missed")
        assert "BLOCKED ClusterUnreachable" in reader.types("addonry status prod")
        assert "metrics-server" in reader.types("addonry status prod"), "what was last seen is still told"


@pytest.mark.slow
@pytest.mark.kubectl
@pytest.mark.skipif(bool(why_not_kubectl()), reason=why_not_kubectl() or "kubectl is here")
def test_the_guide_to_registering_a_service_account_works_word_by_word(reader: Reader):
    kubectl = find_kubectl()
    assert kubectl is not None
    (reader.place / "bin" / "kubectl").symlink_to(kubectl)
    manifest, _ = examples(CLUSTERS, "yaml")
    (reader.place / "addonry.yaml").write_text(manifest.text)
    applying, registering = shell(CLUSTERS, "A service account")
    assert reader.types(applying.text).count(" created") == 4
    # Filling the Secret is a real cluster's business; a simulated one issues no tokens but its own.
    kubeconfig = yaml.safe_load((reader.place / "home" / ".kube" / "config").read_text())
    filled = json.dumps({"stringData": {"token": kubeconfig["users"][0]["user"]["token"]}})
    reader.types(f"kubectl -n addonry patch secret addonry-token -p '{filled}'")
    told = reader.types(f"set -e\n{registering.text}")
    assert re.search(r"^prod .* running$", told, re.MULTILINE)


AUTOSCALERS = (
    ("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects"),
    ("autoscaling.k8s.io", "v1", "VerticalPodAutoscaler", "verticalpodautoscalers"),
)


async def serve_everything(kubeconfig: str) -> None:
    """Custom resources of every controller whose objects a scan asks for."""
    controllers = ((each.group, each.versions[0], each.kind, each.plural) for each in RESOURCES)
    api = Api(read_kubeconfig(kubeconfig))
    for group, version, kind, plural in (*controllers, *AUTOSCALERS):
        await put_crd(api, group, version, kind, plural)
    wanted = {f"{each.group}/{each.versions[0]}" for each in RESOURCES} | {
        f"{each[0]}/{each[1]}" for each in AUTOSCALERS
    }
    async with asyncio.timeout(20):
        while not wanted <= await api.served():  # noqa: ASYNC110 - discovery is asked, nothing tells of it
            await asyncio.sleep(0.05)
    await api.close()


@pytest.mark.slow
def test_the_role_of_the_guide_allows_what_looking_asks_for_and_nothing_else(tmp_path: Path):
    _, role = examples(CLUSTERS, "yaml")
    allowed = {
        (group, resource, verb)
        for rule in yaml.safe_load(role.text)["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    with Simulator(clusters=1) as simulator:
        cluster = simulator.cluster("sim-1")
        (tmp_path / "kubeconfig").write_text(cluster.kubeconfig())
        asyncio.run(serve_everything(cluster.kubeconfig()))
        cluster.forget_requests()
        # No repository is there, so that none of the catalog's own is asked.
        reader = Reader(tmp_path, {"KUBECONFIG": "kubeconfig", "ADDONRY_CHART_MIRROR": f"{simulator.url}/charts"})
        reader.types("addonry scan && addonry clusters add prod && addonry status prod")
        asked = {(each.method, each.path) for each in cluster.requests}
        cluster.trouble.fail(path_contains="/api/v1/secrets", status=403, times=100)
        assert "Not allowed to list secrets" in reader.types("addonry scan")
    # Everybody who is signed in may read the version and discover (ClusterRole system:discovery,
    # https://kubernetes.io/docs/reference/access-authn-authz/rbac/#discovery-roles).
    objects = {path for _, path in asked} - {"/version", "/api", "/apis"}
    assert {method for method, _ in asked} == {"GET"}
    assert {right_to_list(path) for path in objects} == allowed


def right_to_list(path: str) -> tuple[str, str, str]:
    route = re.fullmatch(r"/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)/(?P<resource>[^/]+)", path)
    assert route, f"{path} is no list of the whole cluster"
    return route["group"] or "", route["resource"], "list"


@pytest.mark.slow
def test_the_guide_to_checks_works_word_by_word(reader: Reader):
    """What it waives is a finding that a scan of that cluster has."""
    (reader.place / "waivers.yaml").write_text(one(CHECKS, "yaml").replace("NoPodSlots", "NoReadinessProbe"))
    scanned = json.loads(reader.types("addonry scan --waivers waivers.yaml -o json"))
    findings = [each for component in scanned["components"] for each in component["findings"]]
    assert {each["waived"]["by"] for each in findings if each["waived"]} == {"ann"}
    adding, windows = examples(CHECKS, "sh")
    with reader.leaves_running("addonry serve"):
        reader.types("addonry clusters add prod")
        add, list_ = adding.commands
        reader.types(add)
        assert "watched by hand" in reader.types(list_)
        assert "waived by ann" in reader.types("addonry status prod")
        enforce, off = windows.commands
        assert "Monday,Thursday" in reader.types(enforce)
        assert "no maintenance window" in reader.types(off)
