"""Constraints on versions, held against Helm's own answers."""

import json
import subprocess
import sys
from contextlib import suppress
from itertools import product

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from addonry.rules.versions import ConstraintError, admits, satisfies

CLUSTERS = [
    *("1.25.0", "1.25.9", "v1.20.4", "1.30.2", "0.0.1", "0.1.5", "2.0.0"),
    *("1.25.0-rc.1", "v1.25.9-eks-0a21954", "v1.26.0+k3s1", "v1.27.3-gke.100"),
]

CONSTRAINTS = [
    *("*", "x", "^*", "~*", "!=*", ">*", "<=*", "<*", "=*"),
    *("1", "1.25", "1.x", "1.25.x", "1.25.X", "1.x.3", "01.025", "v1.25.9", "= 1.25.0"),
    *(">=1.21.0", "< 1.28", "=> 1.20", "=< 1.24", ">1.25", ">1", "<=1.25", "<=1", "!=1.25", "!=1.25.0", "!=1"),
    *(">1.24 <1.29", ">1.24,<1.29", ">1.24 , <1.29", ">=1.19.0\n<2", ">= 1.19, < 2 || 3", ">= 1.20 || < 1"),
    *("1.20 - 1.30", "1.20 - 1.25.5", "1.20-1.30", "1.25.0-rc.1 - 1.26", "0.1 - 0.3 1.x || 1.20 - 1.24, !=1.21"),
    *("1||2 - 3", "1.20 - 1.24||1.30", "1.30||1.20 - 1.24", "1 - 1||2 || 0"),
    *("^1.20", "^0", "^0.1", "^0.0.1", "^0.0", "^1-0", "~1.25", "~1", "~>1.25.0", "~0.0.0", "~1.25-0"),
    *(
        ">=1.25.0-0",
        "<1.26.0-0",
        "<=1.25-alpha",
        ">1.24-0",
        ">=1.25.0-rc.2",
        "!=1.25.0-0",
        "!=1.25-0",
        "!=1-0",
        ">=1.25.0-alpha <2",
    ),
    *(">=1.20.0 <=1.25.0-0", ">=1.20.0 || >=1.25.0-0", ">=v1.20", ">=1.19.0+abc"),
]

MALFORMED = [
    *("nonsense", ">=1.2,,<2", ">=1.2,", "||", ">= 1.2 ||", ">=1.2<2", "1.2.3.4", "==1.25", "**", "1x", ">"),
    *("^1.2.3 - 2", ">1.20 - 1.30", ">=1.25.0-01", ">=1.25.0-", "1.2 -", ">=1.25 and <2"),
    *("1.20 - 1.24||1.25 - 1.26", "1|2", ">=1.20 | <1", "1.20|1.21 - 1.22"),
]

# One child for all questions: what loads Helm's library is never this process. A dry run of an install that asks no
# cluster judges kubeVersion as every install does, against the Kubernetes version it is given.
ASK_HELM = """
import json, pathlib, sys
from helm_python import HelmReleaseError, _native as native

folder = pathlib.Path(sys.argv[1])
chart = folder / "ask"
(chart / "templates").mkdir(parents=True)
configuration = {"namespace": "default", "storage_driver": "memory"}
config = native.HANDLE(native.call_handle("helm_config_new", json.dumps(configuration)))
none = native.HANDLE(0)
for line in sys.stdin:
    constraint, kubernetes = json.loads(line)
    described = {"apiVersion": "v2", "name": "ask", "version": "0.1.0", "kubeVersion": constraint}
    (chart / "Chart.yaml").write_text(json.dumps(described))
    options = json.dumps({"dry_run": "client", "kube_version": kubernetes})
    try:
        native.call_string("helm_install", config, none, none, str(chart), "ask", "{}", options)
    except HelmReleaseError as error:
        if "incompatible with Kubernetes" not in str(error):
            raise
        print("false", flush=True)
    else:
        print("true", flush=True)
"""


@pytest.fixture(scope="module")
def helm_installs(tmp_path_factory):
    """Whether Helm would install a chart with a constraint on a cluster of a version."""
    with subprocess.Popen(
        [sys.executable, "-c", ASK_HELM, tmp_path_factory.mktemp("helm")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:

        def ask(constraint, kubernetes):
            child.stdin.write(json.dumps([constraint, kubernetes]) + "\n")
            child.stdin.flush()
            return json.loads(child.stdout.readline())

        yield ask
        child.stdin.close()


def we_install(constraint, kubernetes):
    try:
        return admits(constraint, kubernetes)
    except ConstraintError:
        return False


@pytest.mark.slow
def test_charts_fit_where_helm_installs_them(helm_installs):
    """A chart that we call fitting must not be refused by Helm, nor the other way round."""
    pairs = list(product(["", *CONSTRAINTS, *MALFORMED], CLUSTERS))
    answers = [helm_installs(*pair) for pair in pairs]
    differ = [(pair, answer) for pair, answer in zip(pairs, answers, strict=True) if we_install(*pair) is not answer]
    assert differ == []
    assert len(pairs) > 800
    assert {True, False} == set(answers)


NUMBER = st.integers(0, 3).map(str)
PLACE = st.sampled_from(["25", "26", "30", "0", "x", "*"]) | NUMBER
BOUND = st.builds(
    lambda v, major, rest, suffix: v + ".".join([major, *rest]) + suffix,
    st.sampled_from(["", "", "v"]),
    st.sampled_from(["1", "1", "1", "0", "2", "x", "*"]),
    st.lists(PLACE, max_size=2),
    st.sampled_from(["", "", "", "-0", "-rc.1", "-alpha", "+build.7"]),
)
COMPARISON = st.builds(
    lambda operator, space, bound: operator + space + bound,
    st.sampled_from(["", "=", "!=", ">", "<", ">=", "<=", "=>", "=<", "~", "~>", "^"]),
    st.sampled_from(["", "", " "]),
    BOUND,
)
RANGE = st.builds("{} - {}".format, BOUND, BOUND)
ALTERNATIVE = st.lists(COMPARISON | RANGE, min_size=1, max_size=3).flatmap(
    lambda parts: st.sampled_from([", ", ",", " "]).map(lambda between: between.join(parts))
)
CONSTRAINT = st.lists(ALTERNATIVE, min_size=1, max_size=3).flatmap(
    lambda parts: st.sampled_from([" || ", "||"]).map(lambda between: between.join(parts))
)
KUBERNETES = st.builds(
    "{}{}.{}.{}{}".format,
    st.sampled_from(["", "v"]),
    st.sampled_from(["1", "1", "0", "2"]),
    st.sampled_from(["25", "26", "30", "0", "1", "2"]),
    NUMBER,
    st.sampled_from(["", "", "-eks-0a21954", "+k3s1", "-rc.1", "-gke.100", "-aliyun.1"]),
)


@pytest.mark.slow
@settings(
    max_examples=1500,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(constraint=CONSTRAINT, kubernetes=KUBERNETES)
def test_drawn_constraints_mean_what_they_mean_to_helm(helm_installs, constraint, kubernetes):
    assert we_install(constraint, kubernetes) is helm_installs(constraint, kubernetes)


@pytest.mark.parametrize(
    ("constraint", "minor", "some"),
    [
        (">=1.37.2", "1.37", True),
        ("<1.37.1", "v1.37", True),
        (">1.37", "1.37", False),
        ("!=1.37.0", "1.37", True),
        ("1.37.5", "1.37", True),
        ("<1.37", "1.37", False),
        (">=1.37.3 <1.37.3 || 1.36.x", "1.37", False),
        (">=1.30.0 <=1.37.0-0", "1.37", False),
        ("^1.37.9", "1.37", True),
        ("", "1.37", True),
    ],
)
def test_a_minor_alone_stands_for_its_patches(constraint, minor, some):
    """``--target 1.37`` asks whether the component can live on 1.37 at all."""
    assert admits(constraint, minor) is some


@given(CONSTRAINT, st.sampled_from(["1.25", "1.2", "0.0", "2.1"]))
def test_a_minor_is_admitted_when_one_of_its_patches_is(constraint, minor):
    with suppress(ConstraintError):
        assert admits(constraint, minor) is any(admits(constraint, f"{minor}.{patch}") for patch in range(40))


@pytest.mark.parametrize(
    ("cluster", "plain"),
    [
        ("v1.25.9-eks-0a21954", "1.25.9"),
        ("1.31.1-aliyun.1", "1.31.1"),
        ("v1.31.4+k3s1", "1.31.4"),
        ("v1.27.3-gke.100", "1.27.3"),
        ("v1.29.6+aba1e8d", "1.29.6"),
        ("v1.31.0-rc.1", "1.31.0"),
    ],
)
@pytest.mark.parametrize("constraint", [">=1.21.0", "~1.31", "<1.29.6", ">=1.25.9 <=1.31.1", "1.37.x", "!=1.27.3"])
def test_a_suffix_of_the_cluster_makes_no_difference(cluster, plain, constraint):
    """Helm 3 refused >=1.21.0 on v1.25.9-eks-0a21954; a cluster counts as the release it was built from."""
    assert admits(constraint, cluster) is admits(constraint, plain)


@pytest.mark.parametrize(
    ("version", "plain"),
    [
        ("v1.11.4-eksbuild.2", "1.11.4"),
        ("1.9.3-aliyun", "1.9.3"),
        ("v1.27.0-rke2r1", "1.27.0"),
        ("1.2.0-k3s1", "1.2.0"),
    ],
)
@pytest.mark.parametrize("constraint", [">=1.9.3", "<1.11.4", "~1.27", "1.2.x", "!=1.9.3"])
def test_a_build_of_a_component_is_within_what_its_release_is_within(version, plain, constraint):
    assert satisfies(version, constraint) is satisfies(plain, constraint)


def test_a_real_prerelease_of_a_component_stays_one():
    assert not satisfies("v1.38.0-rc.1", ">=1.37.0")
    assert satisfies("v1.38.0-rc.1", ">=1.37.0-0")
    assert not satisfies("v1.38.0-alpha.1.12+0123abc", ">=1.38.0-beta.0")


def test_no_constraint_admits_every_cluster_and_an_unreadable_cluster_satisfies_no_constraint():
    assert admits("", "")
    assert not admits("*", "unknown")
    assert satisfies("", "")
    assert satisfies("1.30.0", "  ")
    assert not satisfies("", ">=1.20")
    assert not satisfies("unknown", "*")


@pytest.mark.parametrize("constraint", MALFORMED)
def test_a_malformed_constraint_is_told_and_not_guessed_at(constraint):
    with pytest.raises(ConstraintError) as caught:
        satisfies("1.30.0", constraint)
    assert caught.value.constraint == constraint
    assert "expected" in str(caught.value) or "begins with zero" in str(caught.value)


@given(st.text(alphabet="v1.20xX*-+ ,|<>=!~^arc", max_size=40))
def test_any_text_is_either_a_constraint_or_a_constraint_error(text):
    with suppress(ConstraintError):
        assert satisfies("1.30.0", text) in (True, False)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(0, 9)), min_size=2, max_size=2))
def test_comparisons_agree_with_the_order_of_numbers(releases):
    cluster, bound = (".".join(map(str, numbers)) for numbers in releases)
    order = (releases[0] > releases[1]) - (releases[0] < releases[1])
    assert satisfies(cluster, f">={bound}") is (order >= 0)
    assert satisfies(cluster, f">{bound}") is (order > 0)
    assert satisfies(cluster, f"<={bound}") is (order <= 0)
    assert satisfies(cluster, f"<{bound}") is (order < 0)
    assert satisfies(cluster, f"={bound}") is (order == 0)
    assert satisfies(cluster, f"!={bound}") is (order != 0)
    assert satisfies(cluster, f"<{bound} || >={bound}")


def test_a_long_hostile_constraint_is_refused_at_once():
    """A pattern that backtracks would take years for this one."""
    with pytest.raises(ConstraintError):
        satisfies("1.30.0", ">=1.0" + " " * 100_000 + "!")
    with pytest.raises(ConstraintError):
        satisfies("1.30.0", " ".join([">=1.0"] * 40) + "   !")
