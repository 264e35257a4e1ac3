"""What an operation is: a declaration and a translation; and which one a method and path select.

One more operation is a function in the right module of ``gateway/operations``, declared with ``Registry.add``, and one
recorded exchange in ``tests/wire``. Routing, access control, the audit log, the reading of parameters, the OpenAPI
document and ``docs/reference/operations.md`` read the declaration; tests compare what it says with what the function
does.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, TypedDict, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec

from addonry.gateway.codec import read_body, read_json_text
from addonry.gateway.errors import Refusal
from addonry.gateway.kept import Kept
from addonry.gateway.request import WireRequest
from addonry.lifecycle import Lifecycle
from addonry.model.errors import InvalidParameter
from addonry.model.ids import ClusterId, TaskId
from addonry.model.keys import Credential

Shape = TypeVar("Shape")

PAGE_SIZE: Final = 50
LARGEST_PAGE: Final = 100
_LARGEST_NUMBER: Final = 1_000_000_000


class Kind(StrEnum):
    """How a parameter of the query is written."""

    TEXT = "text"
    FLAG = "flag"
    NUMBER = "number"
    NAMES = "names"
    """A JSON array of text."""
    OBJECTS = "objects"
    """A JSON array of objects."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the query."""

    name: str
    kind: Kind = Kind.TEXT
    about: str = ""


PAGING: Final = (
    Parameter("page_number", Kind.NUMBER, "The page, from 1."),
    Parameter("page_size", Kind.NUMBER, f"Items a page, at most {LARGEST_PAGE}."),
    Parameter("next_token", Kind.TEXT, "Where to go on, from the answer before."),
    Parameter("max_results", Kind.NUMBER, f"Items an answer, at most {LARGEST_PAGE}; switches from pages to tokens."),
)


class Level(StrEnum):
    """What a call does to the world, in RAM's words."""

    GET = "get"
    LIST = "list"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"

    @property
    def is_reading(self) -> bool:
        """Whether nothing changes."""
        return self in {Level.GET, Level.LIST}


class PageInfo(TypedDict):
    """Which page this is, of how many items."""

    page_number: int
    page_size: int
    total_count: int


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for: by page number, or by token (ack-api 01, section 7)."""

    number: int
    size: int
    offset: int
    by_token: bool

    def info(self, total: int) -> PageInfo:
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
    operation: "Operation"
    request: WireRequest
    request_id: str
    path: Mapping[str, str]
    kept: Kept
    wants_json: bool = True
    credential: Credential | None = None
    """Of the key that signed the call."""

    @property
    def key(self) -> str:
        """The id of the key that signed the call."""
        return self.credential.id if self.credential else ""

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
        values = self._sent(name)
        return (values[-1] if values else "") or default

    def _sent(self, name: str) -> Sequence[str]:
        # What an operation reads is what it declares; callers of ``openapi.json`` know nothing else.
        assert name in self.operation.declared, f"{self.operation.name} does not declare {name}"
        return self.query.get(name, ())

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
        for value in self._sent(name):
            found.update(dict.fromkeys(_read_list(value.strip(), name)))
        return tuple(found)

    def objects(self, name: str, shape: type[Shape]) -> list[Shape]:
        """A JSON array of *shape* in the query; empty when it is absent."""
        text = self.text(name)
        return convert(read_json_text(text, name), list[shape], name) if text else []  # type: ignore[valid-type]

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
        return convert([] if body is None else body, list[shape], "body")  # type: ignore[valid-type]

    def object(self, shape: type[Shape]) -> Shape:
        """The body as an object of *shape*; no body is an empty one."""
        body = read_body(self.request.body, self.request.header("content-type"))
        return convert({} if body is None else body, shape, "body")


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


def convert(value: Any, shape: type[Shape], name: str) -> Shape:
    """*value* as *shape*. Raises InvalidParameter that names the parameter and the place in it."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise InvalidParameter(name, f"is not as described: {error}") from error


Run = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: its name, where it is, what a caller must be allowed to do, and the function that answers."""

    name: str
    method: str
    path: str
    level: Level
    run: Run
    answer: Any
    """The type of what it answers."""
    actions: tuple[str, ...] = ()
    """RAM's action, and older names of it that stored policies have."""
    query: tuple[Parameter, ...] = ()
    body: Any = None
    """The type of the body; None when it takes none."""
    names: Callable[[Call], Sequence[str]] | None = None
    """The components that the body names, for the condition key ``cs:AddonNames``."""
    tags: Callable[[Call], Mapping[str, str]] | None = None
    """The tags that the body gives, for the condition keys ``acs:RequestTag/...``."""
    status: int = 200

    @property
    def declared(self) -> frozenset[str]:
        """The names of the query's parameters."""
        return _declared(self.query)

    @property
    def cluster(self) -> str:
        """The path's parameter that is a cluster; empty when a policy cannot limit the operation to one."""
        return next((each for each in self.parameters if _plain(each) == "clusterid"), "")

    @property
    def component(self) -> str:
        """The path's parameter that is a component, if any."""
        return next((each for each in self.parameters if _plain(each) in _COMPONENTS), "")

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (self.run.__doc__ or "").partition("\n")[0]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the path's parameters, in order."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


_COMPONENTS: Final = frozenset({"componentid", "addonname", "instancename"})


def _plain(parameter: str) -> str:
    # ACK spells one thing in many ways: ClusterId, ClusterID, cluster_id.
    return parameter.lower().replace("_", "")


@lru_cache(maxsize=256)
def _declared(query: tuple[Parameter, ...]) -> frozenset[str]:
    return frozenset(each.name for each in query)


@dataclass(slots=True)
class Registry:
    """Operations that are declared together."""

    operations: list[Operation] = field(default_factory=list)

    def add(
        self,
        name: str,
        method: str,
        path: str,
        level: Level,
        answer: Any,
        *,
        action: str = "",
        also: tuple[str, ...] = (),
        query: tuple[Parameter, ...] = (),
        body: Any = None,
        names: Callable[[Call], Sequence[str]] | None = None,
        tags: Callable[[Call], Mapping[str, str]] | None = None,
        status: int = 200,
    ) -> Callable[[Run], Run]:
        """Declare the decorated function to be the operation *name*.

        *action* is RAM's name of it, ``cs:`` and the operation's own unless given; *also* are older names.
        """
        actions = (action or f"cs:{name}", *also)

        def declare(run: Run) -> Run:
            self.operations.append(
                Operation(name, method, path, level, run, answer, actions, query, body, names, tags, status)
            )
            return run

        return declare


@dataclass(slots=True)
class _Node:
    literal: "dict[str, _Node]" = field(default_factory=dict)
    parameter: "_Node | None" = None
    methods: dict[str, Operation] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Selected:
    """The operation that a method and path select, with the decoded parameters of the path."""

    operation: Operation
    parameters: Mapping[str, str]


class Router:
    """Finds the operation for a method and path. A literal segment wins over a parameter."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._root = _Node()
        for each in operations:
            node = self._root
            for part in each.path.split("/")[1:]:
                if part.startswith("{"):
                    node.parameter = node.parameter or _Node()
                    node = node.parameter
                else:
                    node = node.literal.setdefault(part, _Node())
            node.methods[each.method] = each

    def select(self, method: str, path: str) -> Selected:
        """The operation. Raises Refusal: nothing there, or another method only.

        The raw path is split first and decoded afterwards: an encoded slash belongs to its segment.
        """
        node, captured = self._walk(path)
        found = node.methods.get("GET" if method == "HEAD" else method)
        if found is not None:
            parameters = zip(found.parameters, captured, strict=True)
            return Selected(found, {name: _decode(text, name) for name, text in parameters})
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
        served = sorted(node.methods)
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
