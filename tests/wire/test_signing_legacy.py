"""What is special to the legacy style: its forms, what it cannot cover, and what is told when it does not match."""

import base64
import hashlib
import hmac
import itertools
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import quote, quote_plus

import pytest
from alibabacloud_cs20151215 import models
from alibabacloud_cs20151215.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config
from hypothesis import assume, given
from hypothesis import strategies as st

from addonry.gateway import GatewaySettings, build_gateway
from addonry.gateway.nonces import Nonces
from addonry.gateway.request import WireRequest
from addonry.gateway.signing import SigningRules, judge
from addonry.gateway.signing.legacy import MISMATCH, Legacy, query_forms, strings_to_sign
from addonry.gateway.signing.query import sorted_pairs
from addonry.model.errors import InvalidParameter
from addonry.model.keys import Credential
from addonry.settings import load_settings
from tests.wire import test_official_sdk
from tests.wire.driver import REQUEST_ID, exchange
from tests.wire.fakes import CLUSTER, KEY, SECRET, a_lifecycle
from tests.wire.fakes import NOW as WIRE_NOW
from tests.wire.test_signing import ACCEPTED, claim_of, is_body_signed, is_v3, read, refusal_of

NOW = datetime(2026, 11, 23, 8, 0, 0, tzinfo=UTC)
KEYS = {"k": Credential("k", "s")}
STS = {"k": Credential("k", "s", security_token="very-secret-token")}
COVERED = SigningRules(uncovered_bodies=False)
LEGACY_VECTORS = [vector for vector in ACCEPTED if not is_v3(vector)]
STATUS = f"/clusters/{CLUSTER}/components/upgradestatus"


def a_legacy_request(
    method="GET",
    target="/tasks/T-1",
    body=b"",
    *,
    key="k",
    secret="s",
    now=NOW,
    digest=False,
    form=None,
    **headers,
):
    """Signed as an old SDK does; *form* is the query as the client puts it into what it signs."""
    path, _, query = target.partition("?")
    given = {
        "date": format_datetime(now, usegmt=True),
        "accept": "application/json",
        "host": "h",
        "x-acs-version": "2015-12-15",
        "x-acs-signature-method": "HMAC-SHA1",
        "x-acs-signature-version": "1.0",
        **({"content-md5": base64.b64encode(hashlib.md5(body).digest()).decode()} if digest else {}),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    if form is None:
        form = b"&".join(name + b"=" + value for name, value in sorted_pairs(query))
    own = "".join(f"{name}:{given[name]}\n" for name in sorted(given) if name.startswith("x-acs-"))
    listed = "".join(f"{given.get(name, '')}\n" for name in ("accept", "content-md5", "content-type", "date"))
    text = f"{method}\n{listed}{own}{path}".encode("latin-1") + (b"?" + form if form else b"")
    signature = base64.b64encode(hmac.new(secret.encode(), text, "sha1").digest()).decode()
    return WireRequest(method, path, query, {**given, "authorization": f"acs {key}:{signature}"}, body)


def judged(request, *, keys=KEYS, operation="X", **more):
    return claim_of(request, keys=keys, operation=operation, **more)


# What clients send


def test_there_are_legacy_vectors_of_each_kind():
    assert len(LEGACY_VECTORS) == 19
    assert {is_body_signed(read(vector)) for vector in LEGACY_VECTORS} == {True, False}


@pytest.mark.parametrize(
    "form",
    [b'a=["x y"]&empty=', b'a=["x y"]&empty', b"a=%5B%22x+y%22%5D&empty="],
    ids=["Python and Node", "Go and the CLI", "aliyungo"],
)
def test_each_client_signs_the_query_in_its_own_form(form):
    request = a_legacy_request(target="/x?a=%5B%22x+y%22%5D&empty=", form=form)
    assert judge(judged(request)).id == "k"


def test_an_apostrophe_in_a_path_may_be_signed_as_it_was_meant():
    signed = a_legacy_request(target="/tasks/it's")
    assert judge(judged(replace(signed, path="/tasks/it%27s"))).id == "k"


@given(
    st.dictionaries(st.text("abAB_.", min_size=1, max_size=4), st.text(max_size=8), max_size=4),
    st.sampled_from(["python", "go", "aliyungo"]),
    st.sampled_from([quote, quote_plus]),
)
def test_what_a_legacy_client_signs_is_accepted(parameters, client, encode):
    """Save for a value that could be taken for more than itself: an ampersand, an escape, a lone plus."""
    query = "&".join(f"{name}={encode(value, safe='')}" for name, value in sorted(parameters.items()))
    decoded = "&".join(f"{name}={value}" for name, value in sorted(parameters.items()))
    assume("&" not in "".join(parameters.values()))
    assume("%" not in "".join(parameters.values()))
    assume(client != "aliyungo" or "+" not in query or "%" in query)
    forms = {
        "python": decoded,
        "go": "&".join(f"{name}={value}" if value else name for name, value in sorted(parameters.items())),
        "aliyungo": query,
    }
    request = a_legacy_request(target=f"/x?{query}", form=forms[client].encode())
    assert judge(judged(request)).id == "k"


@pytest.mark.parametrize("scheme", ["acs k:", "acs :c2ln", "acs k", "acs ", "acs"])
def test_an_authorization_that_lacks_a_part_is_told(scheme):
    request = a_legacy_request()
    broken = replace(request, headers={**request.headers, "authorization": scheme})
    refused = refusal_of(judged(broken))
    assert (refused.code, refused.status) == ("IncompleteSignature", 400)
    assert "acs <access key id>:" in refused.remedy


@pytest.mark.parametrize("method", ["HMAC-SHA256", "SHA256withRSA", "hmac-sha1"])
def test_another_algorithm_is_refused_by_name(method):
    request = a_legacy_request(x_acs_signature_method=method)
    assert refusal_of(judged(request)).code == "InvalidSignatureMethod"


def test_a_hexadecimal_digest_in_base64_is_no_signature():
    """An old page of the documentation shows one; no client sends it (ack-gateway 2.1)."""
    request = a_legacy_request()
    text = next(iter(strings_to_sign(request)))
    wrong = base64.b64encode(hmac.new(b"s", text, "sha1").hexdigest().encode()).decode()
    mutant = replace(request, headers={**request.headers, "authorization": f"acs k:{wrong}"})
    assert refusal_of(judged(mutant)).code == "SignatureDoesNotMatch"


# The clock


@given(st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0)))
def test_every_date_of_the_standard_is_read(moment):
    request = WireRequest("GET", "/", "", {"date": format_datetime(moment, usegmt=True)})
    assert Legacy().read_date(request) == moment


@given(st.text("0123456789 ,:GMTJanFebThu+-", max_size=40))
def test_any_other_date_is_none(text):
    read_date = Legacy().read_date(WireRequest("GET", "/", "", {"date": text}))
    assert read_date is None or format_datetime(read_date, usegmt=True)[5:] == text[5:]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-23T08:00:00Z",
        "Mon, 23 Nov 2026 08:00:00",
        "Mon, 23 Nov 2026 08:00:00 +0000",
        "Mon, 31 Feb 2026 08:00:00 GMT",
        "Mon, 23 Now 2026 08:00:00 GMT",
        "Mon, 23 Nov 2026 24:00:00 GMT",
        "Mon, 23 Nov 0000 08:00:00 GMT",
        "Mon, 23 Nov 2026 08:00:00 GMT,Mon, 23 Nov 2026 08:00:00 GMT",
    ],
)
def test_a_date_that_is_none_is_told_how_one_looks(text):
    request = a_legacy_request()
    mutant = replace(request, headers={**request.headers, "date": text})
    refused = refusal_of(judged(mutant, now=NOW))
    assert refused.code == "InvalidTimeStamp.Format"
    assert "02 Jan 2026" in refused.remedy


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_request_is_good_for_fifteen_minutes_on_either_side(sign):
    request = a_legacy_request()
    edge = NOW + sign * timedelta(minutes=15)
    assert judge(judged(request, now=edge)).id == "k"
    refused = refusal_of(judged(request, now=edge + sign * timedelta(seconds=1)))
    assert refused.code == "InvalidTimeStamp.Expired"


# Nonces


def test_a_nonce_is_asked_for_only_where_it_was_sent():
    nonces = Nonces()
    without, with_one = a_legacy_request(), a_legacy_request(x_acs_signature_nonce="n")
    for request in (without, without, with_one):
        judge(judged(request, nonces=nonces))
    assert refusal_of(judged(with_one, nonces=nonces)).code == "SignatureNonceUsed"
    assert len(nonces) == 1


def test_a_full_memory_of_nonces_does_not_stop_who_sends_none():
    nonces = Nonces(capacity=0)
    assert judge(judged(a_legacy_request(), nonces=nonces)).id == "k"
    refused = refusal_of(judged(a_legacy_request(x_acs_signature_nonce="n"), nonces=nonces))
    assert refused.code == "Throttling.User"


# The body


@pytest.mark.parametrize(
    "vector",
    [vector for vector in LEGACY_VECTORS if not is_body_signed(read(vector)) and read(vector).body],
    ids=lambda vector: vector["id"],
)
def test_without_content_md5_the_body_is_nobodys_word_and_a_rule_refuses_it(vector):
    """The one thing the style does not cover; accepted unless the operator forbids it."""
    request = read(vector)
    mutant = replace(request, body=request.body + b" ")
    assert judge(claim_of(mutant)).id == vector["expect"]["access_key_id"]
    for each in (request, mutant):
        refused = refusal_of(claim_of(each, rules=COVERED))
        assert (refused.code, refused.status) == ("IncompleteSignature", 400)
        assert "Content-MD5" in refused.remedy


def test_under_the_rule_a_body_can_neither_be_changed_nor_taken_away():
    signed = a_legacy_request("POST", body=b"[]", digest=True)
    assert judge(judged(signed, rules=COVERED)).id == "k"
    for body in (b"", b"[ ]"):
        assert refusal_of(judged(replace(signed, body=body), rules=COVERED)).code == "ContentMD5NotMatched"
    headers = {name: value for name, value in signed.headers.items() if name != "content-md5"}
    for body in (b"", b"[ ]"):
        stripped = replace(signed, headers=headers, body=body)
        assert refusal_of(judged(stripped, rules=COVERED)).code == "IncompleteSignature"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_under_the_rule_a_write_without_a_body_must_say_so_too(method):
    """Whoever is in between may have taken the body of a client that does not sign it."""
    assert refusal_of(judged(a_legacy_request(method), rules=COVERED)).code == "IncompleteSignature"
    assert judge(judged(a_legacy_request(method, digest=True), rules=COVERED)).id == "k"


def test_under_the_rule_reading_goes_on_without_content_md5():
    assert judge(judged(a_legacy_request("GET"), rules=COVERED)).id == "k"
    assert refusal_of(judged(a_legacy_request("GET", body=b"x"), rules=COVERED)).code == "IncompleteSignature"


@pytest.mark.parametrize("vector", ACCEPTED, ids=lambda vector: vector["id"])
def test_a_server_may_refuse_the_whole_style_and_no_other(vector):
    claim = claim_of(read(vector), rules=SigningRules(legacy=False))
    if is_v3(vector):
        judge(claim)
    else:
        refused = refusal_of(claim)
        assert (refused.code, refused.status) == ("InvalidSignatureMethod", 400)


# No text that is signed has two readings


def test_no_string_to_sign_stands_for_two_queries():
    """Every query of up to four of these pieces: decoded, encoded once, encoded twice, and what separates them.

    Whoever relays a request could otherwise send another one under the same signature.
    """
    pieces = ["a", "B", "=", "&", "%", "+", "26", "%26", "%2526", "%25", "%3D", "%2B", "%20", "%5B", "["]
    meanings = defaultdict(set)
    for length in range(1, 5):
        for chosen in itertools.product(pieces, repeat=length):
            query = "".join(chosen)
            for form in query_forms.__wrapped__(query):
                meanings[form].add(tuple(sorted_pairs(query)))
    assert len(meanings) > 10_000
    assert {form: found for form, found in meanings.items() if len(found) > 1} == {}


@given(st.text('ab=&%+26425B ["é', max_size=12), st.text('ab=&%+26425B ["é', max_size=12), st.booleans())
def test_two_queries_share_a_form_only_when_they_say_the_same(one, other, derived):
    forms = query_forms(one)
    if derived and forms:
        # The likeliest accident: the form of one sent as the query of the other.
        other = forms[0].decode("latin-1")
    if set(forms) & set(query_forms(other)):
        assert sorted_pairs(one) == sorted_pairs(other)


@pytest.mark.parametrize("query", ["a=1%26b=2", "a%3D1&b=2", "a=%2541", "a%26b=1"])
def test_a_value_that_could_be_taken_for_more_is_told_with_the_way_out(query):
    refused = refusal_of(judged(a_legacy_request(target=f"/x?{query}")))
    assert refused.code == "IncompleteSignature"
    assert "ACS3-HMAC-SHA256" in refused.remedy


def test_an_ampersand_signed_as_it_was_sent_is_one_of_its_value():
    request = a_legacy_request(target="/x?a=1%26b=2", form=b"a=1%26b=2")
    assert judge(judged(request)).id == "k"


# Tokens


def test_a_token_is_asked_for_after_the_signature():
    assert judge(judged(a_legacy_request(x_acs_security_token="very-secret-token"), keys=STS)).id == "k"
    for token, secret, code in [
        (None, "s", "MissingSecurityToken"),
        ("other", "s", "InvalidSecurityToken.Malformed"),
        (None, "wrong", "SignatureDoesNotMatch"),
        ("other", "wrong", "SignatureDoesNotMatch"),
        ("very-secret-token", "wrong", "SignatureDoesNotMatch"),
    ]:
        sent = {"x_acs_security_token": token} if token else {}
        assert refusal_of(judged(a_legacy_request(secret=secret, **sent), keys=STS)).code == code
    stray = judged(a_legacy_request(x_acs_security_token="any"))
    assert refusal_of(stray).code == "InvalidSecurityToken.MismatchWithAccessKey"


# What is told


@pytest.mark.parametrize("vector", LEGACY_VECTORS, ids=lambda vector: vector["id"])
def test_a_mismatch_tells_the_clients_own_string_to_sign(vector):
    """The CLI compares it with its own, and says 'wrong secret' or 'a defect of the library' (ack-gateway 5.4)."""
    request = read(vector)
    key = vector["expect"]["access_key_id"]
    refused = refusal_of(claim_of(request, keys={key: Credential(key, "wrong")}))
    assert (refused.code, refused.status, refused.remedy) == ("SignatureDoesNotMatch", 400, "")
    token = request.header("x-acs-security-token")
    own = vector["expect"]["string_to_sign"]
    told = refused.message.removeprefix(MISMATCH)
    if vector["id"] == "live-aliyungo-get-raw":
        # It signs what it sends and compares nothing, so it is told what the others sign.
        assert told.endswith('?componentIds=["metric-server","cloud controller*~é"]&empty')
    elif own.endswith("&empty="):
        assert told == own.removesuffix("=")
    else:
        assert told == (own.replace(token, "***") if token else own)
    assert not token or token not in refused.message


@pytest.mark.parametrize("name", ["x-acs-security-token", "x-acs-bearer-token", "x-acs-zero-trust-idtoken"])
def test_no_token_is_repeated_in_an_answer(name):
    request = a_legacy_request(secret="wrong", **{name.replace("-", "_"): "very-secret-token"})
    refused = refusal_of(judged(request))
    assert "very-secret-token" not in refused.message
    assert f"\n{name}:***\n" in refused.message


# The whole gateway


def a_gateway(**settings):
    return build_gateway(
        a_lifecycle(), GatewaySettings(now=lambda: WIRE_NOW, new_request_id=lambda: REQUEST_ID, **settings)
    )


async def sent(app, request):
    target = f"{request.path}?{request.query}" if request.query else request.path
    return await exchange(app, request.method, target, request.headers.items(), request.body)


async def test_a_legacy_request_without_an_action_is_served():
    """The CLI names no operation: method and path select it."""
    request = a_legacy_request(target=STATUS, key=KEY, secret=SECRET, now=WIRE_NOW)
    app = a_gateway()
    for _ in range(2):
        reply = await sent(app, request)
        assert (reply.status, len(reply.json)) == (200, 4)


async def test_a_body_without_a_content_type_is_read_as_json():
    target = f"/clusters/{CLUSTER}/components/install"
    request = a_legacy_request("POST", target, b'[{"name":"cert-manager"}]', key=KEY, secret=SECRET, now=WIRE_NOW)
    assert (await sent(a_gateway(), request)).status == 200
    refused = await sent(a_gateway(legacy_uncovered_bodies=False), request)
    assert (refused.status, refused.json["Code"]) == (400, "IncompleteSignature")


async def test_the_settings_of_the_gateway_forbid_the_style():
    request = a_legacy_request(target=STATUS, key=KEY, secret=SECRET, now=WIRE_NOW)
    reply = await sent(a_gateway(legacy_signatures=False), request)
    assert (reply.status, reply.json["Code"]) == (400, "InvalidSignatureMethod")


async def test_nothing_stands_before_or_after_the_string_to_sign_on_the_wire():
    request = a_legacy_request(target=f"{STATUS}?a=%5B1%5D", key=KEY, secret="wrong", now=WIRE_NOW)
    reply = await sent(a_gateway(), request)
    text = next(iter(strings_to_sign(request))).decode()
    assert reply.json["Message"] == reply.json["message"] == MISMATCH + text


async def test_bytes_that_are_no_text_do_not_break_the_answer():
    request = a_legacy_request(target=f"{STATUS}?a=%FF%00%0A", key=KEY, secret="wrong", now=WIRE_NOW)
    for accept in ("application/json", "application/xml"):
        reply = await sent(a_gateway(), replace(request, headers={**request.headers, "accept": accept}))
        assert reply.status == 400
        code = reply.json["Code"] if accept.endswith("json") else reply.xml.findtext("Code")
        assert code == "SignatureDoesNotMatch"


# The official SDK, told to sign as its elders did


host = test_official_sdk.host


def an_old_client(host, key, **more):
    config = Config(
        access_key_id=key[0],
        access_key_secret=key[1],
        endpoint=host,
        protocol="http",
        no_proxy="127.0.0.1",
        signature_algorithm="v2",
        **more,
    )
    return Client(config)


def test_the_official_sdk_in_legacy_mode_is_served(host):
    client = an_old_client(host, (KEY, SECRET))
    request = models.DescribeClusterAddonsUpgradeStatusRequest(component_ids=["a b*~é+(!')\"", "coredns"])
    assert list(client.describe_cluster_addons_upgrade_status(CLUSTER, request).body) == ["coredns"]
    item = models.UpgradeClusterAddonsRequestBody(component_name="coredns", next_version="1.41.0")
    upgraded = client.upgrade_cluster_addons(CLUSTER, models.UpgradeClusterAddonsRequest(body=[item])).body
    assert upgraded.cluster_id == CLUSTER
    with pytest.raises(ClientException) as refused:
        client.describe_task_info("T a/b+c*d~é'")
    assert refused.value.code == "ErrorTaskNotFound"


def test_the_official_sdk_in_legacy_mode_is_told_of_a_wrong_secret(host):
    with pytest.raises(ClientException) as refused:
        an_old_client(host, (KEY, "wrong")).describe_cluster_detail(CLUSTER)
    assert (refused.value.status_code, refused.value.code) == (400, "SignatureDoesNotMatch")
    assert MISMATCH in refused.value.message


# Settings


def test_both_permissions_are_read_from_the_environment():
    assert load_settings({}).legacy_signatures is load_settings({}).legacy_uncovered_bodies is True
    settings = load_settings({"ADDONRY_LEGACY_SIGNATURES": "false", "ADDONRY_LEGACY_UNCOVERED_BODIES": "0"})
    assert (settings.legacy_signatures, settings.legacy_uncovered_bodies) == (False, False)


def test_a_word_that_is_neither_yes_nor_no_is_refused():
    """A typing error must not leave a door open."""
    with pytest.raises(InvalidParameter, match="ADDONRY_LEGACY_SIGNATURES"):
        load_settings({"ADDONRY_LEGACY_SIGNATURES": "ture"})
