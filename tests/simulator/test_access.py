"""Users beside the administrator: who they are, what roles let them do, and in which words they are refused."""

from __future__ import annotations

import base64
import ssl
import urllib.error
import urllib.request

import pytest
import yaml

from addonry.simulator import Simulator
from tests.simulator.conftest import Client
from tests.simulator.manifests import CONFIG_MAPS, DEPLOYMENTS, config_map, deployment

RBAC = "/apis/rbac.authorization.k8s.io/v1"
REVIEWS = "/apis/authorization.k8s.io/v1"
IMPERSONATING = {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]}


class As:
    """A client with somebody else's token."""

    def __init__(self, client: Client, token: str) -> None:
        self._client, self._token = client, token

    def __call__(self, method, path, body=None, content_type="application/json", **headers):
        return self._client(method, path, body, content_type, Authorization=f"Bearer {self._token}", **headers)


def grant(client, rules, *, to, namespace="default", kind="User"):
    """A Role with these rules, bound to somebody; without a namespace a ClusterRole."""
    where, role = (f"{RBAC}/namespaces/{namespace}/", "role") if namespace else (f"{RBAC}/cluster", "role")
    name = f"r-{len(client.get(f'{where}{role}s')['items'])}"
    client.post(f"{where}{role}s", {"metadata": {"name": name}, "rules": rules})
    bind(client, {"kind": "Role" if namespace else "ClusterRole", "name": name}, to=to, namespace=namespace, kind=kind)


def bind(client, role, *, to, namespace="default", kind="User"):
    where = f"{RBAC}/namespaces/{namespace}/rolebindings" if namespace else f"{RBAC}/clusterrolebindings"
    subject = {"kind": kind, "name": to, "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", **role}
    client.post(where, {"metadata": {"generateName": "b-"}, "subjects": [subject], "roleRef": reference})


@pytest.fixture
def jane(cluster, client):
    return As(client, cluster.user("jane", ["devs"]).token)


READ = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}


def test_a_role_lets_a_user_do_just_what_it_says(client, jane):
    assert jane("GET", CONFIG_MAPS).status == 403
    grant(client, [READ], to="jane")
    assert jane("GET", CONFIG_MAPS).status == 200
    assert jane("GET", "/api/v1/namespaces/kube-system/configmaps").status == 403
    refused = jane("POST", CONFIG_MAPS, config_map("x"))
    assert refused.status == 403
    assert refused.body["message"] == (
        'configmaps is forbidden: User "jane" cannot create resource "configmaps" in API group "" in the namespace '
        '"default"'
    )
    watch = jane("GET", f"{CONFIG_MAPS}?watch=1")
    assert 'cannot watch resource "configmaps"' in watch.body["message"]


def test_groups_names_and_subresources_are_told_apart(client, jane):
    client.post(DEPLOYMENTS, deployment(replicas=1))
    scale = {"apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["get"], "resourceNames": ["web"]}
    grant(client, [scale], to="devs", kind="Group")
    assert jane("GET", f"{DEPLOYMENTS}/web/scale").status == 200
    assert jane("GET", f"{DEPLOYMENTS}/other/scale").status == 403
    assert jane("GET", f"{DEPLOYMENTS}/web").status == 403


def test_a_cluster_role_holds_everywhere_or_where_it_is_bound(client, jane):
    bind(client, {"kind": "ClusterRole", "name": "view"}, to="jane", namespace="kube-system")
    assert jane("GET", "/api/v1/namespaces/kube-system/pods").status == 200
    assert jane("GET", "/api/v1/pods").status == 403
    assert jane("GET", "/api/v1/namespaces/kube-system/secrets").status == 403
    bind(client, {"kind": "ClusterRole", "name": "cluster-admin"}, to="jane", namespace="")
    assert jane("GET", "/api/v1/namespaces/kube-system/secrets").status == 200
    assert jane("GET", "/metrics").status == 200


def test_an_aggregated_role_has_the_rules_of_its_parts(client, jane):
    bind(client, {"kind": "ClusterRole", "name": "view"}, to="jane")
    labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    rules = [{"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["list"]}]
    client.post(f"{RBAC}/clusterroles", {"metadata": {"name": "widgets", "labels": labels}, "rules": rules})
    client.wait(f"{RBAC}/clusterroles/view", "view has the rule", lambda role: rules[0] in role["rules"])
    review = {"spec": {"resourceAttributes": {"group": "example.com", "resource": "widgets", "verb": "list"}}}
    review["spec"]["resourceAttributes"]["namespace"] = "default"
    assert jane("POST", f"{REVIEWS}/selfsubjectaccessreviews", review).body["status"]["allowed"] is True
    admin = client.get(f"{RBAC}/clusterroles/admin")
    assert rules[0] in admin["rules"], "admin is made of edit, and edit of view"


def test_reviews_say_beforehand_what_requests_will_be_told(client, jane):
    grant(client, [READ], to="jane")

    def may(verb, asks, kind="selfsubjectaccessreviews", **who):
        spec = {"resourceAttributes": {"verb": verb, "resource": "configmaps", "namespace": "default"}, **who}
        return asks("POST", f"{REVIEWS}/{kind}", {"spec": spec}).body["status"]

    assert may("list", jane)["reason"].startswith('RBAC: allowed by RoleBinding "b-')
    assert may("delete", jane) == {"allowed": False}
    assert may("list", client, "subjectaccessreviews", user="jane")["allowed"] is True
    assert may("list", client, "subjectaccessreviews", user="joe") == {"allowed": False}
    rules = jane("POST", f"{REVIEWS}/selfsubjectrulesreviews", {"spec": {"namespace": "default"}}).body["status"]
    assert {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps"]} in rules["resourceRules"]


def test_impersonation_needs_the_right_to_it(client, jane, cluster):
    told = client("GET", CONFIG_MAPS, Impersonate_User="joe").body["message"]
    assert 'User "joe" cannot list resource "configmaps"' in told
    refused = jane("GET", CONFIG_MAPS, Impersonate_User="joe").body["message"]
    assert 'User "jane" cannot impersonate-on:user-info:list resource "configmaps"' in refused
    grant(client, [IMPERSONATING], to="jane", namespace="")
    grant(client, [READ], to="readers", kind="Group")
    answer = jane("GET", CONFIG_MAPS, Impersonate_User="joe", Impersonate_Group="readers")
    assert answer.status == 200


def test_a_token_that_was_taken_back_is_good_for_nothing(cluster, client):
    user = cluster.user("jane", ["system:masters"])
    assert As(client, user.token)("GET", CONFIG_MAPS).status == 200
    assert user.token in user.kubeconfig
    user.expire()
    refused = As(client, user.token)("GET", CONFIG_MAPS)
    assert (refused.status, refused.body["message"]) == (401, "Unauthorized")


def test_a_service_account_acts_by_a_token_of_its_own(client):
    path = "/api/v1/namespaces/default/serviceaccounts/default"
    client.wait(path, "the account is made", lambda _: True)
    made = client("POST", f"{path}/token", {"spec": {}}).body
    [owner] = made["metadata"]["managedFields"]
    assert (owner["subresource"], owner["fieldsV1"]) == ("token", {"f:spec": {"f:expirationSeconds": {}}})
    token = made["status"]["token"]
    account = As(client, token)
    review = account("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert review.body["status"]["userInfo"]["username"] == "system:serviceaccount:default:default"
    grant(client, [READ], to="system:serviceaccounts:default", kind="Group")
    assert account("GET", CONFIG_MAPS).status == 200
    known = client("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": token}}).body["status"]
    assert (known["authenticated"], known["user"]["username"]) == (True, "system:serviceaccount:default:default")


def test_users_prove_who_they_are_by_certificate_until_it_ends(tmp_path):
    """An expired certificate gets 401, as from a real server, and no broken connection."""
    with Simulator(clusters=1, tls=True) as simulator:
        cluster = simulator.cluster("sim-1")

        def get(path, config):
            config = yaml.safe_load(config)
            found, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
            authority = base64.b64decode(found["certificate-authority-data"])
            context = ssl.create_default_context(cadata=authority.decode())
            for member, file in (("client-certificate-data", "c.pem"), ("client-key-data", "k.pem")):
                (tmp_path / file).write_bytes(base64.b64decode(user[member]))
            context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
            try:
                with urllib.request.urlopen(f"{cluster.server}{path}", context=context) as answer:
                    return answer.status
            except urllib.error.HTTPError as error:
                with error:
                    return error.code

        assert get("/api/v1/nodes", cluster.certified_user("root", ["system:masters"])) == 200
        assert get("/api/v1/nodes", cluster.certified_user("jane")) == 403
        assert get("/api/v1/nodes", cluster.certified_user("root", ["system:masters"], seconds=-60)) == 401


ROLES = f"{RBAC}/namespaces/default/roles"
MANAGE = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["*"]}


def test_nobody_grants_what_they_do_not_have(client, jane):
    """Helm installs roles of charts, and a user without these rights is told which are missing."""
    grant(client, [READ, {**MANAGE, "verbs": ["create", "patch", "get"]}], to="jane")
    assert jane("POST", ROLES, {"metadata": {"name": "fits"}, "rules": [READ]}).status == 201
    more = {"apiGroups": ["", "apps"], "resources": ["secrets"], "verbs": ["get", "list"], "resourceNames": ["a"]}
    refused = jane("POST", ROLES, {"metadata": {"name": "more"}, "rules": [READ, more]})
    assert refused.status == 403
    assert refused.body["message"] == (
        'roles.rbac.authorization.k8s.io "more" is forbidden: user "jane" (groups=["devs" "system:authenticated"]) is '
        "attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["secrets"], ResourceNames:["a"], Verbs:["get" "list"]}\n'
        '{APIGroups:["apps"], Resources:["secrets"], ResourceNames:["a"], Verbs:["get" "list"]}'
    )
    patched = jane("PATCH", f"{ROLES}/fits", {"rules": [more]}, "application/merge-patch+json")
    assert patched.status == 403


def test_the_verb_escalate_lifts_it(client, jane):
    grant(client, [{**MANAGE, "verbs": ["create", "escalate"]}], to="jane")
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    assert jane("POST", ROLES, {"metadata": {"name": "all"}, "rules": rules}).status == 201


def test_a_role_is_bound_by_who_has_its_rights_or_may_bind_it(client, jane):
    bindings = f"{RBAC}/namespaces/default/rolebindings"
    view = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}

    def bound(name, reference):
        return jane("POST", bindings, {"metadata": {"name": name}, "roleRef": reference})

    grant(client, [{**MANAGE, "verbs": ["create"]}], to="jane")
    refused = bound("a", view)
    assert refused.status == 403
    assert "attempting to grant RBAC permissions not currently held" in refused.body["message"]
    assert bound("b", view | {"name": "nothing"}).status == 404
    role = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["bind"]}
    grant(client, [{**role, "resourceNames": ["view"]}], to="jane")
    assert bound("c", view).status == 201
    assert bound("d", view | {"name": "edit"}).status == 403


def test_only_who_may_do_everything_makes_a_role_of_other_roles(client, jane):
    grant(client, [{**MANAGE, "resources": ["clusterroles"], "verbs": ["create"]}], to="jane", namespace="")
    rule = {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}
    role = {"metadata": {"name": "sum"}, "aggregationRule": rule}
    refused = jane("POST", f"{RBAC}/clusterroles", role)
    assert refused.body["message"].endswith("must have cluster-admin privileges to use the aggregationRule")


def test_an_apply_that_creates_takes_the_right_to_create(client, jane):
    grant(client, [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"]}], to="jane")
    path, kind = f"{CONFIG_MAPS}/new?fieldManager=t", "application/apply-patch+yaml"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}, "data": {"k": "v"}}
    refused = jane("PATCH", path, body, kind)
    assert (refused.status, "cannot create resource" in refused.body["message"]) == (403, True)
    client.post(CONFIG_MAPS, config_map("new"))
    assert jane("PATCH", path, body, kind).status == 200
