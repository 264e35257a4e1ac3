"""Rules in the schemas of custom resources: which objects break them, what is said, and which rules are no rules."""

from __future__ import annotations

import pytest

from addonry.simulator.expressions.customrules import definition_errors, escaped, rule_errors

pytest.importorskip("cel_expr_python")

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GADGETS = "/apis/example.com/v1/namespaces/default/gadgets"


def schema(*rules, **more):
    """An object with a size, held to *rules*."""
    properties = {"size": {"type": "integer"}, "share": {"type": "number"}, "name-of": {"type": "string"}}
    return {"type": "object", "properties": properties | more, "x-kubernetes-validations": list(rules)}


def said(found_by, value, old=None):
    whole = {"type": "object", "properties": {"spec": found_by}}
    errors, warnings = rule_errors(whole, {"spec": value}, None if old is None else {"spec": old})
    assert not warnings
    return [(error.field, error.message) for error in errors]


def test_a_broken_rule_says_its_message_or_itself():
    rule = {"rule": "self.size != 7", "message": "seven is reserved"}
    assert said(schema(rule), {"size": 7}) == [("spec", "Invalid value: seven is reserved")]
    assert said(schema(rule), {"size": 8}) == []
    assert said(schema({"rule": " self.size > 1 "}), {"size": 1}) == [
        ("spec", "Invalid value: failed rule: self.size > 1")
    ]


def test_a_message_may_be_computed_and_a_field_named():
    rule = {
        "rule": "self.size < 3",
        "message": "too large",
        "messageExpression": "'size is ' + string(self.size)",
        "fieldPath": ".size",
        "reason": "FieldValueForbidden",
    }
    assert said(schema(rule), {"size": 9}) == [("spec.size", "Forbidden: size is 9")]
    assert said(schema(rule | {"messageExpression": "self.nothing"}), {"size": 9})[0][1] == "Forbidden: too large"


def test_an_evaluation_that_fails_refuses_in_the_words_of_kubernetes():
    assert said(schema({"rule": "self.size > 1"}), {}) == [
        ("spec", "Invalid value: no such key: size evaluating rule: self.size > 1")
    ]


def test_a_transition_rule_is_asked_when_there_was_something_before():
    rule = {"rule": "self.size >= oldSelf.size", "message": "may not shrink"}
    assert said(schema(rule), {"size": 1}) == []
    assert said(schema(rule), {"size": 1}, {"size": 2}) == [("spec", "Invalid value: may not shrink")]


def test_an_old_value_may_be_optional():
    rule = {"rule": "oldSelf.hasValue() || self.size == 1", "optionalOldSelf": True, "message": "begins with one"}
    assert said(schema(rule), {"size": 2}) == [("spec", "Invalid value: begins with one")]
    assert said(schema(rule), {"size": 2}, {"size": 1}) == []


def test_what_was_broken_before_may_stay_untouched():
    rule = {"rule": "self.size < 5", "message": "m"}
    assert said(schema(rule), {"size": 9}, {"size": 9}) == []
    assert len(said(schema(rule), {"size": 8}, {"size": 9})) == 1


def test_items_of_a_list_map_are_known_again_by_their_key():
    item = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "n": {"type": "integer"}},
        "x-kubernetes-validations": [{"rule": "self.n >= oldSelf.n", "message": "less"}],
    }
    parts = {
        "type": "array",
        "items": item,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    }
    old = {"parts": [{"name": "a", "n": 1}, {"name": "b", "n": 5}]}
    new = {"parts": [{"name": "b", "n": 4}, {"name": "a", "n": 2}]}
    assert said(schema(parts=parts), new, old) == [("spec.parts[0]", "Invalid value: less")]


def test_numbers_are_of_their_type_and_names_are_identifiers():
    assert said(schema({"rule": "self.share == 1.0 && self.name__dash__of == 'x'"}), {"share": 1, "name-of": "x"}) == []
    assert [escaped(name) for name in ("a-b", "c.d", "e/f", "g__h", "namespace")] == [
        "a__dash__b",
        "c__dot__d",
        "e__slash__f",
        "g__underscores__h",
        "__namespace__",
    ]


@pytest.mark.parametrize(
    "rule",
    [
        "quantity(self.q).isLessThan(quantity('2Gi'))",
        "url(self.u).getHostname() == 'a.example'",
        "cidr('10.0.0.0/8').containsIP(self.ip) && isIP(self.ip)",
        "self.list.isSorted() && self.list.sum() == 6 && self.list.max() == 3",
        "sets.contains(self.list, [1, 3])",
        "self.u.find('[a-z]+') == 'https' && self.u.matches('^https')",
        "self.?missing.orValue('x') == 'x' && self.list.all(i, i > 0)",
        "'%s-%d'.format(['a', 1]) == 'a-1' && self.u.lowerAscii().split(':').size() == 2",
    ],
)
def test_the_functions_of_kubernetes_are_there(rule):
    value = {"q": "1Gi", "u": "https://a.example/", "ip": "10.1.2.3", "list": [1, 2, 3]}
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    assert said(free | {"x-kubernetes-validations": [{"rule": rule}]}, value) == []


def test_a_rule_that_cannot_be_evaluated_warns_and_lets_pass():
    whole = schema({"rule": "!format.dns1123Label().validate(self.name).hasValue()"})
    errors, warnings = rule_errors(whole, {"size": 1}, None)
    assert errors == []
    assert "cannot be evaluated" in warnings[0]
    assert list(definition_errors({"spec": {"versions": [{"schema": {"openAPIV3Schema": whole}}]}})) == []


def definition(spec):
    whole = {"type": "object", "properties": {"spec": spec}}
    versions = [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": whole}}]
    names = {"plural": "gadgets", "kind": "Gadget"}
    about = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": versions}
    return {"metadata": {"name": "gadgets.example.com"}, "spec": about}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("self.size + nope > 1", "compilation failed: ERROR: <input>:1:13: undeclared reference to 'nope'"),
        ("self.size > ", "compilation failed: ERROR: <input>:1:13: Syntax error"),
        ("'text'", "cel expression must evaluate to a bool"),
        ("", "rule is not specified"),
        (None, "rule is not specified"),
    ],
)
def test_a_definition_with_a_wrong_rule_is_refused(client, rule, said):
    refused = client("POST", DEFINITIONS, definition(schema({"rule": rule})))
    assert refused.status == 422
    (cause,) = refused.body["details"]["causes"]
    assert said in cause["message"]
    assert cause["field"] == "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule"


def test_the_server_holds_objects_to_the_rules(stepped):
    simulator, client = stepped
    client.post(DEFINITIONS, definition(schema({"rule": "self.size != 7", "message": "seven is reserved"})))
    simulator.advance(1)
    gadget = {"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "g"}, "spec": {"size": 7}}
    refused = client("POST", GADGETS, gadget)
    assert refused.body["message"] == 'Gadget.example.com "g" is invalid: spec: Invalid value: seven is reserved'
    client.post(GADGETS, gadget | {"spec": {"size": 6}})
    patched = client("PATCH", f"{GADGETS}/g", {"spec": {"size": 7}}, "application/merge-patch+json")
    assert patched.status == 422
