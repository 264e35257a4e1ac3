"""Objects in the order of Go's fields, where messages hold them."""

from __future__ import annotations

import json

from addonry.simulator.objects import in_go_order, json_patch, merge_patch

LIVE = {
    "kind": "Deployment",
    "apiVersion": "apps/v1",
    "spec": {
        "template": {"spec": {"containers": [{"image": "i", "env": [], "envFrom": [], "name": "a"}]}},
        "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}, "type": "RollingUpdate"},
        "replicas": 1,
    },
    "metadata": {"labels": {"b": "1", "a": "2"}, "uid": "u", "name": "web"},
}


def written(patched):
    return json.dumps(in_go_order(patched, LIVE, "apps/v1", "Deployment"), separators=(",", ":"))


EXPECTED = (
    '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","uid":"u","labels":{"a":"2","b":"1"}},'
    '"spec":{"nope":1,"replicas":1,"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":0,"maxSurge":1}},'
    '"template":{"spec":{"containers":[{"name":"a","image":"i","envFrom":[],"env":[]}]}}}}'
)


def test_what_a_patch_goes_through_is_sorted_and_the_rest_in_the_order_of_the_type():
    assert written(merge_patch(LIVE, {"spec": {"nope": 1}})) == EXPECTED
    assert written(json_patch(LIVE, [{"op": "add", "path": "/spec/nope", "value": 1}])) == EXPECTED


def test_an_item_that_a_patch_goes_through_is_sorted_as_well():
    path = "/spec/template/spec/containers/0/image"
    shown = written(json_patch(LIVE, [{"op": "replace", "path": path, "value": 1}]))
    assert '{"env":[],"envFrom":[],"image":1,"name":"a"}' in shown
