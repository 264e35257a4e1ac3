"""LimitRanges: what containers are given, and what is too much or too little."""

from __future__ import annotations

from tests.simulator.manifests import DEPLOYMENTS, PODS, deployment

LIMITS = "/api/v1/namespaces/default/limitranges"
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"


def limits(client, **limit):
    return client.post(LIMITS, {"metadata": {"name": "l"}, "spec": {"limits": [{"type": "Container", **limit}]}})


def pod(**resources):
    container = {"name": "a", "image": "registry.example/app:1.0", "resources": resources}
    return {"metadata": {"name": "p"}, "spec": {"containers": [container]}}


def test_defaults_follow_from_each_other(client):
    made = limits(client, max={"cpu": "2"}, min={"memory": "1Mi"})["spec"]["limits"][0]
    assert made["default"] == {"cpu": "2"}
    assert made["defaultRequest"] == {"cpu": "2", "memory": "1Mi"}


def test_a_container_that_asks_for_nothing_gets_the_defaults(client):
    limits(client, default={"cpu": "500m"}, defaultRequest={"cpu": "100m", "memory": "64Mi"})
    made = client.post(PODS, pod(requests={"cpu": "200m"}))
    assert made["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "200m", "memory": "64Mi"},
        "limits": {"cpu": "500m"},
    }
    assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: memory request for container a; cpu limit for container a"
    )
    assert made["status"]["qosClass"] == "Burstable"


def test_a_limit_without_a_request_is_the_request_too(client):
    limits(client, defaultRequest={"cpu": "100m"})
    made = client.post(PODS, pod(limits={"cpu": "1"}))
    assert made["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "1"}
    assert "annotations" not in made["metadata"]


def test_pods_of_workloads_get_them_as_well(stepped):
    simulator, client = stepped
    limits(client, default={"cpu": "500m"})
    client.post(DEPLOYMENTS, deployment(replicas=1))
    simulator.advance(1)
    (made,) = client.get(PODS)["items"]
    assert made["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "500m"


def test_too_much_and_too_little_are_refused(client):
    limits(client, max={"cpu": "1"}, min={"memory": "64Mi"})
    asked = {"cpu": "2", "memory": "1Mi"}
    refused = client("POST", PODS, pod(requests=asked, limits=asked))
    assert refused.status == 403
    assert refused.body["message"] == (
        'pods "p" is forbidden: [minimum memory usage per Container is 64Mi, but request is 1Mi, '
        "maximum cpu usage per Container is 1, but limit is 2]"
    )
    client.post(PODS, pod(requests={"memory": "128Mi"}))


def test_a_whole_pod_and_a_claim_have_limits_of_their_own(client):
    most = [{"type": "Pod", "max": {"cpu": "1"}}, {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}]
    client.post(LIMITS, {"metadata": {"name": "l"}, "spec": {"limits": most}})
    refused = client("POST", PODS, pod())
    assert refused.body["message"].endswith("maximum cpu usage per Pod is 1.  No limit is specified")
    claim = {
        "metadata": {"name": "c"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}},
    }
    refused = client("POST", CLAIMS, claim)
    assert refused.body["message"].endswith(
        "maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi"
    )
