"""Amounts as Kubernetes writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.rules.quantities import thousandths, whole


@pytest.mark.parametrize(
    ("text", "cores"),
    [("1", 1000), ("250m", 250), ("0.1", 100), ("1500u", 2), ("2e3m", 2000), ("", 0), ("much", 0), ("1e999999", 0)],
)
def test_cores_are_counted_in_thousandths(text, cores):
    assert thousandths(text) == cores


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [
        ("64Mi", 64 << 20),
        ("1Gi", 1 << 30),
        ("1G", 10**9),
        ("128974848", 128974848),
        ("1.5Ki", 1536),
        ("100m", 1),
        ("NaN", 0),
    ],
)
def test_bytes_are_whole(text, bytes_):
    assert whole(text) == bytes_


@given(st.text(max_size=60))
def test_no_text_is_too_odd(text):
    assert isinstance(whole(text), int)
