"""Services have endpoints and load balancers; autoscalers say what they would do, and do it on request."""

from __future__ import annotations

import json

from tests.simulator.manifests import DEPLOYMENTS, deployment

SERVICES = "/api/v1/namespaces/default/services"
ENDPOINTS = "/api/v1/namespaces/default/endpoints"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
AUTOSCALERS = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"


def service(name: str = "web", **spec: object):
    wanted = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": wanted}


def serving(**options: object):
    made = deployment(**options)
    made["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 8080}]
    return made


def ready_addresses(client):
    found = client.get(f"{ENDPOINTS}/web").get("subsets", [])
    return {address["ip"] for subset in found for address in subset.get("addresses", [])}


def test_endpoints_are_the_ready_pods(stepped):
    simulator, client = stepped
    client.post(SERVICES, service())
    client.post(DEPLOYMENTS, serving(replicas=2))
    simulator.advance(0.5)
    (subset,) = client.get(f"{ENDPOINTS}/web")["subsets"]
    assert (len(subset["notReadyAddresses"]), "addresses" in subset) == (2, False)
    simulator.advance(5)
    addresses = {pod["status"]["podIP"] for pod in client.get("/api/v1/namespaces/default/pods")["items"]}
    assert ready_addresses(client) == addresses
    (slice_,) = client.get(f"{SLICES}?labelSelector=kubernetes.io/service-name%3Dweb")["items"]
    assert {e["addresses"][0] for e in slice_["endpoints"] if e["conditions"]["ready"]} == addresses
    assert [(p["name"], p["port"]) for p in slice_["ports"]] == [("http", 8080)]


def test_endpoints_tell_which_moment_led_to_their_change(stepped):
    simulator, client = stepped
    trigger = "endpoints.kubernetes.io/last-change-trigger-time"

    def told():
        metadata = client.get(SLICES)["items"][0]["metadata"]
        return metadata["generation"], metadata.get("annotations", {}).get(trigger)

    made = client.post(SERVICES, service())
    simulator.advance(1)
    assert told() == (1, made["metadata"]["creationTimestamp"])
    client.post(DEPLOYMENTS, serving(replicas=1))
    simulator.advance(5)
    (pod,) = client.get("/api/v1/namespaces/default/pods")["items"]
    (ready,) = (c["lastTransitionTime"] for c in pod["status"]["conditions"] if c["type"] == "Ready")
    assert told()[1] == ready
    client.merge(f"{DEPLOYMENTS}/web", {"spec": {"replicas": 0}})
    simulator.advance(5)
    assert told()[1] is None  # that a Pod goes is no such moment


def test_endpoints_follow_pods_and_selectors_and_go_with_their_service(stepped):
    simulator, client = stepped
    client.post(SERVICES, service())
    client.post(DEPLOYMENTS, serving(replicas=2))
    simulator.advance(5)
    client.merge(f"{DEPLOYMENTS}/web", {"spec": {"replicas": 1}})
    simulator.advance(5)
    assert len(ready_addresses(client)) == 1
    client.merge(f"{SERVICES}/web", {"spec": {"selector": {"app": "other"}}})
    simulator.advance(1)
    assert ready_addresses(client) == set()
    client.delete(f"{SERVICES}/web")
    simulator.advance(1)
    assert client.get(ENDPOINTS)["items"] == client.get(SLICES)["items"] == []


def test_a_service_without_a_selector_has_the_endpoints_it_is_given(stepped):
    simulator, client = stepped
    client.post(SERVICES, service(selector=None))
    simulator.advance(1)
    assert client.get(ENDPOINTS)["items"] == []


def test_a_load_balancer_gets_its_address_after_a_while_or_never(stepped):
    simulator, client = stepped
    client.post(SERVICES, service(type="LoadBalancer"))
    waiting = service("waiting", type="LoadBalancer")
    waiting["metadata"]["annotations"] = {"simulated-load-balancer": "pending"}
    client.post(SERVICES, waiting)
    simulator.advance(1)
    assert client.get(f"{SERVICES}/web")["status"]["loadBalancer"] == {}
    simulator.advance(600)
    assert client.get(f"{SERVICES}/web")["status"]["loadBalancer"]["ingress"][0]["ip"].startswith("198.18.")
    assert client.get(f"{SERVICES}/waiting")["status"]["loadBalancer"] == {}
    client.merge(f"{SERVICES}/waiting", {"metadata": {"annotations": {"simulated-load-balancer": None}}})
    simulator.advance(1)
    assert client.get(f"{SERVICES}/waiting")["status"]["loadBalancer"]["ingress"]
    client.merge(f"{SERVICES}/web", {"spec": {"type": "ClusterIP"}})
    simulator.advance(1)
    assert client.get(f"{SERVICES}/web")["status"]["loadBalancer"] == {}


def autoscaler(**spec: object):
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    target = {"type": "Utilization", "averageUtilization": 50}
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    wanted = {"scaleTargetRef": reference, "minReplicas": 1, "maxReplicas": 5, "metrics": metrics, **spec}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": wanted,
    }


def verdicts(scaler):
    return {c["type"]: (c["status"], c["reason"]) for c in scaler["status"]["conditions"]}


def test_an_autoscaler_without_metrics_says_so_and_leaves_the_size_alone(stepped):
    simulator, client = stepped
    client.post(DEPLOYMENTS, deployment(replicas=3))
    client.post(AUTOSCALERS, autoscaler())
    simulator.advance(20)
    scaler = client.get(f"{AUTOSCALERS}/web")
    assert verdicts(scaler) == {
        "AbleToScale": ("True", "SucceededGetScale"),
        "ScalingActive": ("False", "FailedGetResourceMetric"),
    }
    assert (scaler["status"]["currentReplicas"], scaler["status"]["desiredReplicas"]) == (3, 0)
    assert client.get(f"{DEPLOYMENTS}/web")["spec"]["replicas"] == 3


def test_an_autoscaler_scales_to_the_use_it_is_told_within_its_limits(stepped):
    simulator, client = stepped
    client.post(DEPLOYMENTS, deployment(replicas=2))
    client.post(AUTOSCALERS, autoscaler())
    simulator.advance(20)
    for use, size in (("75", 3), ("52", 3), ("400", 5), ("1", 1)):
        client.merge(f"{AUTOSCALERS}/web", {"metadata": {"annotations": {"simulated-utilization": use}}})
        simulator.advance(16)  # one look at the metrics, not two
        client.merge(f"{AUTOSCALERS}/web", {"metadata": {"annotations": {"simulated-utilization": None}}})
        assert client.get(f"{DEPLOYMENTS}/web")["spec"]["replicas"] == size
    events = client.get("/api/v1/namespaces/default/events")["items"]
    assert "New size: 3; reason: cpu resource utilization (percentage of request)" in [e["message"] for e in events]


def test_who_applies_another_size_than_the_autoscaler_meets_it(stepped):
    """Helm 4 applies server-side, and runs into an autoscaler this way."""
    simulator, client = stepped
    wanted = json.dumps(deployment(replicas=2)).encode()
    path, patch = f"{DEPLOYMENTS}/web?fieldManager=helm&force=false", "application/apply-patch+yaml"
    assert client("PATCH", path, wanted, patch).status == 201
    client.post(AUTOSCALERS, autoscaler())
    client.merge(f"{AUTOSCALERS}/web", {"metadata": {"annotations": {"simulated-utilization": "75"}}})
    simulator.advance(16)
    refused = client("PATCH", path, wanted, patch)
    owner = 'conflict with "kube-controller-manager" with subresource "scale" using apps/v1'
    assert (refused.status, refused.body["message"]) == (
        409,
        f"Apply failed with 1 conflict: {owner}: .spec.replicas",
    )


def test_an_autoscaler_without_its_target_says_so(stepped):
    simulator, client = stepped
    client.post(AUTOSCALERS, autoscaler())
    simulator.advance(20)
    assert verdicts(client.get(f"{AUTOSCALERS}/web")) == {"AbleToScale": ("False", "FailedGetScale")}


def test_an_autoscaler_has_another_form_in_autoscaling_v1(client):
    client.post(AUTOSCALERS, autoscaler(behavior={"scaleDown": {"stabilizationWindowSeconds": 60}}))
    older = AUTOSCALERS.replace("/v2/", "/v1/")
    shown = client.get(f"{older}/web")
    assert shown["spec"]["targetCPUUtilizationPercentage"] == 50
    assert "metrics" not in shown["spec"]
    assert client.get(older)["items"][0]["spec"] == shown["spec"]
    client.merge(f"{older}/web", {"spec": {"targetCPUUtilizationPercentage": 70}})
    kept = client.get(f"{AUTOSCALERS}/web")
    assert kept["spec"]["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 70}
    assert kept["spec"]["behavior"] == {"scaleDown": {"stabilizationWindowSeconds": 60}}
    assert "annotations" not in kept["metadata"]


def test_metrics_that_autoscaling_v1_cannot_say_survive_it(client):
    target = {"type": "AverageValue", "averageValue": "10"}
    pods = {"type": "Pods", "pods": {"metric": {"name": "requests"}, "target": target}}
    client.post(AUTOSCALERS, autoscaler(metrics=[pods]))
    older = AUTOSCALERS.replace("/v2/", "/v1/")
    assert client.merge(f"{older}/web", {"spec": {"maxReplicas": 9}})["spec"]["maxReplicas"] == 9
    assert client.get(f"{AUTOSCALERS}/web")["spec"]["metrics"] == [pods]


def test_an_autoscaler_without_sense_is_refused(client):
    reference = {"kind": "Deployment", "name": "web"}
    refused = client("POST", AUTOSCALERS, autoscaler(minReplicas=5, maxReplicas=2, scaleTargetRef=reference))
    assert refused.status == 422
    assert [cause["field"] for cause in refused.body["details"]["causes"]] == [
        "spec.maxReplicas",
        "spec.scaleTargetRef.apiVersion",
    ]
