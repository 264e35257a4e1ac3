"""Signatures against the recorded vectors (see fixtures/README.md), and against every way to change a signed request.

Both styles; what is special to the legacy one is in ``test_signing_legacy``.
"""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.gateway.errors import REFUSALS, Refusal
from addonry.gateway.nonces import Nonces
from addonry.gateway.request import WireRequest, join_headers
from addonry.gateway.signing import (
    Claim,
    SigningRules,
    canonical_query,
    canonical_requests,
    judge,
    read_authorization,
    sign_request,
    string_to_sign,
)
from addonry.gateway.signing.legacy import strings_to_sign
from addonry.gateway.signing.query import sorted_pairs
from addonry.model.keys import Credential

VECTORS = json.loads((Path(__file__).parent / "fixtures" / "ack-gateway-vectors.json").read_text())
KEYS = {
    key: Credential(key, known["secret"], security_token=known.get("security_token"))
    for key, known in VECTORS["credentials"].items()
    if key != "bearer_tokens"
}


def style_of(vector):
    """The first word of the request's Authorization, or that of its base for one without any."""
    headers = {name.lower(): value for name, value in vector["request"]["headers"]}
    if any(name in headers for name in ("x-acs-bearer-token", "x-acs-zero-trust-idtoken")):
        return "bearer"
    return headers.get("authorization", "ACS3-HMAC-SHA256").partition(" ")[0]


def is_served(vector):
    return style_of(vector) != "bearer"


def is_v3(vector):
    return style_of(vector) == "ACS3-HMAC-SHA256"


ACCEPTED = [vector for vector in VECTORS["accept"] if is_served(vector)]
REJECTED = [vector for vector in VECTORS["reject"] if is_served(vector)]
BY_ID = {vector["id"]: vector for vector in VECTORS["accept"]}
DEFAULT_RULES = SigningRules()


def read(vector):
    request = vector["request"]
    path, _, query = request["target"].partition("?")
    headers = join_headers((name.encode(), value.encode("latin-1")) for name, value in request["headers"])
    return WireRequest(request["method"], path, query, headers, request["body"].encode())


def named_date(request):
    text = request.header("x-acs-date")
    return datetime.fromisoformat(text) if text else parsedate_to_datetime(request.header("date"))


def claim_of(request, *, nonces=None, now=None, keys=KEYS, operation=None, rules=DEFAULT_RULES):
    authorization = read_authorization(request.header("authorization"))
    return Claim(
        request=request,
        operation=operation or request.header("x-acs-action"),
        now=now or named_date(request),
        nonces=Nonces() if nonces is None else nonces,
        authorization=authorization,
        credential=keys.get(authorization.key_id) if authorization else None,
        rules=rules,
    )


def refusal_of(claim):
    with pytest.raises(Refusal) as refused:
        judge(claim)
    return refused.value


def test_the_vectors_are_there():
    """A filter that selects nothing would let every other test here pass."""
    assert (len(ACCEPTED), sum(map(is_v3, ACCEPTED))) == (50, 31)
    assert (len(REJECTED), sum(map(is_v3, REJECTED))) == (24, 18)


@pytest.mark.parametrize("vector", ACCEPTED, ids=lambda vector: vector["id"])
def test_recorded_requests_of_the_official_clients_are_accepted(vector):
    assert judge(claim_of(read(vector))).id == vector["expect"]["access_key_id"]


@pytest.mark.parametrize("vector", ACCEPTED, ids=lambda vector: vector["id"])
def test_the_canonical_form_is_the_clients_own(vector):
    request = read(vector)
    if not is_v3(vector):
        assert vector["expect"]["string_to_sign"].encode() in list(strings_to_sign(request))
        return
    parts = read_authorization(request.header("authorization"))
    forms = list(canonical_requests(request, parts.signed_headers, request.header("x-acs-content-sha256")))
    wanted = vector["expect"]["canonical_request"].encode().decode("latin-1")
    assert wanted in forms
    assert string_to_sign(wanted) == vector["expect"]["string_to_sign"]


@pytest.mark.parametrize("vector", REJECTED, ids=lambda vector: vector["id"])
def test_changed_requests_are_refused_with_the_published_code(vector):
    base = BY_ID.get(vector["derived_from"])
    operation = read(base).header("x-acs-action") if base else None
    # With the clock of the request it was made from: what refuses it is the change, not its age.
    refused = refusal_of(claim_of(read(vector), operation=operation, now=named_date(read(base or vector))))
    assert (refused.code, refused.status) == (vector["expect"]["code"], vector["expect"]["http_status"])


@pytest.mark.parametrize("case", VECTORS["time_and_replay"], ids=lambda case: case["id"])
def test_the_clock_and_the_nonce_are_asked(case):
    vector = BY_ID[case["base"]]
    nonces, now = Nonces(), datetime.fromisoformat(case["server_now"])
    expected = case["expect"]
    sendings = [expected["first"], expected["second"]] if case.get("sent_twice") else [expected]
    for each in sendings:
        claim = claim_of(read(vector), nonces=nonces, now=now)
        if each == "accept":
            judge(claim)
        else:
            refused = refusal_of(claim)
            assert (refused.code, refused.status) == (each["code"], each["http_status"])


def signed_names(request):
    """The headers that the signature covers."""
    listed = read_authorization(request.header("authorization")).signed_headers
    own = [name for name in request.headers if name.startswith("x-acs-")]
    return listed or ["accept", "content-md5", "content-type", "date", *own]


def is_body_signed(request):
    """Legacy clients that send no Content-MD5 leave their body to whoever comes by (ack-gateway 2.3)."""
    return bool(request.header("x-acs-content-sha256") or request.header("content-md5"))


def mutations(request):
    """Every single-byte change of what the signature covers, each covered header left out, and some things added."""

    def changed(text, at):
        return text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]

    for at in range(len(request.path)):
        yield replace(request, path=changed(request.path, at))
    for at in range(len(request.query)):
        query = changed(request.query, at)
        if sorted_pairs(query) != sorted_pairs(request.query):
            yield replace(request, query=query)
    for at in range(len(request.method)):
        yield replace(request, method=changed(request.method, at))
    if is_body_signed(request):
        for at in range(len(request.body)):
            yield replace(request, body=request.body[:at] + bytes([request.body[at] ^ 1]) + request.body[at + 1 :])
        yield replace(request, body=request.body + b" ")
    for name in signed_names(request):
        if name not in request.headers:
            continue
        value = request.headers[name]
        for at in range(len(value)):
            yield replace(request, headers={**request.headers, name: changed(value, at)})
        if value:
            yield replace(request, headers={other: text for other, text in request.headers.items() if other != name})
    value = request.headers["authorization"]
    for at in range(len(value)):
        yield replace(request, headers={**request.headers, "authorization": changed(value, at)})
    for extra in ("&x=1", "&x", "&componentIds=%5B%5D"):
        yield replace(request, query=request.query + extra)
    yield replace(request, headers={**request.headers, "x-acs-stranger": "1"})


@pytest.mark.parametrize("vector", ACCEPTED, ids=lambda vector: vector["id"])
def test_no_byte_of_what_is_signed_can_be_changed(vector):
    request = read(vector)
    now, operation = named_date(request), request.header("x-acs-action")
    # Judged first, so that the request itself would pass: what refuses the others is the change alone.
    judge(claim_of(request))
    count = 0
    for mutant in mutations(request):
        refused = refusal_of(claim_of(mutant, now=now, operation=operation))
        assert refused.code in REFUSALS
        assert refused.status < 500
        count += 1
    assert count > (400 if is_v3(vector) else 200)


def test_an_ampersand_cannot_be_smuggled_into_the_name_of_a_parameter():
    """Names may be signed unencoded; two parameters must not pass for one with a strange name."""
    target = "/clusters?a=1&b=2"
    signed = sign_request("GET", target, {"host": "h"}, b"", key_id="k", secret="s", now=NOW, nonce="n")
    keys = {"k": Credential("k", "s")}
    judge(claim_of(WireRequest("GET", "/clusters", "a=1&b=2", signed), keys=keys, operation="X"))
    for query in ("a=1%26b=2", "a%3D1%26b=2", "a%3D1&b=2", "a=1&b%3D2"):
        mutant = WireRequest("GET", "/clusters", query, signed)
        assert refusal_of(claim_of(mutant, keys=keys, operation="X")).code == "SignatureDoesNotMatch"


def test_bytes_that_are_no_text_are_signed_as_bytes():
    """Decoding them to text would map all of them to one replacement character."""
    assert canonical_query("a=%FF") != canonical_query("a=%FE")


def test_the_whole_request_with_a_repeated_header_is_judged_as_it_is_read():
    assert join_headers([(b"X-A", b" 2 "), (b"x-a", b"1"), (b"b", b"")]) == {"x-a": "1,2", "b": ""}


NOW = datetime(2026, 11, 23, 8, 0, 0, tzinfo=UTC)


def a_signed_request(*, secret="s", body=b"", headers=(), token=None, target="/tasks/T-1?b=2&a=1"):
    signed = sign_request(
        "POST",
        target,
        {"host": "h:1", **dict(headers)},
        body,
        key_id="k",
        secret=secret,
        now=NOW,
        nonce="n",
        action="DescribeTaskInfo",
        security_token=token,
    )
    path, _, query = target.partition("?")
    return WireRequest("POST", path, query, signed, body)


@given(
    st.text("abc %+*~'()/é", max_size=20),
    st.binary(max_size=50),
    st.dictionaries(st.sampled_from(["user-agent", "x-acs-foo", "content-type"]), st.text("ab 1", max_size=8)),
)
def test_what_our_client_signs_our_server_accepts(text, body, headers):
    request = a_signed_request(body=body, headers=headers, target=f"/x/{quote(text, safe='')}?q={quote(text)}&empty=")
    keys = {"k": Credential("k", "s")}
    assert judge(claim_of(request, keys=keys)).id == "k"


def test_a_token_is_asked_for_and_compared():
    keys = {"k": Credential("k", "s", security_token="right")}
    assert judge(claim_of(a_signed_request(token="right"), keys=keys)).id == "k"
    assert refusal_of(claim_of(a_signed_request(), keys=keys)).code == "MissingSecurityToken"
    assert refusal_of(claim_of(a_signed_request(token="other"), keys=keys)).code == "InvalidSecurityToken.Malformed"
    stray = claim_of(a_signed_request(token="right"), keys={"k": Credential("k", "s")})
    assert refusal_of(stray).code == "InvalidSecurityToken.MismatchWithAccessKey"


def test_a_mismatch_is_explained_without_the_token():
    """The message ends up in the caller's logs."""
    keys = {"k": Credential("k", "s", security_token="very-secret-token")}
    refused = refusal_of(claim_of(a_signed_request(secret="wrong", token="very-secret-token"), keys=keys))
    assert refused.code == "SignatureDoesNotMatch"
    assert "very-secret-token" not in refused.message
    assert "x-acs-security-token:***" in refused.message
    # Python core splits the message at a colon, and crashes without one (ack-gateway 5.4).
    assert ":" in refused.message


def test_a_disabled_key_is_refused_whatever_it_signs():
    keys = {"k": Credential("k", "s", enabled=False)}
    assert refusal_of(claim_of(a_signed_request(), keys=keys)).code == "InvalidAccessKeyId.Inactive"


def test_a_wrong_content_md5_is_told_apart():
    keys = {"k": Credential("k", "s")}
    request = a_signed_request(body=b"x", headers={"content-md5": "1B2M2Y8AsgTpgAmY7PhCfg=="})
    assert refusal_of(claim_of(request, keys=keys)).code == "ContentMD5NotMatched"


def test_the_action_must_be_that_of_the_route():
    refused = refusal_of(
        claim_of(a_signed_request(), keys={"k": Credential("k", "s")}, operation="DescribeClusterDetail")
    )
    assert (refused.code, refused.status) == ("InvalidApi.NotFound", 404)


@pytest.mark.parametrize("value", ["", "2026-11-23", "2026-13-45T99:00:00Z", "Mon, 23 Nov 2026 08:00:00 GMT"])
def test_a_date_that_is_none_is_told(value):
    request = a_signed_request()
    changed = WireRequest("POST", request.path, request.query, {**request.headers, "x-acs-date": value})
    assert refusal_of(claim_of(changed, now=NOW)).code == "InvalidTimeStamp.Format"


def test_other_styles_are_refused_by_name():
    for headers in (
        {"authorization": "acs2 key:c2lnbmF0dXJl"},
        {"authorization": "ACS3-RSA-SHA256 Credential=k,SignedHeaders=host,Signature=00"},
        {"x-acs-bearer-token": "fake.bearer.token"},
    ):
        request = WireRequest("GET", "/x", "", {"x-acs-version": "2015-12-15", **headers})
        refused = refusal_of(claim_of(request, now=NOW))
        assert (refused.code, refused.status) == ("InvalidSignatureMethod", 400)


def test_the_version_is_asked_first():
    assert refusal_of(claim_of(WireRequest("GET", "/x", "", {}), now=NOW)).code == "MissingVersion"
    other = WireRequest("GET", "/x", "", {"x-acs-version": "2014-05-26"})
    assert refusal_of(claim_of(other, now=NOW)).code == "InvalidProduct.NotFound"


@given(st.text(max_size=200))
def test_any_authorization_header_is_read_or_refused(text):
    for value in (text, f"ACS3-HMAC-SHA256 {text}", f"acs {text}", f"acs {text}:{text}"):
        request = WireRequest("GET", "/x", "", {"x-acs-version": "2015-12-15", "authorization": value})
        refused = refusal_of(claim_of(request, now=NOW))
        assert refused.status < 500


@given(st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=8)), max_size=5))
def test_the_canonical_query_holds_every_byte(pairs):
    """Decoding the canonical form gives the parameters back, sorted by name."""
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    canonical = canonical_query(query)
    pieces = [piece.encode("latin-1").partition(b"=") for piece in canonical.split("&")] if canonical else []
    decoded = [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in pieces]
    assert decoded == sorted(pairs, key=lambda pair: pair[0])


def test_signing_costs_the_command_line_no_framework():
    """``addonry`` signs every call, and starts for every command."""
    check = "import sys, addonry.gateway.signing as s; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout.split()
    assert not {"msgspec", "asyncio", "aiohttp", "sqlalchemy", "starlette", "addonry.lifecycle"} & set(loaded)
