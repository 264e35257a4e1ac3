"""ValidatingAdmissionPolicies: whose writes they judge, what they say, and which are no policies."""

from __future__ import annotations

import pytest

from tests.simulator.conftest import Client
from tests.simulator.manifests import CONFIG_MAPS, DEPLOYMENTS, PODS, config_map, deployment

pytest.importorskip("cel_expr_python")

REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
POLICIES = f"{REGISTRATION}/validatingadmissionpolicies"
BINDINGS = f"{REGISTRATION}/validatingadmissionpolicybindings"
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}


def policy(*validations, rule=RULE, **more):
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": list(validations), **more}
    return {"metadata": {"name": "p"}, "spec": spec}


def bound(client: Client, made, *actions, **more):
    client.post(POLICIES, made)
    spec = {"policyName": "p", "validationActions": list(actions) or ["Deny"], **more}
    client.post(BINDINGS, {"metadata": {"name": "b"}, "spec": spec})


FORBIDDEN = {"expression": "!('k' in object.data)", "message": "k is not allowed"}


def test_a_write_that_a_policy_denies_is_refused(client):
    bound(client, policy(FORBIDDEN))
    refused = client("POST", CONFIG_MAPS, config_map("c", k="v"))
    said = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: k is not allowed"
    assert (refused.status, refused.body["reason"]) == (422, "Invalid")
    assert refused.body["message"] == f'configmaps "c" is forbidden: {said}'
    assert refused.body["details"]["causes"] == [{"message": said}]
    client.post(CONFIG_MAPS, config_map("c", a="v"))
    patched = client("PATCH", f"{CONFIG_MAPS}/c", {"data": {"k": "v"}}, "application/merge-patch+json")
    assert patched.status == 422


def test_a_binding_may_only_warn(client):
    bound(client, policy(FORBIDDEN), "Warn")
    answer = client("POST", CONFIG_MAPS, config_map("c", k="v"))
    assert answer.status == 201
    assert answer.headers["Warning"] == (
        "299 - \"Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': k is not allowed\""
    )


def test_a_binding_chooses_namespaces(client):
    chosen = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}
    bound(client, policy(FORBIDDEN), matchResources=chosen)
    client.post(CONFIG_MAPS, config_map("c", k="v"))
    client.post("/api/v1/namespaces", {"metadata": {"name": "other"}})
    assert client("POST", "/api/v1/namespaces/other/configmaps", config_map("c", k="v")).status == 422


def test_variables_conditions_and_computed_messages(client):
    made = policy(
        {
            "expression": "variables.count < 2",
            "messageExpression": "'has ' + string(variables.count)",
            "reason": "Forbidden",
        },
        variables=[{"name": "count", "expression": "object.data.size()"}],
        matchConditions=[{"name": "named", "expression": "object.metadata.name != 'free'"}],
    )
    bound(client, made)
    client.post(CONFIG_MAPS, config_map("free", a="1", b="2"))
    refused = client("POST", CONFIG_MAPS, config_map("c", a="1", b="2"))
    assert (refused.status, refused.body["reason"]) == (403, "Forbidden")
    assert refused.body["message"].endswith("denied request: has 2")


def test_parameters_come_from_another_object(client):
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    made = policy({"expression": "object.metadata.name == params.data.name"}, paramKind=kind)
    bound(client, made, paramRef={"name": "limits", "namespace": "kube-system", "parameterNotFoundAction": "Deny"})
    refused = client("POST", CONFIG_MAPS, config_map("c"))
    assert "no params found for policy binding" in refused.body["message"]
    elsewhere = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "limits"}, "data": {"name": "c"}}
    refused = client("POST", "/api/v1/namespaces/kube-system/configmaps", elsewhere)
    client.delete(f"{BINDINGS}/b")
    client.post("/api/v1/namespaces/kube-system/configmaps", elsewhere)
    spec = {
        "policyName": "p",
        "validationActions": ["Deny"],
        "paramRef": {"name": "limits", "namespace": "kube-system"},
    }
    client.post(BINDINGS, {"metadata": {"name": "b"}, "spec": spec})
    client.post(CONFIG_MAPS, config_map("c"))
    refused = client("POST", CONFIG_MAPS, config_map("d"))
    assert refused.body["message"].endswith("failed expression: object.metadata.name == params.data.name")


@pytest.mark.parametrize(("policys", "status"), [("Fail", 422), ("Ignore", 201)])
def test_an_expression_that_fails_does_as_the_policy_says(client, policys, status):
    bound(client, policy({"expression": "object.data.missing == 'x'"}, failurePolicy=policys))
    answer = client("POST", CONFIG_MAPS, config_map("c"))
    assert answer.status == status
    if status == 422:
        assert "resulted in error: no such key: " in answer.body["message"]


def test_a_policy_with_a_wrong_expression_is_refused(client):
    refused = client("POST", POLICIES, policy({"expression": "object.x + nope"}))
    assert refused.status == 422
    (cause,) = refused.body["details"]["causes"]
    assert cause["field"] == "spec.validations[0].expression"
    assert "compilation failed: ERROR: <input>:1:12: undeclared reference to 'nope'" in cause["message"]


def test_pods_of_workloads_are_judged_and_deletions(stepped):
    simulator, client = stepped
    pods = RULE | {"resources": ["pods"], "operations": ["CREATE"]}
    bound(client, policy({"expression": "false", "message": "no pods"}, rule=pods))
    client.post(DEPLOYMENTS, deployment(replicas=1))
    simulator.advance(3)
    assert client.get(PODS)["items"] == []
    client.delete(f"{POLICIES}/p")
    simulator.advance(5)
    assert len(client.get(PODS)["items"]) == 1


def test_a_deletion_is_judged_by_what_was_there(client):
    deletions = RULE | {"operations": ["DELETE"]}
    keep = {"expression": "oldObject.metadata.name != 'keep' && request.userInfo.username == 'admin'"}
    bound(client, policy(keep, rule=deletions))
    for name in ("keep", "drop"):
        client.post(CONFIG_MAPS, config_map(name))
    assert client("DELETE", f"{CONFIG_MAPS}/keep").status == 422
    assert client("DELETE", f"{CONFIG_MAPS}/drop").status == 200


def test_null_in_a_list_is_something_of_which_nothing_is_said(client):
    refused = client("POST", POLICIES, policy(None, rule=None, variables=[None]))
    assert [cause["field"] for cause in refused.body["details"]["causes"]] == [
        "spec.variables[0].expression",
        "spec.validations[0].expression",
    ]
    bound(client, policy({"expression": "false"}, rule=None))
    client.post(CONFIG_MAPS, config_map("c"))
