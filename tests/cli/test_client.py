"""The client: what it sends, how it reads answers and errors."""

import socket
from datetime import UTC, datetime

import pytest

from addonry.cli.client import Address, ApiError, Client, Key, NoAnswer
from addonry.cli.errors import Failed
from addonry.gateway.nonces import Nonces
from addonry.gateway.request import WireRequest
from addonry.gateway.signing import Claim, judge, read_authorization
from addonry.model.keys import Credential

from .conftest import KEY


@pytest.fixture
def client(api):
    return Client(Address.parse(api.url), Key(*KEY), seconds=10)


def judged(asked, operation):
    """What the gateway's own verification says to a request as it arrived."""
    path, _, query = asked.target.partition("?")
    request = WireRequest(asked.method, path, query, asked.headers, asked.body)
    return judge(
        Claim(
            request,
            operation=operation,
            now=datetime.now(UTC),
            nonces=Nonces(10),
            authorization=read_authorization(asked.headers["authorization"]),
            credential=Credential(*KEY),
        )
    )


def test_the_gateway_accepts_the_signature_of_a_get(api, client):
    api.answer("GET", "/clusters/c%2F1/x", {})
    client.get("/clusters/c%2F1/x", {"componentIds": '["a b","ü"]', "empty": ""}, action="Op")
    assert judged(api.asked[0], "Op").id == KEY[0]


def test_the_gateway_accepts_the_signature_of_a_post(api, client):
    api.answer("POST", "/x", {})
    client.post("/x", [{"name": "ü"}], action="Op")
    assert judged(api.asked[0], "Op").id == KEY[0]
    assert api.asked[0].json == [{"name": "ü"}]


def test_each_request_has_a_nonce_of_its_own(api, client):
    api.answer("GET", "/x", {})
    client.get("/x")
    client.get("/x")
    assert len({each.headers["x-acs-signature-nonce"] for each in api.asked}) == 2


def test_the_secret_is_never_sent_nor_printed(api, client):
    api.answer("POST", "/x", {})
    client.post("/x", {"a": 1})
    assert KEY[1] not in str(api.asked[0])
    assert KEY[1] not in repr(client) + repr(vars(client))


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"code": "ErrorClusterNotFound", "message": "No."}, "ErrorClusterNotFound", "No."),
        ({"Code": "Forbidden.RAM", "Message": "No."}, "Forbidden.RAM", "No."),
        (
            "<?xml version='1.0'?><Error><Code>Throttling</Code><Message>a &amp; b</Message></Error>",
            "Throttling",
            "a & b",
        ),
        ("<html>Bad gateway</html>", "", "HTTP status 502"),
        ("[]", "", "HTTP status 502"),
        ("", "", "HTTP status 502"),
    ],
)
def test_an_error_carries_code_and_message(api, client, body, code, message):
    api.answer("GET", "/x", body, status=502)
    with pytest.raises(ApiError) as caught:
        client.get("/x")
    assert caught.value.status == 502
    assert caught.value.code == code
    assert message in caught.value.message


def test_an_answer_that_is_no_json_is_told_as_such(api, client):
    api.answer("GET", "/x", "<html>hello</html>")
    with pytest.raises(NoAnswer, match="no JSON"):
        client.get("/x")


def test_a_service_that_is_not_there_is_told_with_its_address():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(NoAnswer, match=f"http://127.0.0.1:{port} does not answer"):
            Client(Address.parse(f"http://127.0.0.1:{port}"), Key(*KEY), seconds=5).get("/x")


def test_a_service_that_hangs_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = Address.parse(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(NoAnswer, match="did not answer within"):
            Client(address, Key(*KEY), seconds=0.2).get("/x")


def test_a_server_that_is_no_http_server_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        import threading

        def greet():
            connection, _ = server.accept()
            with connection:
                connection.recv(10)
                connection.sendall(b"220 smtp ready\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(NoAnswer, match="does not answer"):
            Client(Address.parse(f"http://127.0.0.1:{server.getsockname()[1]}"), Key(*KEY), seconds=5).get("/x")
        thread.join()


@pytest.mark.parametrize(
    ("endpoint", "written", "host_header"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("https://cs.cn-beijing.aliyuncs.com", "https://cs.cn-beijing.aliyuncs.com", "cs.cn-beijing.aliyuncs.com"),
        ("cs.cn-beijing.aliyuncs.com", "https://cs.cn-beijing.aliyuncs.com", "cs.cn-beijing.aliyuncs.com"),
        ("http://[::1]:80/", "http://[::1]", "[::1]"),
        ("https://proxy/addonry/", "https://proxy/addonry", "proxy"),
    ],
)
def test_endpoints_are_read(endpoint, written, host_header):
    address = Address.parse(endpoint)
    assert str(address) == written
    assert address.host_header == host_header


@pytest.mark.parametrize("endpoint", ["", "ftp://x", "http://", "http://x:port", "http://x?y=1", "http://[", "://"])
def test_what_is_no_endpoint_is_refused(endpoint):
    with pytest.raises(Failed, match="no endpoint"):
        Address.parse(endpoint)


def test_a_wrong_secret_is_told_without_the_whole_request(api, client):
    quoted = "Specified signature does not match our calculation. server CanonicalRequest is [GET\n/x\n]"
    api.answer("GET", "/x", {"code": "SignatureDoesNotMatch", "message": quoted}, status=400)
    with pytest.raises(ApiError, match="ADDONRY_ACCESS_KEY_SECRET") as raised:
        client.get("/x")
    assert "CanonicalRequest" not in raised.value.message


def test_an_error_of_something_else_than_the_api_says_to_check_the_endpoint(api, client):
    api.answer("GET", "/x", "<html>no such page</html>", status=404, content_type="text/html")
    with pytest.raises(ApiError, match=r"HTTP status 404\. Check that the endpoint"):
        client.get("/x")
