"""Pod Security: which Pods a namespace's labels keep out, and what they warn of."""

from __future__ import annotations

import pytest

from addonry.simulator.admission.podstandards import violations
from tests.simulator.manifests import DEPLOYMENTS, PODS, deployment

NAMESPACE = "/api/v1/namespaces/default"
ENFORCE, WARN = "pod-security.kubernetes.io/enforce", "pod-security.kubernetes.io/warn"
FIT = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def container(name="a", **security):
    return {"name": name, "image": "registry.example/app:1.0", "securityContext": security}


def pod(*containers, **spec):
    return {"metadata": {"name": "p"}, "spec": {"containers": list(containers or [container()]), **spec}}


def labelled(client, **labels):
    return client("PATCH", NAMESPACE, {"metadata": {"labels": labels}}, "application/merge-patch+json")


def test_an_enforced_level_refuses_pods(client):
    labelled(client, **{ENFORCE: "restricted"})
    refused = client("POST", PODS, pod(container(privileged=True)))
    assert refused.status == 403
    assert refused.body["message"] == (
        'pods "p" is forbidden: violates PodSecurity "restricted:latest": privileged (container "a" must not set '
        'securityContext.privileged=true), allowPrivilegeEscalation != false (container "a" must set '
        'securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "a" must set '
        'securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "a" must set '
        'securityContext.runAsNonRoot=true), seccompProfile (pod or container "a" must set '
        'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
    )
    client.post(PODS, pod(container(**FIT)))


def test_workloads_are_warned_about_and_their_pods_are_refused(stepped):
    simulator, client = stepped
    labelled(client, **{ENFORCE: "restricted", WARN: "restricted"})
    answer = client("POST", DEPLOYMENTS, deployment(replicas=1))
    assert answer.status == 201
    assert answer.headers["Warning"].startswith('299 - "would violate PodSecurity \\"restricted:latest\\": allow')
    simulator.advance(3)
    assert client.get(PODS)["items"] == []
    events = client.get(f"{NAMESPACE}/events")["items"]
    assert any("violates PodSecurity" in e["message"] for e in events if e["reason"] == "FailedCreate")


def test_a_stricter_label_tells_of_pods_that_are_there(stepped):
    simulator, client = stepped
    client.post(DEPLOYMENTS, deployment(replicas=3))
    simulator.advance(3)
    answer = labelled(client, **{ENFORCE: "restricted"})
    assert "(and 2 other pods): allowPrivilegeEscalation != false" in answer.headers["Warning"]
    assert "Warning" not in labelled(client, **{ENFORCE: "baseline"}).headers


def test_an_unknown_level_is_refused(client):
    refused = labelled(client, **{WARN: "strict"})
    assert refused.status == 422
    assert refused.body["details"]["causes"][0]["message"].endswith("must be one of privileged, baseline, restricted")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (pod(container(capabilities={"add": ["SYS_ADMIN"]})), "non-default capabilities"),
        (pod(hostNetwork=True, hostPID=True), "host namespaces"),
        (pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), "hostPath volumes"),
        (pod({**container(), "ports": [{"containerPort": 1, "hostPort": 1}]}), "hostPort"),
        (pod({**container(), "livenessProbe": {"httpGet": {"host": "h"}}}), "probe or lifecycle host"),
        (pod(container(procMount="Unmasked")), "procMount"),
        (pod(container(seLinuxOptions={"user": "u"})), "seLinuxOptions"),
        (pod(securityContext={"seccompProfile": {"type": "Unconfined"}}), "seccompProfile"),
        (pod(securityContext={"sysctls": [{"name": "kernel.msgmax"}]}), "forbidden sysctls"),
        (pod(container(windowsOptions={"hostProcess": True})), "hostProcess"),
        (pod(container(appArmorProfile={"type": "Unconfined"})), "forbidden AppArmor profile"),
    ],
)
def test_the_baseline_has_a_word_for_each_fault(wrong, reason):
    assert [found.reason for found in violations(wrong, "baseline")] == [reason]
    assert violations(wrong, "privileged") == ()


@pytest.mark.parametrize(
    ("wrong", "detail"),
    [
        (pod(container(**FIT), securityContext={"runAsUser": 0}), "pod must not set runAsUser=0"),
        (
            pod(container(**FIT), volumes=[{"name": "v", "nfs": {}}, {"name": "w", "hostPath": {}}]),
            'volumes "v", "w" use restricted volume types "hostPath", "nfs"',
        ),
        (
            pod(container(**FIT | {"runAsNonRoot": False})),
            'container "a" must not set securityContext.runAsNonRoot=false',
        ),
    ],
)
def test_the_restricted_level_names_who_and_what(wrong, detail):
    assert [found.detail for found in violations(wrong, "restricted")] == [detail]


def test_the_pods_own_settings_hold_for_its_containers():
    whole = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    only = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}
    assert violations(pod(container(**only), container("b", **only), securityContext=whole), "restricted") == ()
