"""A thin client of the API, Addonry's or ACK's: signs a request, sends it, reads the answer.

Built on ``http.client`` of the standard library: a command makes a handful of requests, and every HTTP library costs
more to import than that. A failed answer raises ``ApiError`` with the published code and message; no answer at all
raises ``NoAnswer``. Nothing is repeated here: whether that is safe, the caller knows.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode, urlsplit

from addonry.cli.errors import Failed

if TYPE_CHECKING:
    from http.client import HTTPConnection

SECONDS: Final = 90.0
"""How long to wait for an answer; registering a cluster and reading chart repositories take a while."""


_SHORTER: Final = {
    "SignatureDoesNotMatch": "The access key's secret is not the one that the service knows. "
    "Check ADDONRY_ACCESS_KEY_SECRET, or the root.key of the data directory.",
}
"""For messages that quote the whole request, which helps who writes a client and nobody else."""


class ApiError(Failed):
    """The service answered that it will not."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{message} ({code})" if code else message)
        self.status = status
        self.code = code
        self.text = message


class NoAnswer(Failed):
    """The service did not answer."""


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """An access key. Has no repr, so that its secret cannot be printed by accident."""

    id: str
    secret: str
    token: str = ""
    """Of a temporary key."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service is."""

    secure: bool
    host: str
    port: int
    path: str = ""
    """What stands before the API's own paths, when a proxy puts something there."""

    @classmethod
    def parse(cls, endpoint: str) -> "Address":
        """From ``http://host:port`` or ``https://host``; a bare host name is https, as ACK's endpoints are.

        Raises Failed.
        """
        text = endpoint if "://" in endpoint else f"https://{endpoint}"
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
            raise Failed(f"{endpoint!r} is no endpoint.", remedy="Give one like http://127.0.0.1:8080.")
        secure = parts.scheme == "https"
        return cls(secure, parts.hostname, port or (443 if secure else 80), parts.path.rstrip("/"))

    @property
    def host_header(self) -> str:
        """As ``http.client`` would write it: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.host_header}{self.path}"


class Client:
    """Calls operations on one service with one key."""

    def __init__(self, address: Address, key: Key, *, seconds: float = SECONDS, authority: Path | None = None) -> None:
        """*authority* is a file with what to trust beside what this machine trusts, if it is there."""
        self.address = address
        self._authority = authority
        self._key = key
        self._seconds = seconds

    def get(self, path: str, query: Mapping[str, str] | None = None, *, action: str | None = None) -> Any:
        """The decoded JSON of a GET. *action* names the operation, as ACK wants it."""
        return _decode(self._call("GET", path, query=query, action=action))

    def get_xml(self, path: str, query: Mapping[str, str] | None = None, *, action: str | None = None) -> str:
        """The text of a GET that asks for XML."""
        return self._call("GET", path, query=query, action=action, accept="application/xml").decode()

    def post(self, path: str, body: Any = None, *, action: str | None = None) -> Any:
        """The decoded JSON of a POST."""
        return _decode(self._call("POST", path, body=body, action=action))

    def put(self, path: str, body: Any = None, *, action: str | None = None) -> Any:
        """The decoded JSON of a PUT."""
        return _decode(self._call("PUT", path, body=body, action=action))

    def delete(self, path: str, *, action: str | None = None) -> Any:
        """The decoded JSON of a DELETE."""
        return _decode(self._call("DELETE", path, action=action))

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        action: str | None = None,
        accept: str = "application/json",
    ) -> bytes:
        from addonry.gateway.signing import sign_request

        target = self.address.path + path + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        payload = b"" if body is None else json.dumps(body).encode()
        headers = {"host": self.address.host_header, "accept": accept, "user-agent": "addonry-cli"}
        if payload:
            headers["content-type"] = "application/json; charset=utf-8"
        signed = sign_request(
            method,
            target,
            headers,
            payload,
            key_id=self._key.id,
            secret=self._key.secret,
            now=datetime.now(UTC),
            nonce=uuid.uuid4().hex,
            action=action,
            security_token=self._key.token or None,
        )
        status, answer = self._exchange(method, target, signed, payload)
        if status >= 300:
            raise _error(status, answer)
        return answer

    def _exchange(self, method: str, target: str, headers: Mapping[str, str], payload: bytes) -> tuple[int, bytes]:
        import http.client
        import ssl

        connection = self._connect()
        try:
            connection.request(method, target, body=payload or None, headers=dict(headers))
            response = connection.getresponse()
            return response.status, response.read()
        except TimeoutError as error:
            raise NoAnswer(
                f"{self.address} did not answer within {self._seconds:.0f} s.", remedy="Try again, or look at its log."
            ) from error
        except ssl.SSLError as error:
            remedy = "Check the endpoint; SSL_CERT_FILE names an authority of your own."
            raise NoAnswer(f"No trusted connection to {self.address}: {error.reason}.", remedy=remedy) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            remedy = "Check that the service runs (addonry serve) and that the endpoint is right."
            raise NoAnswer(f"{self.address} does not answer: {reason}.", remedy=remedy) from error
        finally:
            connection.close()

    def _connect(self) -> "HTTPConnection":
        import http.client
        import ssl

        if self.address.secure:
            context = ssl.create_default_context()
            if self._authority is not None and self._authority.exists():
                context.load_verify_locations(self._authority)
            return http.client.HTTPSConnection(
                self.address.host, self.address.port, timeout=self._seconds, context=context
            )
        return http.client.HTTPConnection(self.address.host, self.address.port, timeout=self._seconds)


def segment(text: str) -> str:
    """*text* as one segment of a path."""
    return quote(text, safe="")


def _decode(answer: bytes) -> Any:
    try:
        return json.loads(answer) if answer.strip() else {}
    except ValueError:
        raise NoAnswer(
            "The service answered something that is no JSON.", remedy="Check that the endpoint is Addonry's or ACK's."
        ) from None


def _error(status: int, answer: bytes) -> ApiError:
    """The error body of ACK: a JSON object with code and message in either spelling, or XML."""
    try:
        body = json.loads(answer)
    except ValueError:
        body = _read_xml_error(answer)
    if not isinstance(body, dict):
        body = {}
    code = str(body.get("code") or body.get("Code") or "")
    message = body.get("message") or body.get("Message")
    if not message:
        message = f"The service answered with HTTP status {status}. Check that the endpoint is Addonry's or ACK's."
    return ApiError(status, code, _SHORTER.get(code, str(message)))


def _read_xml_error(answer: bytes) -> dict[str, str]:
    """Code and message of an XML error; read by pattern, because parsers of XML obey too much of what is in it."""
    import html
    import re

    text = answer[:65536].decode("utf-8", "replace")
    found = re.findall(r"<(Code|Message)>([^<]*)</\1>", text)
    return {name: html.unescape(value) for name, value in found}
