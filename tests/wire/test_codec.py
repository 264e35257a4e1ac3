"""JSON and XML, going out and coming in."""

import contextlib
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.gateway.codec import Form, choose_form, read_body, write_json, write_xml
from addonry.model.errors import InvalidParameter

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_any_value_becomes_a_document_that_parses(value):
    document = write_xml("AnyResponse", value, request_id="R-1")
    root = ET.fromstring(document)
    assert root.tag == "AnyResponse"
    assert root[0].tag == "RequestId"


@given(st.text(max_size=40))
def test_text_survives_xml_but_for_the_characters_it_forbids(text):
    root = ET.fromstring(write_xml("R", {"a": text}))
    legal = "".join(
        c for c in text if c in "\t\n\r" or "\x20" <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff"
    )
    assert (root[0].text or "") == legal


def test_deep_nesting_is_written_as_text_instead_of_recursing_for_ever():
    value = {}
    for _ in range(500):
        value = {"a": value}
    assert ET.fromstring(write_xml("R", value)).tag == "R"


def test_the_upgrade_status_in_xml_is_that_of_the_published_sample_under_one_root():
    """The sample has no root and repeats components side by side; ours are the same elements in the same order."""
    told = {
        "metric-server": {
            "tasks": {"created_at": "2020-12-28T17:00:32Z", "is_canceled": False, "status": "Success"},
            "addon_info": {"component_name": "metric-server", "version": "", "ready_to_upgrade": "true"},
        }
    }
    assert write_xml("DescribeClusterAddonsUpgradeStatusResponse", told, request_id="4902").decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        "<DescribeClusterAddonsUpgradeStatusResponse><RequestId>4902</RequestId><metric-server>"
        "<tasks><created_at>2020-12-28T17:00:32Z</created_at><is_canceled>false</is_canceled>"
        "<status>Success</status></tasks><addon_info><component_name>metric-server</component_name><version/>"
        "<ready_to_upgrade>true</ready_to_upgrade></addon_info></metric-server>"
        "</DescribeClusterAddonsUpgradeStatusResponse>\n"
    )


@pytest.mark.parametrize(
    ("value", "inside"),
    [
        ({"1password": "x"}, '<Item name="1password">x</Item>'),
        ({'a/b"<': 1}, '<Item name="a/b&quot;&lt;">1</Item>'),
        ({"a": ["x", "y"]}, "<a>x</a><a>y</a>"),
        ({"a": []}, ""),
        ({"a": [["x"]]}, "<Item>x</Item>"),
        (["x", {"b": None}], "<Item>x</Item><Item><b/></Item>"),
        ({"a": "\x00\x0b1 & <2>"}, "<a>1 &amp; &lt;2&gt;</a>"),
    ],
)
def test_what_xml_cannot_name_or_hold_is_written_otherwise(value, inside):
    assert write_xml("R", value).decode().partition("\n")[2] == f"<R>{inside}</R>\n"


@pytest.mark.parametrize(
    ("accept", "wanted", "form"),
    [
        ("", "", Form.JSON),
        ("*/*", "", Form.JSON),
        ("application/octet-stream", "", Form.JSON),
        ("application/json", "", Form.JSON),
        ("application/xml", "", Form.XML),
        ("text/xml", "", Form.XML),
        ("application/xml;q=0.5, application/json;q=0.9", "", Form.JSON),
        ("application/xml;q=0.9, application/json;q=0.5", "", Form.XML),
        ("application/json, application/xml", "", Form.JSON),
        ("application/xml, */*;q=0.1", "", Form.XML),
        ("application/xml;q=0", "", Form.JSON),
        ("application/xml;q=nan", "", Form.JSON),
        ("application/xml;q=x", "", Form.JSON),
        ("text/plain", "", Form.JSON),
        ("application/json", "XML", Form.XML),
        ("application/xml", "json", Form.JSON),
        ("application/xml", "yaml", Form.XML),
    ],
)
def test_the_form_follows_the_format_and_then_the_accept_header(accept, wanted, form):
    assert choose_form(accept, wanted) is form


@given(st.text(max_size=60))
def test_any_accept_header_chooses_a_form(text):
    for accept in (text, f"application/xml;{text}", f"{text}, application/xml"):
        assert choose_form(accept) in Form


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "application/octet-stream", "", "text/plain"],
)
def test_a_body_is_json_whatever_its_content_type(content_type):
    assert read_body(b'[{"name": "coredns"}]', content_type) == [{"name": "coredns"}]


def test_json_in_the_one_field_of_a_form_is_unwrapped():
    """The aliyun CLI sends bodies so in operation mode."""
    form = "application/x-www-form-urlencoded"
    assert read_body(b"addons=%5B%7B%22name%22%3A+%22a%22%7D%5D", form) == [{"name": "a"}]
    assert read_body(b'{"a": "b=c"}', form) == {"a": "b=c"}
    with pytest.raises(InvalidParameter):
        read_body(b"a=1&b=2", form)


@pytest.mark.parametrize("body", [b"{", b"[1,]", b"\xff\xfe", b"nul", b"[" * 100_000, b'{"a":1}}'])
def test_a_body_that_is_no_json_is_refused_without_quoting_it(body):
    with pytest.raises(InvalidParameter) as refused:
        read_body(body, "")
    assert len(str(refused.value)) < 200


@given(st.binary(max_size=60))
def test_any_body_is_read_or_refused(body):
    for content_type in ("", "application/x-www-form-urlencoded"):
        with contextlib.suppress(InvalidParameter):
            read_body(body, content_type)


def test_no_body_is_none():
    assert read_body(b"", "") is None
    assert read_body(b" \n", "") is None


def test_json_is_compact_and_utf_8():
    assert write_json({"a": ["é", True, None]}) == '{"a":["é",true,null]}'.encode()


@pytest.mark.parametrize("body", [rb'{"a": "\u0000"}', rb'{"config": "{\"a\": \"\\u0000\"}"}'])
def test_no_text_holds_a_nul(body):
    with pytest.raises(InvalidParameter, match="NUL"):
        read_body(body, "application/json")
