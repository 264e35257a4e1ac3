"""Requests and their answers, compared with what a real kube-apiserver 1.36.2 was recorded to say."""

from __future__ import annotations

import base64
import gzip
import json
import ssl
import urllib.error
import urllib.request

import pytest
import yaml

from addonry.simulator import Simulator
from addonry.simulator.charts import ChartRepository, find_charts, pack
from addonry.simulator.objects import decode
from tests.simulator.conftest import Client, Helm
from tests.simulator.manifests import CONFIG_MAPS, DEPLOYMENTS, OWN, PODS, WIDGETS, config_map, deployment, pod_template

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PROTOBUF = "application/vnd.kubernetes.protobuf"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"


def test_an_object_is_stored_with_what_the_server_adds(client):
    made = client.post(CONFIG_MAPS, config_map("a", k="v"))
    metadata = made["metadata"]
    assert metadata["namespace"] == "default"
    assert metadata["managedFields"][0]["fieldsV1"] == {"f:data": {".": {}, "f:k": {}}}
    assert client.get(f"{CONFIG_MAPS}/a") == made
    assert "generation" not in metadata


TWICE = b'{"metadata":{"name":"t"},"data":{"k":"1","k":"2"}}'
REFUSALS = [
    ("create duplicate", "POST", "", config_map("a"), 409, 'configmaps "a" already exists'),
    ("missing object", "GET", "/none", None, 404, 'configmaps "none" not found'),
    ("name differs", "PUT", "/a", config_map("b"), 400, "the name of the object (b) does not match"),
    ("unknown resource", "GET", "/../nopes", None, 404, "the server could not find the requested resource"),
    ("POST on a name", "POST", "/a", config_map("a"), 405, "the server does not allow this method"),
    ("PUT on the collection", "PUT", "", config_map("a"), 405, "the server does not allow this method"),
    ("malformed selector", "GET", "?labelSelector=a%3D%28b", None, 400, "found '(', expected: identifier"),
    ("unknown field selector", "GET", "?fieldSelector=data.k%3Dv", None, 400, "is not a known field selector"),
    ("limit not a number", "GET", "?limit=x", None, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
    ("future version", "GET", "?resourceVersion=99999", None, 504, "Too large resource version"),
    ("no name", "POST", "", {"metadata": {}}, 422, "name or generateName is required"),
    ("bad name", "POST", "", config_map("Bad_Name"), 422, "a lowercase RFC 1123 subdomain"),
    ("bad body", "POST", "", b"{not json", 400, "looking for beginning of object key string ({not json)"),
    (
        "garbled page",
        "GET",
        "?continue=garbage",
        None,
        400,
        r"continue key is not valid: invalid character '\x81' looking",
    ),
    ("page of no alphabet", "GET", "?continue=ab*", None, 400, "key is not valid: illegal base64 data at input byte 2"),
    ("page of no format", "GET", "?continue=e30", None, 400, "server does not recognize this encoded version"),
    ("list body", "POST", "", [1], 400, "json: cannot unmarshal array into Go value of type struct { APIVersion"),
    ("kind of a wrong type", "POST", "", {"kind": 1}, 400, "into Go struct field .kind of type string"),
    ("member twice", "POST", "?fieldValidation=Strict", TWICE, 400, 'strict decoding error: duplicate field "data.k"'),
    ("wrong type", "POST", "", {**config_map("t"), "data": {"a": 1}}, 400, "cannot unmarshal number"),
    ("unknown dry run", "POST", "?dryRun=Some", config_map("d"), 422, 'supported values: "All"'),
]


@pytest.mark.parametrize(
    ("what", "method", "path", "body", "status", "message"), REFUSALS, ids=[r[0] for r in REFUSALS]
)
def test_a_refusal_is_a_status_with_the_words_of_a_real_server(client, what, method, path, body, status, message):
    client.post(CONFIG_MAPS, config_map("a", k="v"))
    where = CONFIG_MAPS.replace("configmaps", "nopes") if path.startswith("/..") else CONFIG_MAPS + path
    answer = client(method, where, body)
    assert answer.status == status
    assert answer.body["kind"] == "Status"
    assert message in answer.body["message"]


def test_of_a_member_that_comes_twice_the_last_counts_with_a_warning(client):
    answer = client("POST", CONFIG_MAPS, TWICE)
    assert (answer.status, answer.body["data"]) == (201, {"k": "2"})
    assert answer.headers["Warning"] == r'299 - "duplicate field \"data.k\""'


YAML_FAULTS = [
    ("a: [\n", "yaml: line 1: did not find expected node content (613a205b0a)"),
    ("a: b: c\n", "yaml: mapping values are not allowed in this context (613a20623a20630a)"),
    ("a: 1\nb: c: d\n", "yaml: line 2: mapping values are not allowed in this context"),
]


@pytest.mark.parametrize(("text", "said"), YAML_FAULTS)
def test_what_is_no_yaml_is_refused_in_the_words_of_its_reader(client, text, said):
    answer = client("POST", CONFIG_MAPS, text.encode(), "application/yaml")
    assert answer.status == 400
    assert said in answer.body["message"]


PATCH_FAULTS = [
    ("application/merge-patch+json", b"nope", 400, "error decoding patch: invalid character 'o' in literal null"),
    ("application/merge-patch+json", b"[]", 400, "error decoding patch: json: cannot unmarshal array into Go value"),
    ("application/strategic-merge-patch+json", b"garbage", 400, "invalid character 'g' looking for beginning of value"),
    (
        "application/strategic-merge-patch+json",
        b'{"spec":"x"}',
        422,
        '"map[spec:x]": cannot restore struct from: string',
    ),
    (
        "application/strategic-merge-patch+json",
        b'{"spec":{"replicas":"x"}}',
        422,
        '"map[spec:map[replicas:x]]": cannot convert string to int32',
    ),
    (
        "application/strategic-merge-patch+json",
        b'{"spec":{"nope":1,"nope":2}}',
        422,
        '"map[spec:map[nope:2]]": strict decoding error: duplicate field "spec.nope", unknown field "spec.nope"',
    ),
]


@pytest.mark.parametrize(("content_type", "patch", "status", "said"), PATCH_FAULTS)
def test_a_patch_that_cannot_be_used_is_refused(client, content_type, patch, status, said):
    client.post(DEPLOYMENTS, deployment())
    answer = client("PATCH", f"{DEPLOYMENTS}/web?fieldValidation=Strict", patch, content_type)
    assert answer.status == status
    assert said in answer.body["message"]


def test_a_json_patch_that_fails_is_refused_without_a_word_about_the_object(client):
    client.post(CONFIG_MAPS, config_map("a", k="v"))
    patch = [{"op": "test", "path": "/data/k", "value": "other"}]
    answer = client("PATCH", f"{CONFIG_MAPS}/a", patch, "application/json-patch+json")
    assert (answer.status, answer.body["details"]) == (422, {})


def test_a_fault_that_is_found_twice_is_said_once(client):
    client.post(CONFIG_MAPS, config_map("a", k="v"))
    answer = client("PATCH", f"{CONFIG_MAPS}/a", {"metadata": {"uid": "1"}}, "application/merge-patch+json")
    said = 'metadata.uid: Invalid value: "1": field is immutable'
    assert answer.body["message"] == f'ConfigMap "a" is invalid: {said}'
    assert [cause["field"] for cause in answer.body["details"]["causes"]] == ["metadata.uid", "metadata.uid"]


def test_labels_of_an_update_are_checked_as_often_as_by_a_real_server(client):
    client.post(CONFIG_MAPS, config_map("a", k="v"))
    patch = {"metadata": {"labels": {"bad key": "1"}}}
    answer = client("PATCH", f"{CONFIG_MAPS}/a", patch, "application/merge-patch+json")
    assert [cause["field"] for cause in answer.body["details"]["causes"]] == ["metadata.labels"] * 3
    assert answer.body["message"].count("bad key") == 1


def test_an_object_has_one_controller(client):
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "uid": "1", "controller": True}
    owned = config_map("two")
    owned["metadata"]["ownerReferences"] = [{**owner, "name": "a"}, {**owner, "name": "b"}]
    answer = client("POST", CONFIG_MAPS, owned)
    assert answer.status == 422
    assert 'Found "true" in references for ConfigMap/a and ConfigMap/b' in answer.body["message"]


def test_a_service_has_no_address_that_is_not_to_be_had(client):
    services = "/api/v1/namespaces/default/services"

    def with_address(name, address):
        return {"metadata": {"name": name}, "spec": {"clusterIP": address, "ports": [{"port": 80}]}}

    client.post(services, with_address("a", "10.96.7.7"))
    for address, said in (
        ("10.1.2.3", "failed to allocate IP 10.1.2.3: the provided network does not match the current range"),
        ("10.96.7.7", "failed to allocate IP 10.96.7.7: provided IP is already allocated"),
        ("nope", "must be a valid IP address"),
    ):
        answer = client("POST", services, with_address("b", address))
        assert answer.status == 422
        assert said in answer.body["message"]
    assert client("POST", services, with_address("b", "None")).status == 201


def test_a_pod_needs_its_service_account(client):
    spec = {"serviceAccountName": "robot", "containers": [{"name": "a", "image": "registry.example/app:1.0"}]}
    answer = client("POST", PODS, {"metadata": {"name": "p"}, "spec": spec})
    said = 'pods "p" is forbidden: error looking up service account default/robot: serviceaccount "robot" not found'
    assert (answer.status, answer.body["message"]) == (403, said)
    client.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "robot"}})
    client.post(PODS, {"metadata": {"name": "p"}, "spec": spec})


def test_a_workload_waits_for_its_service_account(client):
    made = deployment(replicas=1)
    made["spec"]["template"]["spec"]["serviceAccountName"] = "robot"
    client.post(DEPLOYMENTS, made)
    sets = "/apis/apps/v1/namespaces/default/replicasets"

    def told(found):
        return [c for item in found["items"] for c in item["status"].get("conditions", ())]

    refused = told(client.wait(sets, "the ReplicaSet says so", told))[0]["message"]
    assert refused.startswith('pods "web-')
    assert refused.endswith(
        '-" is forbidden: error looking up service account default/robot: serviceaccount "robot" not found'
    )
    client.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "robot"}})
    client.wait(f"{DEPLOYMENTS}/web", "it is ready", lambda found: found["status"].get("readyReplicas"))


def test_an_unknown_group_is_not_even_a_status(client):
    answer = client("GET", "/apis/nope.example/v1/things")
    assert (answer.status, answer.raw) == (404, b"404 page not found\n")


def test_creating_in_a_missing_namespace_is_refused_and_listing_it_is_empty(client):
    missing = "/api/v1/namespaces/missing/configmaps"
    assert client("POST", missing, config_map("a")).body["message"] == 'namespaces "missing" not found'
    assert client.get(missing)["items"] == []


def test_a_stale_version_conflicts_and_an_update_without_one_wins(client):
    made = client.post(CONFIG_MAPS, config_map("a", k="v"))
    client.merge(f"{CONFIG_MAPS}/a", {"data": {"k": "w"}})
    stale = client("PUT", f"{CONFIG_MAPS}/a", made)
    assert stale.status == 409
    assert "the object has been modified" in stale.body["message"]
    assert client("PUT", f"{CONFIG_MAPS}/a", config_map("a", k="x")).status == 200


def test_an_update_that_changes_nothing_keeps_the_version(client):
    client.post(CONFIG_MAPS, config_map("a", k="v"))
    first = client("PUT", f"{CONFIG_MAPS}/a", config_map("a", k="v")).body
    again = client("PUT", f"{CONFIG_MAPS}/a", config_map("a", k="v")).body
    assert first["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]


def test_the_generation_follows_the_spec_and_nothing_else(client):
    client.post(DEPLOYMENTS, deployment())
    path = f"{DEPLOYMENTS}/web"
    assert client.merge(path, {"metadata": {"labels": {"x": "y"}}})["metadata"]["generation"] == 1
    assert client.merge(path, {"spec": {"replicas": 2}})["metadata"]["generation"] == 2
    assert client.merge(path, {"status": {"replicas": 99}})["metadata"]["generation"] == 2


def test_the_status_is_changed_by_its_subresource_only(client):
    client.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", WIDGETS)
    widgets = "/apis/example.com/v1/namespaces/default/widgets"
    client.wait(widgets, "widgets are served", lambda _: True)
    client.post(
        widgets, {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}}
    )
    assert "status" not in client.merge(f"{widgets}/w", {"status": {"phase": "Ready"}})
    changed = client.merge(f"{widgets}/w/status", {"status": {"phase": "Ready"}, "spec": {"size": 7}})
    assert (changed["spec"], changed["status"]) == ({"size": 1}, {"phase": "Ready"})


def test_a_new_definition_has_no_conditions_yet_and_its_verbs_are_told_in_their_own_order(client):
    made = client.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", WIDGETS)
    assert made["status"]["conditions"] is None
    client.wait("/apis/example.com/v1/namespaces/default/widgets", "widgets are served", lambda _: True)
    [widgets, *_] = client.get("/apis/example.com/v1")["resources"]
    assert widgets["verbs"] == ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]


def test_unknown_fields_are_refused_strictly_warned_about_or_dropped(client):
    wrong = deployment("fv")
    wrong["spec"]["unknownField"] = 1
    strict = client("POST", f"{DEPLOYMENTS}?fieldValidation=Strict", wrong)
    assert strict.status == 400
    assert 'strict decoding error: unknown field "spec.unknownField"' in strict.body["message"]
    warned = client("POST", DEPLOYMENTS, wrong)
    assert warned.headers["Warning"] == '299 - "unknown field \\"spec.unknownField\\""'
    assert "unknownField" not in warned.body["spec"]


def test_a_dry_run_answers_and_stores_nothing(client):
    answer = client("POST", f"{CONFIG_MAPS}?dryRun=All", config_map("d", k="v"))
    assert answer.status == 201
    assert client("GET", f"{CONFIG_MAPS}/d").status == 404


def test_pages_are_of_one_moment_even_when_objects_change_between_them(client):
    for number in range(7):
        client.post(CONFIG_MAPS, config_map(f"c{number}", k="v"))
    first = client.get(f"{CONFIG_MAPS}?limit=3")
    assert first["metadata"]["remainingItemCount"] == 5
    client.merge(f"{CONFIG_MAPS}/c4", {"data": {"k": "changed"}})
    client.delete(f"{CONFIG_MAPS}/c5")
    client.post(CONFIG_MAPS, config_map("c9"))
    rest = client.get(f"{CONFIG_MAPS}?limit=9&continue={first['metadata']['continue']}")
    assert [item["metadata"]["name"] for item in rest["items"]] == ["c3", "c4", "c5", "c6", "kube-root-ca.crt"]
    assert rest["items"][1]["data"] == {"k": "v"}
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_a_continue_token_older_than_the_history_is_gone(simulator, client, cluster):
    for number in range(3):
        client.post(CONFIG_MAPS, config_map(f"c{number}"))
    first = client.get(f"{CONFIG_MAPS}?limit=1")
    simulator.call(cluster.compact)
    client.merge(f"{CONFIG_MAPS}/c0", {"data": {"k": "v"}})
    simulator.call(cluster.compact)
    answer = client("GET", f"{CONFIG_MAPS}?limit=1&continue={first['metadata']['continue']}")
    assert (answer.status, answer.body["reason"]) == (410, "Expired")
    rest = client.get(f"{CONFIG_MAPS}?continue={answer.body['metadata']['continue']}")
    assert [item["metadata"]["name"] for item in rest["items"]] == ["c1", "c2", "kube-root-ca.crt"]


def test_pages_across_namespaces_go_on_where_they_stopped(client):
    seen, token = [], ""
    while True:
        page = client.get(f"/api/v1/configmaps?limit=1&continue={token}")
        seen += [item["metadata"]["namespace"] for item in page["items"]]
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert seen == [item["metadata"]["namespace"] for item in client.get("/api/v1/configmaps")["items"]]
    assert len(set(seen)) > 1


def test_a_list_of_exactly_one_version_shows_that_one_or_says_that_it_is_gone(simulator, client, cluster):
    version = client.post(CONFIG_MAPS, config_map("a", k="v"))["metadata"]["resourceVersion"]
    client.merge(f"{CONFIG_MAPS}/a", {"data": {"k": "changed"}})
    path = f"{CONFIG_MAPS}?{OWN}&resourceVersion={version}&resourceVersionMatch=Exact"
    listed = client.get(path)
    assert [item["data"] for item in listed["items"]] == [{"k": "v"}]
    assert listed["metadata"]["resourceVersion"] == version
    simulator.call(cluster.compact)
    answer = client("GET", path)
    assert (answer.status, answer.body["message"]) == (410, "The resourceVersion for the provided list is too old.")


def test_a_client_is_told_when_to_come_again(client):
    answer = client("GET", f"{CONFIG_MAPS}?resourceVersion=99999")
    assert (answer.status, answer.headers["Retry-After"]) == (504, "1")


def test_the_metadata_of_one_object_cannot_be_had_of_a_list_nor_the_other_way_round(client):
    client.post(CONFIG_MAPS, config_map("a"))
    one = client("GET", CONFIG_MAPS, Accept=PARTIAL)
    assert (one.status, one.body["message"].rpartition(" ")[2]) == (406, "(*core.ConfigMapList)")
    listed = client("GET", f"{CONFIG_MAPS}/a", Accept=PARTIAL.replace("Metadata", "MetadataList"))
    assert (listed.status, listed.body["message"].rpartition(" ")[2]) == (406, "(*core.ConfigMap)")


def test_the_moments_of_a_condition_are_there_even_when_they_are_not_set(client):
    client.post(DEPLOYMENTS, deployment())
    patch = {"status": {"conditions": [{"type": "Custom", "status": "True"}]}}
    answer = client("PATCH", f"{DEPLOYMENTS}/web/status", patch, "application/strategic-merge-patch+json")
    (made,) = (c for c in answer.body["status"]["conditions"] if c["type"] == "Custom")
    assert (made["lastUpdateTime"], made["lastTransitionTime"]) == (None, None)


def test_rows_without_objects_say_so(client):
    client.post(CONFIG_MAPS, config_map("a"))
    found = client.get(f"{CONFIG_MAPS}?includeObject=None", Accept=TABLE)
    assert [row["object"] for row in found["rows"]] == [None] * len(found["rows"])


def test_of_a_pod_that_goes_at_once_it_is_written_down_that_its_time_is_over(client):
    made = client.post(
        PODS, {"metadata": {"name": "p"}, "spec": pod_template("p", "nowhere", nodeSelector={"no": "node"})["spec"]}
    )
    gone = client.delete(f"{PODS}/p")["metadata"]
    assert (gone["deletionGracePeriodSeconds"], gone["generation"]) == (0, made["metadata"]["generation"] + 1)
    assert gone["deletionTimestamp"]
    assert client("GET", f"{PODS}/p").status == 404


def test_a_definition_says_how_its_removal_stands(client):
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    held = {**WIDGETS, "metadata": {**WIDGETS["metadata"], "finalizers": ["example.com/hold"]}}
    client.post(path, held)
    made = client.wait(f"{path}/widgets.example.com", "it is established", lambda found: found["status"]["conditions"])
    assert made["metadata"]["finalizers"] == ["example.com/hold"]
    leaving = client.delete(f"{path}/widgets.example.com")
    assert leaving["metadata"]["finalizers"] == ["example.com/hold", "customresourcecleanup.apiextensions.k8s.io"]
    assert "deletionGracePeriodSeconds" not in leaving["metadata"]
    assert leaving["status"]["conditions"][-1]["reason"] == "InstanceDeletionPending"
    cleared = client.wait(
        f"{path}/widgets.example.com",
        "it is cleared",
        lambda found: found["metadata"]["finalizers"] == ["example.com/hold"],
    )
    assert cleared["status"]["conditions"][-1]["reason"] == "InstanceDeletionInProgress"


def test_a_row_of_a_slice_shows_three_addresses(client):
    path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    endpoints = [{"addresses": [f"10.0.0.{number}"]} for number in range(5)]
    client.post(
        path, {"metadata": {"name": "s"}, "addressType": "IPv4", "endpoints": endpoints, "ports": [{"port": 80}]}
    )
    found = client.get(f"{path}?fieldSelector=metadata.name%3Ds", Accept=TABLE)
    assert found["rows"][0]["cells"][:4] == ["s", "IPv4", "80", "10.0.0.0,10.0.0.1,10.0.0.2 + 2 more..."]


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("odd%3D1", ["c1", "c3"]),
        ("i+in+(1,2),odd!%3D1", ["c2"]),
        ("!odd", []),
        ("odd", ["c0", "c1", "c2", "c3"]),
        ("i+notin+(0,1,2)", ["c3"]),
        ("i>1", ["c2", "c3"]),
    ],
)
def test_label_selectors_select(client, selector, found):
    for number in range(4):
        made = config_map(f"c{number}")
        made["metadata"]["labels"] = {"i": str(number), "odd": str(number % 2)}
        client.post(CONFIG_MAPS, made)
    listed = client.get(f"{CONFIG_MAPS}?{OWN}&labelSelector={selector}")
    assert [item["metadata"]["name"] for item in listed["items"]] == found


def test_an_object_with_a_finalizer_waits_for_it(client):
    held = config_map("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    client.post(CONFIG_MAPS, held)
    assert client.delete(f"{CONFIG_MAPS}/held")["metadata"]["deletionTimestamp"]
    again = client("POST", CONFIG_MAPS, config_map("held"))
    assert "object is being deleted" in again.body["message"]
    late = client(
        "PATCH",
        f"{CONFIG_MAPS}/held",
        {"metadata": {"finalizers": ["example.com/hold", "example.com/x"]}},
        "application/merge-patch+json",
    )
    assert late.status == 422
    client.merge(f"{CONFIG_MAPS}/held", {"metadata": {"finalizers": None}})
    assert client("GET", f"{CONFIG_MAPS}/held").status == 404


def test_a_deletion_checks_its_preconditions(client):
    made = client.post(CONFIG_MAPS, config_map("a"))
    wrong = client("DELETE", f"{CONFIG_MAPS}/a", {"preconditions": {"uid": "x"}})
    assert wrong.status == 409
    right = client.delete(f"{CONFIG_MAPS}/a", {"preconditions": {"uid": made["metadata"]["uid"]}})
    assert right["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}


def test_discovery_tells_the_same_in_both_forms(client):
    classic = {r["name"] for r in client.get("/apis/apps/v1")["resources"] if "/" not in r["name"]}
    groups = client.get("/apis", Accept=AGGREGATED)["items"]
    apps = next(group for group in groups if group["metadata"]["name"] == "apps")
    assert {r["resource"] for r in apps["versions"][0]["resources"]} == classic


@pytest.mark.parametrize("path", ["/apis", "/openapi/v3", "/openapi/v3/apis/apps/v1"])
def test_documents_carry_an_etag_and_are_not_sent_twice(client, path):
    first = client("GET", path, Accept=AGGREGATED)
    again = client("GET", path, Accept=AGGREGATED, If_None_Match=first.headers["Etag"])
    assert (again.status, again.raw) == (304, b"")


def test_a_cluster_is_well_and_says_so_check_by_check(client):
    assert client("GET", "/readyz").raw == b"ok"
    assert client("GET", "/livez/ping").raw == b"ok"
    assert client("GET", "/livez/nothing").status == 404
    told = client("GET", "/readyz?verbose&exclude=log").raw.decode().splitlines()
    assert told[:2] == ["[+]ping ok", "[+]log excluded: ok"]
    assert told[-1] == "readyz check passed"


def test_every_path_that_the_root_names_is_there(client):
    paths = client.get("/")["paths"]
    assert paths == sorted(paths)
    missing = [path for path in paths if client("GET", path).status != 200]
    assert missing == []


def test_a_custom_resource_is_described_as_its_definition_says(client):
    schema = {
        "type": "object",
        "description": "A thing.",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {"size": {"type": "integer", "minimum": 1, "description": "How large."}},
            }
        },
    }
    version = {**WIDGETS["spec"]["versions"][0], "schema": {"openAPIV3Schema": schema}}
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    client.post(definitions, {**WIDGETS, "spec": {**WIDGETS["spec"], "versions": [version]}})
    path = "/openapi/v3/apis/example.com/v1"
    types = client.wait(path, "it is served", lambda _: True)["components"]["schemas"]
    widget = types["com.example.v1.Widget"]
    assert (widget["description"], widget["properties"]["spec"]) == ("A thing.", schema["properties"]["spec"])
    assert {"apiVersion", "kind", "metadata"} <= widget["properties"].keys()
    assert types["com.example.v1.WidgetList"]["properties"]["items"]["items"]["$ref"].endswith(".Widget")


def test_the_second_openapi_knows_the_types_of_the_third(client):
    answer = client("GET", "/openapi/v2", Accept_Encoding="gzip")
    assert answer.headers["Content-Encoding"] == "gzip"
    document = json.loads(gzip.decompress(answer.raw))
    strategy = document["definitions"]["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["strategy"]
    assert strategy["$ref"] == "#/definitions/io.k8s.api.apps.v1.DeploymentStrategy"
    assert b"#/components/" not in json.dumps(document).encode()
    form = {"Accept": "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"}
    tag = client("GET", "/openapi/v2", **form).headers["Etag"]
    assert client("GET", "/openapi/v2", **form, If_None_Match=tag).status == 304


def test_every_openapi_document_named_by_the_index_is_there_and_complete(client):
    """A reference to a type that is missing makes clients drop the whole document."""
    for path, link in client.get("/openapi/v3")["paths"].items():
        document = client.get(link["serverRelativeURL"])
        schemas = document["components"]["schemas"]

        def references(value):
            if isinstance(value, dict):
                if isinstance(value.get("$ref"), str):
                    yield value["$ref"].rpartition("/")[2]
                for part in value.values():
                    yield from references(part)
            elif isinstance(value, list):
                for part in value:
                    yield from references(part)

        assert set(references(schemas)) <= set(schemas), path


def test_a_definition_brings_its_resource_and_takes_it_away(client):
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    before = client("GET", "/apis", Accept=AGGREGATED).headers["Etag"]
    client.post(definitions, WIDGETS)
    widgets = "/apis/example.com/v1/namespaces/default/widgets"
    client.wait(widgets, "widgets are served", lambda _: True)
    assert client("GET", "/apis", Accept=AGGREGATED).headers["Etag"] != before
    client.post(
        widgets, {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}}
    )
    table = client.get(widgets, Accept=TABLE)
    assert [row["cells"] for row in table["rows"]] == [["w", 1]]
    client.delete(f"{definitions}/widgets.example.com")
    client.wait_gone(f"{definitions}/widgets.example.com")
    assert client("GET", widgets).status == 404


def test_metadata_alone_can_be_asked_for(client):
    client.post(CONFIG_MAPS, config_map("a", k="v"))
    found = client.get(f"{CONFIG_MAPS}/a", Accept=PARTIAL)
    assert found["kind"] == "PartialObjectMetadata"
    assert "data" not in found


def test_answers_come_in_the_form_a_client_likes_best(client):
    client.post(CONFIG_MAPS, config_map("p", a="b"))
    only, both, text = (
        client("GET", f"{CONFIG_MAPS}/p", Accept=accept)
        for accept in (PROTOBUF, f"{PROTOBUF},application/json", "application/yaml")
    )
    assert decode(only.raw) == decode(both.raw) == yaml.safe_load(text.raw) == client.get(f"{CONFIG_MAPS}/p")
    missing = client("GET", f"{CONFIG_MAPS}/nope", Accept=PROTOBUF)
    assert (missing.status, decode(missing.raw)["reason"]) == (404, "NotFound")


def test_a_wrong_token_is_refused(client):
    answer = client("GET", "/api/v1/namespaces", Authorization="Bearer wrong")
    assert (answer.status, answer.body["reason"]) == (401, "Unauthorized")


def test_yaml_and_protobuf_bodies_are_read(client):
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\ndata: {day: '2026-11-23'}\n"
    assert client("POST", CONFIG_MAPS, text, "application/yaml").body["data"] == {"day": "2026-11-23"}
    broken = client("POST", CONFIG_MAPS, b"k8s\x00", "application/vnd.kubernetes.protobuf")
    assert broken.status == 400


def test_an_apply_creates_changes_and_conflicts(client):
    path, apply = f"{CONFIG_MAPS}/s", "application/apply-patch+yaml"
    first = client("PATCH", f"{path}?fieldManager=alpha", config_map("s", k="1"), apply)
    assert first.status == 201
    other = client("PATCH", f"{path}?fieldManager=beta", config_map("s", k="2"), apply)
    assert other.status == 409
    assert other.body["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "alpha"', "field": ".data.k"}
    ]
    forced = client("PATCH", f"{path}?fieldManager=beta&force=true", config_map("s", k="2"), apply)
    assert forced.body["data"] == {"k": "2"}
    without = client("PATCH", path, config_map("s", k="2"), apply)
    assert without.status == 422


def test_every_cluster_is_a_world_of_its_own(simulator, client):
    client.post(CONFIG_MAPS, config_map("mine"))
    other = Client(simulator.add(f"c{len(simulator.clusters) + 1}"))
    assert other("GET", f"{CONFIG_MAPS}/mine").status == 404


def test_a_custom_resource_is_checked_by_its_schema(client):
    client.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", WIDGETS)
    widgets = "/apis/example.com/v1/namespaces/default/widgets"
    client.wait(widgets, "widgets are served", lambda _: True)
    wrong = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": "big"}}
    refused = client("POST", widgets, wrong)
    assert refused.status == 422
    assert "spec.size in body must be of type integer" in refused.body["message"]


def test_deleting_a_collection_takes_what_is_selected(client):
    for name in ("a", "b"):
        made = config_map(name)
        made["metadata"]["labels"] = {"name": name}
        client.post(CONFIG_MAPS, made)
    client.delete(f"{CONFIG_MAPS}?labelSelector=name%3Da")
    assert [item["metadata"]["name"] for item in client.get(f"{CONFIG_MAPS}?{OWN}")["items"]] == ["b"]


def test_a_service_keeps_its_address_when_it_is_written_without(client):
    services = "/api/v1/namespaces/default/services"
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    address = client.post(services, service)["spec"]["clusterIP"]
    assert client("PUT", f"{services}/s", service).body["spec"]["clusterIP"] == address
    moved = client(
        "PATCH",
        f"{services}/s",
        {"spec": {"clusterIP": "10.96.7.7", "clusterIPs": ["10.96.7.7"]}},
        "application/merge-patch+json",
    )
    assert moved.status == 422


@pytest.mark.slow
def test_over_tls_clusters_insist_on_their_token(tmp_path):
    with Simulator(clusters=1, tls=True) as simulator:
        cluster = simulator.cluster("sim-1")
        config = yaml.safe_load(cluster.kubeconfig())
        authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"])
        context = ssl.create_default_context(cadata=authority.decode())
        request = urllib.request.Request(f"{cluster.server}/api/v1/namespaces")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, context=context)
        refused.value.close()
        # Without credentials one is system:anonymous, who may do next to nothing.
        assert refused.value.code == 403
        request.add_header("Authorization", f"Bearer {config['users'][0]['user']['token']}")
        with urllib.request.urlopen(request, context=context) as answer:
            assert answer.status == 200
        assert Helm(cluster, tmp_path)("list") == []


def test_a_chart_repository_is_served_beside_the_clusters():
    charts = ChartRepository(pack(find_charts()))
    with (
        Simulator(clusters=0, charts=charts) as simulator,
        urllib.request.urlopen(f"{simulator.url}/charts/index.yaml") as index,
    ):
        assert index.read().startswith(b"apiVersion: v1")


@pytest.mark.parametrize(
    ("patch", "content_type"),
    [
        ({"spec": {"replicas": "three"}}, "application/merge-patch+json"),
        ([{"op": "replace", "path": "/spec/replicas", "value": "three"}], "application/json-patch+json"),
        ({"spec": {"replicas": "three"}}, "application/strategic-merge-patch+json"),
    ],
)
def test_a_patch_that_leads_to_a_wrong_type_is_refused(client, patch, content_type):
    """Otherwise controllers, which trust what is stored, would stumble over it for ever."""
    client.post(DEPLOYMENTS, deployment(replicas=1))
    answer = client("PATCH", f"{DEPLOYMENTS}/web", patch, content_type)
    assert answer.status == 422
    assert "patch: Invalid value: " in answer.body["message"]


BAD_APPLIES = [
    ("?fieldManager=a", {"metadata": {"name": "s"}}, 400, "invalid object type: /, Kind="),
    ("?fieldManager=" + "x" * 129, config_map("s"), 422, "may not be more than 128 bytes"),
    ("?fieldManager=a", {**config_map("s"), "nope": 1}, 500, ".nope: field not declared in schema"),
    ("?fieldManager=a", config_map("other"), 400, "does not match the name on the URL"),
    ("?fieldManager=a&fieldValidation=Wrong", config_map("s"), 422, 'supported values: "", "Ignore", "Strict", "Warn"'),
]


@pytest.mark.parametrize(("query", "body", "status", "message"), BAD_APPLIES, ids=[str(n) for n in range(5)])
def test_an_apply_that_makes_no_sense_is_refused(client, query, body, status, message):
    answer = client("PATCH", f"{CONFIG_MAPS}/s{query}", body, "application/apply-patch+yaml")
    assert answer.status == status
    assert message in answer.body["message"]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/apply-patch+yaml", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": None}),
        ("application/json-patch+json", [{"op": "replace", "path": "/metadata", "value": None}]),
        ("application/merge-patch+json", {"metadata": None}),
        ("application/strategic-merge-patch+json", {"metadata": None}),
    ],
)
def test_a_patch_without_any_metadata_is_answered(client, content_type, body):
    client.post(CONFIG_MAPS, config_map("bare", a="1"))
    answer = client("PATCH", f"{CONFIG_MAPS}/bare?fieldManager=somebody", body, content_type)
    assert answer.status in (200, 400, 422)
    assert client.get(f"{CONFIG_MAPS}/bare")["metadata"]["name"] == "bare"
