"""The order of versions."""

from functools import cmp_to_key
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.rules.versions import (
    is_newer,
    is_prerelease,
    newest,
    same_version,
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
    ["v1.11.3", "v1.11.4-eksbuild.2", "v1.11.5-rc.1", "v1.11.5-aliyun", "v1.11.6-rke2r1", "v1.11.7-k3s1"],
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
        # As RKE2's images and charts are called: https://github.com/rancher/image-build-coredns.
        ("v8.1.0-build20240813", "v8.1.0"),
        ("v0.7.2-hardened1", "v0.7.2-build20241008"),
        ("1.17.2-distroless", "1.17.2-ubi9"),
        ("v1.16.1-rootless", "v1.16.1-nonroot"),
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


IDENTIFIER = st.integers(0, 12).map(str) | st.sampled_from(["alpha", "beta", "rc", "pre", "x-y", "a1"])
SEMANTIC = st.tuples(st.tuples(*[st.integers(0, 3)] * 3), st.lists(IDENTIFIER, max_size=3))


def text_of(numbers, prerelease):
    return ".".join(map(str, numbers)) + (f"-{'.'.join(prerelease)}" if prerelease else "")


def semver_compares(one, other):
    """Section 11 of https://semver.org, word by word; -1, 0 or 1."""
    if one[0] != other[0]:
        return -1 if one[0] < other[0] else 1
    if not one[1] or not other[1]:
        return bool(other[1]) - bool(one[1])
    for mine, theirs in zip(one[1], other[1], strict=False):
        if mine == theirs:
            continue
        if mine.isdigit() and theirs.isdigit():
            return -1 if int(mine) < int(theirs) else 1
        if mine.isdigit() != theirs.isdigit():
            return -1 if mine.isdigit() else 1
        return -1 if mine < theirs else 1
    return (len(one[1]) > len(other[1])) - (len(one[1]) < len(other[1]))


@given(SEMANTIC, SEMANTIC)
def test_semantic_versions_sort_as_semver_says(one, other):
    """Held against the rules written down a second time, in another way."""
    order = semver_compares(one, other)
    assert is_newer(text_of(*one), than=text_of(*other)) is (order > 0)
    assert is_newer(text_of(*other), than=text_of(*one)) is (order < 0)
    assert (version_key(text_of(*one)) > version_key(text_of(*other))) is (
        order > 0 or (order == 0 and text_of(*one) > text_of(*other))
    )


@given(st.tuples(NUMBER, NUMBER, NUMBER), st.tuples(NUMBER, NUMBER, NUMBER))
def test_plain_versions_sort_like_their_numbers(one, other):
    texts = [".".join(map(str, numbers)) for numbers in (one, other)]
    assert is_newer(texts[0], than=texts[1]) is (one > other)


def test_a_version_of_a_million_digits_is_weighed_cheaply():
    """Python refuses to make an integer of more than 4,300 digits; an index may hold any text."""
    assert is_newer("1" * 1_000_000, than="2")
    assert not is_newer("1.0-" + "9" * 1_000_000, than="1.0")


def test_the_sort_key_works_as_a_comparison_too():
    """Callers that sort newest first reverse the key; ties must not reverse into another order."""
    versions = ["1.0", "v1.0", "1.0.0", "1.0-aliyun"]
    by_key = sorted(versions, key=version_key)
    by_comparison = sorted(versions, key=cmp_to_key(lambda a, b: -1 if version_key(a) < version_key(b) else 1))
    assert by_key == by_comparison
