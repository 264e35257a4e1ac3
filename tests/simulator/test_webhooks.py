"""Admission webhooks refuse, change and fail, for clients and for controllers."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.simulator.manifests import CONFIG_MAPS, DEPLOYMENTS, config_map, deployment

HOOKS = "/apis/admissionregistration.k8s.io/v1"


def configuration(kind, client_config, *, resources, operations=("CREATE", "UPDATE"), **hook):
    rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": list(operations), "resources": list(resources)}
    webhook = {
        "name": "guard.example.com",
        "clientConfig": client_config,
        "rules": [rule],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **hook,
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}WebhookConfiguration",
        "metadata": {"name": "guard"},
        "webhooks": [webhook],
    }


def behind_service(**options):
    service = {"service": {"name": "guard", "namespace": "default", "path": "/validate"}}
    return configuration("Validating", service, **options)


@pytest.fixture
def hook():
    """A webhook on loopback: what it was asked, and what it answers."""
    asked, answers = [], {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(review["request"])
            response = {"uid": review["request"]["uid"], "allowed": True, **answers}
            body = json.dumps({**review, "response": response}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/check", asked, answers
        server.shutdown()
        thread.join()


def test_a_webhook_without_endpoints_fails_writes_in_the_words_of_kubernetes(client):
    """The commonest way a webhook breaks an upgrade, and the message it is recognised by."""
    client.post(f"{HOOKS}/validatingwebhookconfigurations", behind_service(resources=["configmaps"]))
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "guard"}}
    client.post(
        "/api/v1/namespaces/default/services", service | {"spec": {"selector": {"app": "g"}, "ports": [{"port": 443}]}}
    )
    answer = client("POST", CONFIG_MAPS, config_map("a"))
    assert (answer.status, answer.body["reason"]) == (500, "InternalError")
    assert answer.body["message"] == (
        'Internal error occurred: failed calling webhook "guard.example.com": failed to call webhook: '
        'Post "https://guard.default.svc:443/validate?timeout=10s": no endpoints available for service "guard"'
    )


def test_a_webhook_that_may_be_ignored_is_passed_over(client):
    """failurePolicy decides, and nothing else."""
    client.post(
        f"{HOOKS}/validatingwebhookconfigurations", behind_service(resources=["configmaps"], failurePolicy="Ignore")
    )
    assert client("POST", CONFIG_MAPS, config_map("a")).status == 201


def test_a_webhook_is_called_and_its_denial_is_passed_on(client, hook):
    """Selectors and rules say who is asked; the denial's own words reach the client."""
    url, asked, answers = hook
    answers |= {"allowed": False, "status": {"code": 403, "message": "not on a Friday"}}
    only = {"matchLabels": {"guarded": "yes"}}
    made = configuration("Validating", {"url": url}, resources=["configmaps"], objectSelector=only)
    client.post(f"{HOOKS}/validatingwebhookconfigurations", made)
    assert client("POST", CONFIG_MAPS, config_map("free")).status == 201
    guarded = config_map("a") | {"metadata": {"name": "a", "labels": {"guarded": "yes"}}}
    answer = client("POST", CONFIG_MAPS, guarded)
    assert (answer.status, answer.body["reason"]) == (403, "Forbidden")
    assert answer.body["message"] == 'admission webhook "guard.example.com" denied the request: not on a Friday'
    assert [(a["operation"], a["name"], a["object"]["kind"]) for a in asked] == [("CREATE", "a", "ConfigMap")]


def test_a_mutating_webhook_changes_what_is_stored(client, hook):
    """What was sent and what is there differ, and user edits must be told from it."""
    url, _, answers = hook
    patch = [{"op": "add", "path": "/data/added", "value": "by the webhook"}]
    answers |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
    client.post(
        f"{HOOKS}/mutatingwebhookconfigurations", configuration("Mutating", {"url": url}, resources=["configmaps"])
    )
    client.post(CONFIG_MAPS, config_map("a", own="1"))
    assert client.get(f"{CONFIG_MAPS}/a")["data"] == {"own": "1", "added": "by the webhook"}


def test_a_controller_that_is_denied_its_pods_says_so_and_goes_on_later(client, hook):
    """A rollout then stalls with no Pod to look at; the condition is all that names the webhook."""
    url, asked, answers = hook
    answers |= {"allowed": False, "status": {"message": "image is not signed"}}
    client.post(
        f"{HOOKS}/validatingwebhookconfigurations", configuration("Validating", {"url": url}, resources=["pods"])
    )
    client.post(DEPLOYMENTS, deployment(replicas=2))

    def failing(obj):
        return [c["message"] for c in obj["status"].get("conditions", []) if c["type"] == "ReplicaFailure"] == [
            'admission webhook "guard.example.com" denied the request: image is not signed'
        ]

    client.wait(f"{DEPLOYMENTS}/web", "the Deployment says who denies it", failing)
    answers["allowed"] = True
    done = client.wait(
        f"{DEPLOYMENTS}/web", "the Deployment has its Pods", lambda o: o["status"].get("availableReplicas") == 2
    )
    assert not failing(done)
    assert {a["object"]["metadata"]["generateName"].split("-")[0] for a in asked if a["operation"] == "CREATE"} == {
        "web"
    }


def test_a_webhook_is_asked_only_where_its_conditions_hold(client, hook):
    pytest.importorskip("cel_expr_python")
    url, asked, _ = hook
    conditions = [{"name": "named", "expression": "object.metadata.name != 'free' && request.operation == 'CREATE'"}]
    options = {"resources": ["configmaps"], "matchConditions": conditions}
    client.post(f"{HOOKS}/validatingwebhookconfigurations", configuration("Validating", {"url": url}, **options))
    client.post(CONFIG_MAPS, config_map("free"))
    assert asked == []
    client.post(CONFIG_MAPS, config_map("bound"))
    assert [request["name"] for request in asked] == ["bound"]
    assert asked[0]["userInfo"]["username"] == "admin"


def test_a_condition_that_cannot_be_compiled_is_refused(client):
    pytest.importorskip("cel_expr_python")
    conditions = [{"name": "n", "expression": "nope"}]
    wrong = behind_service(resources=["configmaps"], matchConditions=conditions)
    refused = client("POST", f"{HOOKS}/validatingwebhookconfigurations", wrong)
    assert refused.body["details"]["causes"][0]["field"] == "webhooks[0].matchConditions[0].expression"


@pytest.mark.parametrize(("policy", "status"), [("Exact", 201), ("Equivalent", 500)])
def test_a_version_counts_where_the_match_is_exact(client, policy, status):
    wrong = behind_service(resources=["configmaps"], matchPolicy=policy)
    wrong["webhooks"][0]["rules"][0]["apiVersions"] = ["v2"]
    client.post(f"{HOOKS}/validatingwebhookconfigurations", wrong)
    assert client("POST", CONFIG_MAPS, config_map("c")).status == status
