"""What an operation is: a declaration and a translation; and which one a method and path select.

One more operation is a function in the right module of ``gateway/operations``, declared with ``Registry.add``, and one
recorded exchange in ``tests/wire``. Routing, signing, error rendering and ``docs/reference/operations.md`` read the
declaration.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec

from addonry.gateway.codec import read_body, read_json_text
from addonry.gateway.errors import Refusal
from addonry.gateway.kept import Kept
from addonry.gateway.request import WireRequest
from addonry.lifecycle import Lifecycle
from addonry.model.errors import InvalidParameter
from addonry.model.ids import ClusterId, TaskId

Shape = TypeVar("Shape")

PAGE_SIZE: Final = 50
LARGEST_PAGE: Final = 100
_LARGEST_NUMBER: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for: by page number, or by token (ack-api 01, section 7)."""

    number: int
    size: int
    offset: int
    by_token: bool

    def info(self, total: int) -> dict[str, int]:
        """The ``page_info`` member."""
        return {"page_number": self.number, "page_size": self.size, "total_count": total}

    def next_token(self, total: int) -> str:
        """The token of the page after this one; empty on the last, and for callers who count pages."""
        following = self.offset + self.size
        return str(following) if self.by_token and following < total else ""


@dataclass(frozen=True, slots=True)
class Encoded:
    """An answer that is JSON already."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation, as its function sees it: typed access to path, query and body.

    Everything that cannot be read raises InvalidParameter with the parameter's name. Parameters nobody asks for are
    ignored, as the published service does.
    """

    lifecycle: Lifecycle
    request: WireRequest
    request_id: str
    path: Mapping[str, str]
    kept: Kept
    wants_json: bool = True
    key: str = ""
    """The id of the key that signed the call."""

    @property
    def query(self) -> Mapping[str, Sequence[str]]:
        """Decoded query parameters, by their exact names."""
        return read_query(self.request.query)

    def cluster(self, name: str = "ClusterId") -> ClusterId:
        """The cluster id in the path."""
        return ClusterId(self.path[name])

    def task(self, name: str = "task_id") -> TaskId:
        """The task id in the path."""
        return TaskId(self.path[name])

    def text(self, name: str, default: str = "") -> str:
        """A query parameter; the last one when it is repeated, *default* when it is absent or empty."""
        values = self.query.get(name)
        return (values[-1] if values else "") or default

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean of the query, in any case: Python's SDK sends ``True``, Go's ``true``."""
        text = self.text(name).lower()
        if text in {"true", "1"}:
            return True
        if text in {"false", "0"}:
            return False
        if not text:
            return default
        raise InvalidParameter(name, "must be true or false")

    def number(self, name: str, default: int, *, low: int = 0, high: int = _LARGEST_NUMBER) -> int:
        """An integer of the query; out of range it is moved to the nearest allowed one."""
        text = self.text(name).strip()
        if not text:
            return default
        try:
            number = int(text)
        except ValueError as error:
            raise InvalidParameter(name, "must be a whole number") from error
        return min(max(number, low), high)

    def names(self, name: str) -> tuple[str, ...]:
        """A list of text in the query, each once: a JSON array, or leniently ``a,b`` or a repeated parameter."""
        found: dict[str, None] = {}
        for value in self.query.get(name, ()):
            found.update(dict.fromkeys(_read_list(value.strip(), name)))
        return tuple(found)

    def page(self) -> Page:
        """The page asked for; a token or ``max_results`` switches from numbers to tokens."""
        if self.text("next_token") or self.text("max_results"):
            size = self.number("max_results", PAGE_SIZE, low=1, high=LARGEST_PAGE)
            offset = self.number("next_token", 0)
            return Page(offset // size + 1, size, offset, by_token=True)
        size = self.number("page_size", PAGE_SIZE, low=1, high=LARGEST_PAGE)
        number = self.number("page_number", 1, low=1)
        return Page(number, size, (number - 1) * size, by_token=False)

    def items(self, shape: type[Shape]) -> list[Shape]:
        """The body as an array of *shape*; no body is an empty one."""
        body = read_body(self.request.body, self.request.header("content-type"))
        return _convert([] if body is None else body, list[shape])  # type: ignore[valid-type]

    def object(self, shape: type[Shape]) -> Shape:
        """The body as an object of *shape*; no body is an empty one."""
        body = read_body(self.request.body, self.request.header("content-type"))
        return _convert({} if body is None else body, shape)


# Callers poll, so the same query comes again and again; a pure function of bounded text may be remembered.
@lru_cache(maxsize=128)
def read_query(query: str) -> Mapping[str, Sequence[str]]:
    """Parameters by name, decoded; raises InvalidParameter for text that is not UTF-8."""
    read: dict[str, list[str]] = {}
    for piece in query.split("&"):
        if not piece:
            continue
        name, _, value = piece.replace("+", " ").partition("=")
        read.setdefault(_decode(name, "query"), []).append(_decode(value, "query"))
    return MappingProxyType({name: tuple(values) for name, values in read.items()})


def _decode(text: str, parameter: str) -> str:
    try:
        decoded = unquote_to_bytes(text.encode("latin-1")).decode()
    except UnicodeDecodeError as error:
        raise InvalidParameter(parameter, "is not UTF-8", remedy="Percent-encode it as UTF-8.") from error
    # PostgreSQL takes no NUL in a text, so that one here would end as a fault of ours.
    if "\0" in decoded:
        raise InvalidParameter(parameter, "holds a NUL character")
    return decoded


def _read_list(value: str, name: str) -> Iterable[str]:
    if not value:
        return ()
    try:
        read = msgspec.json.decode(value.encode())
    except (msgspec.DecodeError, RecursionError):
        # Broken JSON is told; anything else is a bare name or `a,b`, as people type it.
        if value[0] in '[{"':
            read_json_text(value, name)
        return [part for part in (each.strip() for each in value.split(",")) if part]
    if not isinstance(read, list) or not all(isinstance(each, str) for each in read):
        raise InvalidParameter(name, "must be a JSON array of strings", remedy='For example ["coredns"].')
    return read


def _convert(value: Any, shape: type[Shape]) -> Shape:
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise InvalidParameter("body", f"is not as described: {error}") from error


Run = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: its name, where it is, what a caller must be allowed to do, and the function that answers."""

    name: str
    method: str
    path: str
    may: str
    """What the caller must be allowed to do, in the words of the domain: ``component:upgrade``."""
    run: Run
    status: int = 200

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (self.run.__doc__ or "").partition("\n")[0]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the path's parameters, in order."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


@dataclass(slots=True)
class Registry:
    """Operations that are declared together."""

    operations: list[Operation] = field(default_factory=list)

    def add(self, name: str, method: str, path: str, *, may: str, status: int = 200) -> Callable[[Run], Run]:
        """Declare the decorated function to be the operation *name*."""

        def declare(run: Run) -> Run:
            self.operations.append(Operation(name, method, path, may, run, status))
            return run

        return declare


@dataclass(frozen=True, slots=True)
class Unserved:
    """An operation of the published API that Addonry does not answer yet."""

    name: str
    method: str
    path: str


@dataclass(slots=True)
class _Node:
    literal: "dict[str, _Node]" = field(default_factory=dict)
    parameter: "_Node | None" = None
    methods: dict[str, Operation | Unserved] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Selected:
    """The operation that a method and path select, with the decoded parameters of the path."""

    operation: Operation
    parameters: Mapping[str, str]


class Router:
    """Finds the operation for a method and path. A literal segment wins over a parameter."""

    def __init__(self, operations: Iterable[Operation], unserved: Iterable[Unserved] = ()) -> None:
        self._root = _Node()
        # Served ones come last, and so replace the row of the table of what is not.
        rows: list[Operation | Unserved] = [*unserved, *operations]
        for each in rows:
            node = self._root
            for part in each.path.split("/")[1:]:
                if part.startswith("{"):
                    node.parameter = node.parameter or _Node()
                    node = node.parameter
                else:
                    node = node.literal.setdefault(part, _Node())
            node.methods[each.method] = each

    def select(self, method: str, path: str) -> Selected:
        """The operation. Raises Refusal: nothing there, not served yet, or another method only.

        The raw path is split first and decoded afterwards: an encoded slash belongs to its segment.
        """
        node, captured = self._walk(path)
        found = node.methods.get("GET" if method == "HEAD" else method)
        if isinstance(found, Operation):
            parameters = zip(found.parameters, captured, strict=True)
            return Selected(found, {name: _decode(text, name) for name, text in parameters})
        if isinstance(found, Unserved):
            raise Refusal(
                "InvalidApi.NotFound",
                f"{found.name} is an operation of ACK that this version of Addonry does not serve yet.",
                remedy="docs/reference/operations.md lists those it does.",
            )
        allowed = self._allowed(node)
        if not allowed:
            raise Refusal("InvalidApi.NotFound")
        allow = ", ".join(allowed)
        raise Refusal("UnsupportedHTTPMethod", remedy=f"It takes {allow}.", headers=(("allow", allow),))

    def allowed(self, path: str) -> tuple[str, ...]:
        """The methods that *path* takes. Raises Refusal when there is nothing."""
        allowed = self._allowed(self._walk(path)[0])
        if not allowed:
            raise Refusal("InvalidApi.NotFound")
        return allowed

    def _walk(self, path: str) -> tuple[_Node, tuple[str, ...]]:
        parts = path.split("/")
        found = _descend(self._root, parts, 1, ()) if not parts[0] else None
        if found is None:
            raise Refusal("InvalidApi.NotFound")
        return found

    @staticmethod
    def _allowed(node: _Node) -> tuple[str, ...]:
        served = sorted(method for method, each in node.methods.items() if isinstance(each, Operation))
        extra = ("HEAD",) if "GET" in served else ()
        return (*served, *extra, "OPTIONS") if served else ()


def _descend(
    node: _Node, parts: Sequence[str], at: int, captured: tuple[str, ...]
) -> tuple[_Node, tuple[str, ...]] | None:
    if at == len(parts):
        return (node, captured) if node.methods else None
    part = parts[at]
    literal = node.literal.get(part)
    if literal is not None:
        found = _descend(literal, parts, at + 1, captured)
        if found is not None:
            return found
    if node.parameter is not None and part:
        return _descend(node.parameter, parts, at + 1, (*captured, part))
    return None
