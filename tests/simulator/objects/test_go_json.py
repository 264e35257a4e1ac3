"""The words of Go's JSON decoder, and members that come twice."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.simulator.objects import duplicate_members, json_fault

FAULTS = [
    (b"{not json", "invalid character 'n' looking for beginning of object key string"),
    (b"nope", "invalid character 'o' in literal null (expecting 'u')"),
    (b"garbage", "invalid character 'g' looking for beginning of value"),
    (b"", "unexpected end of JSON input"),
    (b'{"a":', "unexpected end of JSON input"),
    (b"\x81\xaa", r"invalid character '\x81' looking for beginning of value"),
    (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
    (b'{"a" 1}', "invalid character '1' after object key"),
    (b'{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
    (b"[1 2]", "invalid character '2' after array element"),
    (b"[1,]", "invalid character ']' looking for beginning of value"),
    (b"-x", "invalid character 'x' in numeric literal"),
    (b"1.x", "invalid character 'x' after decimal point in numeric literal"),
    (b"1ex", "invalid character 'x' in exponent of numeric literal"),
    (b'"a\nb"', r"invalid character '\n' in string literal"),
    (rb'"\q"', "invalid character 'q' in string escape code"),
    (rb'"\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"),
    (b"{} '", r"invalid character '\'' after top-level value"),
]


@pytest.mark.parametrize(("text", "said"), FAULTS, ids=[repr(text) for text, _ in FAULTS])
def test_the_first_byte_that_cannot_follow_is_named_as_go_names_it(text, said):
    assert json_fault(text) == said


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_has_no_fault(value):
    assert json_fault(json.dumps(value, indent=1).encode()) == ""


@given(st.text(alphabet='{}[]":,0-1.e+tru\\ ', max_size=12))
def test_what_no_reader_takes_has_a_fault(text):
    readable = False
    with suppress(ValueError):
        json.loads(text)
        readable = True
    assert (json_fault(text.encode()) == "") is readable


def test_members_that_come_twice_are_told_by_their_paths():
    assert duplicate_members(b'{"a":1,"b":[{"x":1,"x":2}],"a":{"c":1,"c":2},"d":{"a":1}}') == ["b[0].x", "a", "a.c"]
    assert duplicate_members(b'{"a":{"b":1},"b":1}') == []
