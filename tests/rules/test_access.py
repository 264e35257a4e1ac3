"""The policy language: grammar, evaluation and operators as RAM documents them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.model.access import Grants, Policy
from addonry.model.errors import InvalidParameter
from addonry.rules.access import OPERATORS, SYSTEM_POLICIES, Question, Verdict, decide, matches, read

CLUSTER = "acs:cs:local:1000000000000000:cluster/c1"
ACCOUNT_WIDE = "acs:cs:local:1000000000000000:*"


def a_statement(effect="Allow", action="cs:*", resource="*", **more):
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def a_policy(*statements, name="p"):
    return Policy(name, {"Version": "1", "Statement": list(statements)})


def ask(*statements, action="cs:InstallClusterAddons", resource=CLUSTER, **context):
    values = {key.replace("__", ":"): tuple(value) for key, value in context.items()}
    return decide(Grants(((a_policy(*statements),),)), Question((action,), resource, values))


class TestEvaluation:
    def test_nothing_that_matches_is_an_implicit_refusal(self):
        verdict = ask(a_statement(action="cs:Get*"))
        assert (verdict.allowed, verdict.is_explicit) == (False, False)

    def test_a_deny_wins_over_every_allow_whatever_the_order(self):
        allow, deny = a_statement(), a_statement("Deny", "cs:Install*")
        for statements in ((allow, deny), (deny, allow)):
            verdict = ask(*statements)
            assert (verdict.allowed, verdict.is_explicit) == (False, True)
        assert ask(allow, deny, action="cs:UpgradeK8sComponents").allowed

    def test_the_statement_that_decided_is_told(self):
        assert str(ask(a_statement(action="cs:Get*"), a_statement())) == "p#2"

    def test_every_layer_must_allow(self):
        wide, narrow = a_policy(a_statement(), name="wide"), a_policy(a_statement(action="cs:Get*"), name="narrow")
        install, get = Question(("cs:InstallClusterAddons",), CLUSTER), Question(("cs:GetX",), CLUSTER)
        assert not decide(Grants(((wide,), (narrow,))), install).allowed
        assert decide(Grants(((wide,), (narrow,))), get).allowed

    def test_without_layers_nothing_is_allowed(self):
        assert decide(Grants(), Question(("cs:GetX",), CLUSTER)) == Verdict(allowed=False)

    def test_any_of_an_actions_names_will_do_for_both_effects(self):
        upgrade = Question(("cs:UpgradeK8sComponents", "cs:UpgradeClusterAddons"), CLUSTER)
        for name in upgrade.actions:
            allow, deny = a_policy(a_statement(action=name)), a_policy(a_statement(), a_statement("Deny", name))
            assert decide(Grants(((allow,),)), upgrade).allowed
            assert not decide(Grants(((deny,),)), upgrade).allowed

    @pytest.mark.parametrize(
        ("resource", "asked", "allowed"),
        [
            ("*", CLUSTER, True),
            ("*", ACCOUNT_WIDE, True),
            ("acs:cs:*:*:cluster/c1", CLUSTER, True),
            ("acs:cs:*:*:cluster/C1", CLUSTER, False),
            ("acs:cs:*:*:cluster/c?", CLUSTER, True),
            ("acs:cs:*:*:cluster/c2", CLUSTER, False),
            ("acs:cs:local:*:cluster/*", CLUSTER, True),
            ("acs:cs:cn-beijing:*:cluster/*", CLUSTER, False),
            # What addresses no cluster matches no statement that names one.
            ("acs:cs:*:*:cluster/c1", ACCOUNT_WIDE, False),
            ("acs:cs:*:*:cluster/*", ACCOUNT_WIDE, False),
        ],
    )
    def test_resources(self, resource, asked, allowed):
        assert ask(a_statement(resource=resource), resource=asked).allowed is allowed

    def test_actions_are_compared_without_case(self):
        assert ask(a_statement(action="CS:installclusteraddons")).allowed

    def test_what_is_excluded(self):
        statement = {"Effect": "Allow", "NotAction": "cs:Delete*", "NotResource": "acs:cs:*:*:cluster/c2"}
        assert ask(statement).allowed
        assert not ask(statement, action="cs:DeleteCluster").allowed
        assert not ask(statement, resource="acs:cs:local:1:cluster/c2").allowed


class TestConditions:
    @pytest.mark.parametrize(
        ("operator", "value", "given", "met"),
        [
            ("StringEquals", "a", "a", True),
            ("StringEquals", "a", "A", False),
            ("StringEquals", ["a", "b"], "b", True),
            ("StringEquals", "a*", "ab", False),
            ("StringEqualsIgnoreCase", "a", "A", True),
            ("StringLike", "a*", "ab", True),
            ("StringNotEquals", ["a", "b"], "b", False),
            ("StringNotEquals", ["a", "b"], "c", True),
            ("StringNotEqualsIgnoreCase", "a", "A", False),
            ("StringNotLike", "a*", "ab", False),
        ],
    )
    def test_texts(self, operator, value, given, met):
        statement = a_statement(Condition={operator: {"cs:AddonNames": value}})
        assert ask(statement, cs__AddonNames=[given]).allowed is met

    @pytest.mark.parametrize(
        ("value", "given", "met"),
        [
            ("10.0.0.0/8", "10.1.2.3", True),
            ("10.0.0.0/8", "11.1.2.3", False),
            (["192.0.2.1", "2001:db8::/32"], "2001:db8::1", True),
            ("192.0.2.1", "::ffff:192.0.2.1", True),
            ("192.0.2.1", "no address", False),
        ],
    )
    def test_addresses(self, value, given, met):
        positive = a_statement(Condition={"IpAddress": {"acs:SourceIp": value}})
        negated = a_statement(Condition={"NotIpAddress": {"acs:SourceIp": value}})
        assert ask(positive, acs__SourceIp=[given]).allowed is met
        assert ask(negated, acs__SourceIp=[given]).allowed is not met

    def test_dates_with_and_without_a_zone(self):
        before = a_statement(Condition={"DateLessThan": {"acs:CurrentTime": "2026-01-01T08:00:00+08:00"}})
        assert ask(before, acs__CurrentTime=["2025-12-31T23:59:59Z"]).allowed
        assert not ask(before, acs__CurrentTime=["2026-01-01T00:00:00Z"]).allowed

    @pytest.mark.parametrize("value", [True, "true", "True"])
    def test_flags_as_literals_and_text(self, value):
        tls = a_statement(Condition={"Bool": {"acs:SecureTransport": value}})
        assert ask(tls, acs__SecureTransport=["true"]).allowed
        assert not ask(tls, acs__SecureTransport=["false"]).allowed

    def test_numbers(self):
        some = a_statement(Condition={"NumericGreaterThanEquals": {"cs:AddonName": 3}})
        assert ask(some, cs__AddonName=["3.0"]).allowed
        assert not ask(some, cs__AddonName=["2"]).allowed
        assert not ask(some, cs__AddonName=["many"]).allowed

    def test_operators_and_keys_are_all_asked(self):
        both = a_statement(
            Condition={"Bool": {"acs:SecureTransport": "true"}, "IpAddress": {"acs:SourceIp": "10.0.0.0/8"}}
        )
        assert ask(both, acs__SecureTransport=["true"], acs__SourceIp=["10.0.0.1"]).allowed
        assert not ask(both, acs__SecureTransport=["true"], acs__SourceIp=["11.0.0.1"]).allowed

    def test_a_missing_key_satisfies_negated_operators_only(self):
        assert not ask(a_statement(Condition={"StringEquals": {"acs:ResourceTag/env": "test"}})).allowed
        unless = a_statement("Deny", Condition={"StringNotEquals": {"acs:ResourceTag/env": "test"}})
        assert not ask(a_statement(), unless).allowed
        assert ask(a_statement(), unless, **{"acs__ResourceTag/env": ["test"]}).allowed

    def test_of_several_values_each_must_satisfy_an_allow_and_one_a_deny(self):
        condition = {"StringEquals": {"cs:AddonNames": ["coredns", "metrics-server"]}}
        allow, deny = a_statement(Condition=condition), a_statement("Deny", Condition=condition)
        assert ask(allow, cs__AddonNames=["coredns", "metrics-server"]).allowed
        assert not ask(allow, cs__AddonNames=["coredns", "flannel"]).allowed
        assert not ask(a_statement(), deny, cs__AddonNames=["flannel", "coredns"]).allowed
        assert ask(a_statement(), deny, cs__AddonNames=["flannel"]).allowed


class TestReading:
    @pytest.mark.parametrize(
        ("document", "place"),
        [
            ([], "it must be"),
            ({}, "Version"),
            ({"Version": 1, "Statement": [a_statement()]}, "Version"),
            ({"Version": "1"}, "Statement must"),
            ({"Version": "1", "Statement": []}, "Statement must"),
            ({"Version": "1", "Statement": [a_statement()], "Id": "x"}, "Id"),
            ({"Version": "1", "Statement": ["all"]}, "Statement[0]"),
            ({"Version": "1", "Statement": a_statement("allow")}, "Statement[0].Effect"),
            ({"Version": "1", "Statement": a_statement(Principal="*")}, "Principal"),
            ({"Version": "1", "Statement": a_statement(NotAction="cs:X")}, "exactly one of Action"),
            ({"Version": "1", "Statement": {"Effect": "Allow", "Action": "cs:*"}}, "exactly one of Resource"),
            ({"Version": "1", "Statement": a_statement(action=[])}, "Action"),
            ({"Version": "1", "Statement": a_statement(action="everything")}, "Action"),
            ({"Version": "1", "Statement": a_statement(action=[1])}, "Action"),
            ({"Version": "1", "Statement": a_statement(resource="cluster/c1")}, "Resource"),
            ({"Version": "1", "Statement": a_statement(Condition=[])}, "Condition"),
            ({"Version": "1", "Statement": a_statement(Condition={"Null": {"acs:SourceIp": "true"}})}, "operator"),
            (
                {"Version": "1", "Statement": a_statement(Condition={"BoolIfExists": {"acs:SecureTransport": "true"}})},
                "operator",
            ),
            ({"Version": "1", "Statement": a_statement(Condition={"StringEquals": {"acs:SourceIP": "x"}})}, "key"),
            ({"Version": "1", "Statement": a_statement(Condition={"StringEquals": {"acs:ResourceTag/": "x"}})}, "key"),
            (
                {"Version": "1", "Statement": a_statement(Condition={"IpAddress": {"acs:SourceIp": "here"}})},
                "IpAddress",
            ),
            (
                {"Version": "1", "Statement": a_statement(Condition={"Bool": {"acs:SecureTransport": [True, False]}})},
                "one",
            ),
            ({"Version": "1", "Statement": a_statement(Condition={"DateEquals": {"acs:CurrentTime": "now"}})}, "Date"),
            (
                {"Version": "1", "Statement": a_statement(Condition={"NumericEquals": {"cs:AddonName": "NaN"}})},
                "Numeric",
            ),
            ({"Version": "1", "Statement": a_statement(action=["cs:" + "x" * 7000])}, "longer"),
        ],
    )
    def test_what_is_no_policy_is_refused_by_its_place(self, document, place):
        with pytest.raises(InvalidParameter) as caught:
            read(document)
        assert place in caught.value.message

    def test_one_may_stand_for_a_list(self):
        assert len(read({"Version": "1", "Statement": a_statement()})) == 1

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["Version", "Statement", "Effect", "Action", "Resource", "Condition", *OPERATORS]),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=20,
        )
    )
    def test_whatever_is_sent_is_read_or_refused(self, document):
        try:
            read(document)
        except InvalidParameter:
            return
        assert document["Version"] == "1"


class TestSystemPolicies:
    @pytest.mark.parametrize("policy", SYSTEM_POLICIES.values(), ids=lambda policy: policy.name)
    def test_they_are_policies(self, policy):
        assert read(json.loads(json.dumps(policy.document)))

    def may(self, name, action):
        return decide(Grants(((SYSTEM_POLICIES[name],),)), Question((action,), CLUSTER)).allowed

    def test_reading_does_not_hand_out_a_kubeconfig(self):
        assert self.may("AliyunCSReadOnlyAccess", "cs:DescribeClusterAddonsUpgradeStatus")
        assert self.may("AliyunCSReadOnlyAccess", "cs:QueryK8sComponentUpgradeStatus")
        assert not self.may("AliyunCSReadOnlyAccess", "cs:DescribeClusterUserKubeconfig")
        assert not self.may("AliyunCSReadOnlyAccess", "cs:InstallClusterAddons")

    def test_full_access_to_clusters_is_none_to_keys(self):
        assert self.may("AliyunCSFullAccess", "cs:DeleteCluster")
        assert not self.may("AliyunCSFullAccess", "ram:CreateAccessKey")
        assert self.may("AdministratorAccess", "ram:CreateAccessKey")


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "text", "expected"),
        [
            ("*", "", True),
            ("a*c", "abbc", True),
            ("a*c", "abcd", False),
            ("a?c", "abc", True),
            ("a?c", "ac", False),
            ("**", "x", True),
            ("", "", True),
            ("", "x", False),
            ("*a*a*", "xaya", True),
            ("*a*b", "aab", True),
        ],
    )
    def test_examples(self, pattern, text, expected):
        assert matches(pattern, text) is expected

    def test_many_stars_take_no_time(self):
        assert not matches("a*" * 200 + "b", "a" * 4000)

    @given(st.text("ab", max_size=8), st.text("ab*?", max_size=8))
    def test_it_is_what_a_regular_expression_says(self, text, pattern):
        import re

        expected = re.fullmatch(pattern.replace("*", ".*").replace("?", "."), text) is not None
        assert matches(pattern, text) is expected
