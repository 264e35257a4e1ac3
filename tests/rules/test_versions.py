"""The order of versions, and constraints on the Kubernetes version."""

import json
import subprocess
import sys
from contextlib import suppress
from functools import cmp_to_key
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.rules.versions import (
    ConstraintError,
    is_newer,
    is_prerelease,
    newest,
    same_version,
    satisfies,
    version_key,
)

# Forms of ack-api/08, section 3, and what else is met: oldest first, each newer than the one before.
LADDERS = [
    ["v1.9.3.10-7dfca203-aliyun", "v1.9.3.105-gfd4e547-aliyun", "v1.9.3.340-g9830b58-aliyun", "v1.12.1.3"],
    ["v20.12.28.0-062ac99-aliyun", "v21.1.3.0-dfeb1e9-aliyun"],
    ["v1.0.1.2-a-e616322-aliyun", "v1.0.1.3", "v1.0.2"],
    ["v1.6.2", "1.6.7", "v1.9.3"],
    ["0.1.5", "1.2.9", "1.2.28", "1.10.0"],
    ["v1.18.8-aliyun.1", "v1.18.9", "v1.20.4-aliyun.1"],
    # The example of https://semver.org, section 11.
    ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1"],
    ["1.0.0-rc.1", "1.0.0", "1.0.1-rc.1", "1.0.1"],
    ["latest", "0.0.0-alpha", "0.0.0", "0.0.1"],
    ["v1.32.9-k3s1", "v1.32.10-rc1", "v1.32.10+k3s1"],
    ["v1.11.1-eksbuild.9", "v1.11.2-eksbuild.1"],
]


@pytest.mark.parametrize("ladder", LADDERS, ids=lambda ladder: ladder[-1])
def test_every_form_of_version_sorts_by_its_numbers(ladder):
    """ACK's four-part numbers, vendor builds and semantic versions meet in one list."""
    upside_down = ladder[::-1]
    assert sorted(upside_down, key=version_key) == ladder
    for older, newer in pairwise(ladder):
        assert is_newer(newer, than=older)
        assert not is_newer(older, than=newer)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.6.7", "v1.6.7"),
        ("v1.18.8-aliyun.1", "v1.18.8"),
        ("v1.9.3.10-7dfca203-aliyun", "v1.9.3.10-g9830b58-aliyun"),
        ("1.31.1+k3s1", "1.31.1+k3s2"),
        ("1.2", "1.2.0"),
        ("1.11.1-eksbuild.4", "1.11.1-eksbuild.8"),
        ("2.6.1-debian-12-r3", "2.6.1"),
    ],
)
def test_commit_vendor_and_leading_v_make_no_version_newer(one, other):
    assert not is_newer(one, than=other)
    assert not is_newer(other, than=one)


def test_equal_numbers_are_broken_the_same_way_in_every_order():
    builds = ["1.11.1-eksbuild.8", "1.11.1-eksbuild.10", "v1.11.1", "1.11.1", "1.11.1-eksbuild.9"]
    assert newest(builds) == newest(reversed(builds)) == "1.11.1-eksbuild.10"
    assert newest([]) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1.6.7", "v1.6.7", True),
        ("v1.6.7", "V1.6.7", True),
        ("1.6.7", "1.6.7-aliyun.1", False),
        ("1.2", "1.2.0", False),
        ("version", "ersion", False),
        ("", "", True),
    ],
)
def test_a_leading_v_does_not_make_another_version(one, other, same):
    assert same_version(one, other) is same


@pytest.mark.parametrize("version", ["1.0.0-rc.1", "v1.38.0-alpha.3", "1.0.0-0", "v0.8.21-bad"])
def test_what_comes_before_a_release_is_called_a_prerelease(version):
    assert is_prerelease(version)


@pytest.mark.parametrize(
    "version", ["1.0.0", "v1.18.8-aliyun.1", "v1.9.3.10-7dfca203-aliyun", "1.31.1+k3s1", "v1.11.1-eksbuild.4", "latest"]
)
def test_a_build_of_a_release_is_no_prerelease(version):
    assert not is_prerelease(version)


NUMBER = st.integers(min_value=0, max_value=40)
SUFFIX = st.sampled_from(["", "-rc.1", "-alpha", "-aliyun.1", "-7dfca203-aliyun", "+k3s1", "-0", "-x.7.z.92"])
VERSION = st.builds(
    lambda v, numbers, suffix: v + ".".join(map(str, numbers)) + suffix,
    st.sampled_from(["", "v"]),
    st.lists(NUMBER, min_size=1, max_size=5),
    SUFFIX,
) | st.text(max_size=12)


@given(st.lists(VERSION, min_size=3, max_size=3))
def test_the_order_is_total_and_is_newer_agrees_with_it(versions):
    """A sort key that throws or contradicts itself would break every list of versions."""
    first, second, third = sorted(versions, key=version_key)
    assert not is_newer(first, than=second)
    assert not is_newer(second, than=third)
    assert not is_newer(first, than=third)
    assert newest(versions) == third


@given(st.tuples(NUMBER, NUMBER, NUMBER), st.tuples(NUMBER, NUMBER, NUMBER))
def test_plain_versions_sort_like_their_numbers(one, other):
    texts = [".".join(map(str, numbers)) for numbers in (one, other)]
    assert is_newer(texts[0], than=texts[1]) is (one > other)


def test_a_version_of_a_million_digits_is_weighed_cheaply():
    """Python refuses to make an integer of more than 4,300 digits; an index may hold any text."""
    assert is_newer("1" * 1_000_000, than="2")
    assert not is_newer("1.0-" + "9" * 1_000_000, than="1.0")


# Constraints

CLUSTERS = ["1.25.0", "1.25.9", "v1.20.4", "1.30.2", "0.0.1", "0.1.5", "1.25.0-rc.1", "1.26.0-alpha.3", "2.0.0"]

CONSTRAINTS = [
    *("*", "x", "^*", "~*", "!=*", ">*", "<=*", "<*", "=*"),
    *("1", "1.25", "1.x", "1.25.x", "1.25.X", "1.x.3", "01.025", "v1.25.9", "= 1.25.0"),
    *(">=1.21.0", "< 1.28", "=> 1.20", "=< 1.24", ">1.25", ">1", "<=1.25", "<=1", "!=1.25", "!=1.25.0", "!=1"),
    *(">1.24 <1.29", ">1.24,<1.29", ">1.24 , <1.29", ">=1.19.0\n<2", ">= 1.19, < 2 || 3", ">= 1.20 || < 1"),
    *("1.20 - 1.30", "1.20 - 1.25.5", "1.20-1.30", "1.25.0-rc.1 - 1.26", "0.1 - 0.3 1.x || 1.20 - 1.24, !=1.21"),
    *("^1.20", "^0", "^0.1", "^0.0.1", "^0.0", "^1-0", "~1.25", "~1", "~>1.25.0", "~0.0.0", "~1.25-0"),
    *(">=1.25.0-0", "<1.26.0-0", "<=1.25-alpha", ">1.24-0", ">=1.25.0-rc.2", "!=1.25.0-0", ">=1.25.0-alpha <2"),
    *(">=1.20.0 <=1.25.0-0", ">=1.20.0 || >=1.25.0-0", ">=v1.20", ">=1.19.0+abc"),
]

MALFORMED = [
    *("nonsense", ">=1.2,,<2", ">=1.2,", "||", ">= 1.2 ||", ">=1.2<2", "1.2.3.4", "==1.25", "**", "1x", ">"),
    *("^1.2.3 - 2", ">1.20 - 1.30", ">=1.25.0-01", ">=1.25.0-", "1.2 -", ">=1.25 and <2"),
]

# One child per run, as everything that loads Helm (facts 2.6). semverCompare and the kubeVersion check of
# Helm are the same two calls of the same library.
ASK_HELM = """
import json, sys
from helm_python import Chart, HelmError

chart = Chart.load(sys.argv[1])
answers = []
for constraint, cluster in json.load(sys.stdin):
    try:
        rendered = chart.render({"constraint": constraint, "cluster": cluster})
    except HelmError:
        answers.append(None)
    else:
        answers.append("admitted: true" in "".join(rendered.values()))
json.dump(answers, sys.stdout)
"""


def helm_says(folder, pairs):
    (folder / "templates").mkdir()
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: ask\nversion: 0.1.0\n")
    template = "admitted: {{ semverCompare .Values.constraint .Values.cluster }}\n"
    (folder / "templates" / "answer.yaml").write_text(template)
    asked = subprocess.run(
        [sys.executable, "-c", ASK_HELM, folder], input=json.dumps(pairs), capture_output=True, text=True, check=True
    )
    return json.loads(asked.stdout)


def we_say(constraint, cluster):
    try:
        return satisfies(cluster, constraint)
    except ConstraintError:
        return None


@pytest.mark.slow
def test_constraints_mean_what_they_mean_to_helm(tmp_path):
    """A chart that we call fitting must not be refused by Helm, nor the other way round."""
    pairs = list(product(CONSTRAINTS + MALFORMED, CLUSTERS))
    answers = helm_says(tmp_path, pairs)
    differ = [(pair, answer) for pair, answer in zip(pairs, answers, strict=True) if we_say(*pair) is not answer]
    assert differ == []
    assert len(pairs) > 500
    assert {None, True, False} == set(answers)


@pytest.mark.parametrize(
    ("cluster", "plain"),
    [
        ("v1.25.9-eks-0a21954", "1.25.9"),
        ("1.31.1-aliyun.1", "1.31.1"),
        ("v1.31.4+k3s1", "1.31.4"),
        ("v1.27.3-gke.100", "1.27.3"),
        ("v1.29.6+aba1e8d", "1.29.6"),
        ("1.37", "1.37.0"),
    ],
)
@pytest.mark.parametrize("constraint", [">=1.21.0", "~1.31", "<1.29.6", ">=1.25.9 <=1.31.1", "1.37.x", "!=1.27.3"])
def test_a_vendor_suffix_of_the_cluster_is_no_prerelease(cluster, plain, constraint):
    """Helm refuses >=1.21.0 on v1.25.9-eks-0a21954; here a cluster counts as the release it was built from."""
    assert satisfies(cluster, constraint) is satisfies(plain, constraint)


def test_a_real_prerelease_of_kubernetes_stays_one():
    assert not satisfies("v1.38.0-rc.1", ">=1.37.0")
    assert satisfies("v1.38.0-rc.1", ">=1.37.0-0")
    assert not satisfies("v1.38.0-alpha.1.12+0123abc", ">=1.38.0-beta.0")


def test_no_constraint_admits_every_cluster_and_an_unreadable_cluster_satisfies_no_constraint():
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


def test_the_sort_key_works_as_a_comparison_too():
    """Callers that sort newest first reverse the key; ties must not reverse into another order."""
    versions = ["1.0", "v1.0", "1.0.0", "1.0-aliyun"]
    by_key = sorted(versions, key=version_key)
    by_comparison = sorted(versions, key=cmp_to_key(lambda a, b: -1 if version_key(a) < version_key(b) else 1))
    assert by_key == by_comparison
