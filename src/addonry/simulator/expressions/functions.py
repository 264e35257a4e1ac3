"""The functions that Kubernetes adds to CEL: for lists, sets, patterns, quantities, URLs and IP addresses.

Quantities, URLs, addresses and networks are maps here, made so that equal ones are equal. To add a function, name it
in `declarations`. See https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-cel-libraries
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from cel_expr_python import cel

from addonry.simulator.objects.validation import parse_quantity

_BOOL, _INT, _STRING, _DOUBLE, _ANY = (
    cel.Type.BOOL,
    cel.Type.INT,
    cel.Type.STRING,
    cel.Type.DOUBLE,
    cel.Type.DYN,
)
_LIST: Final = cel.Type.List(_ANY)
_MAP: Final = cel.Type.Map(_STRING, _ANY)

Thing = dict[str, Any]


def declarations() -> list[Any]:
    """All functions, for an environment."""
    return [
        *_lists(),
        *_patterns(),
        *_quantities(),
        *_urls(),
        *_addresses(),
    ]


def _function(name: str, *overloads: tuple[Any, Sequence[Any], bool, Callable[..., Any]]) -> Any:
    made = [
        cel.Overload(f"{name.replace('.', '_')}_{number}", returns, list(takes), is_member, work)
        for number, (returns, takes, is_member, work) in enumerate(overloads)
    ]
    return cel.FunctionDecl(name, made)


def _method(name: str, returns: Any, takes: Sequence[Any], work: Callable[..., Any]) -> Any:
    return _function(name, (returns, takes, True, work))


def _plain(name: str, returns: Any, takes: Sequence[Any], work: Callable[..., Any]) -> Any:
    return _function(name, (returns, takes, False, work))


# ---------------------------------------------------------------------- lists and sets


def _lists() -> list[Any]:
    return [
        _method("isSorted", _BOOL, [_LIST], lambda items: all(a <= b for a, b in pairwise(items))),
        _method("sum", _ANY, [_LIST], lambda items: sum(items[1:], items[0]) if items else 0),
        _method("min", _ANY, [_LIST], lambda items: _of_some(min, items)),
        _method("max", _ANY, [_LIST], lambda items: _of_some(max, items)),
        _plain("sets.contains", _BOOL, [_LIST, _LIST], lambda a, b: all(item in a for item in b)),
        _plain("sets.intersects", _BOOL, [_LIST, _LIST], lambda a, b: any(item in a for item in b)),
        _plain(
            "sets.equivalent",
            _BOOL,
            [_LIST, _LIST],
            lambda a, b: all(item in a for item in b) and all(item in b for item in a),
        ),
    ]


def _of_some(choose: Callable[[Any], Any], items: Sequence[Any]) -> Any:
    if not items:
        raise ValueError(f"{choose.__name__} called on empty list")
    return choose(items)


# ---------------------------------------------------------------------- patterns


def _patterns() -> list[Any]:
    def find(text: str, pattern: str) -> str:
        found = re.search(pattern, text)
        return found[0] if found else ""

    def find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
        found = [match[0] for match in re.finditer(pattern, text)]
        return found if limit < 0 else found[:limit]

    return [
        _method("find", _STRING, [_STRING, _STRING], find),
        _function(
            "findAll",
            (_LIST, [_STRING, _STRING], True, find_all),
            (_LIST, [_STRING, _STRING, _INT], True, find_all),
        ),
    ]


# ---------------------------------------------------------------------- quantities


def _quantity(text: str) -> Thing:
    amount = parse_quantity(text)
    if amount is None:
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    return {"quantity": str(amount)}


def _amount(thing: Thing | int) -> Fraction:
    return Fraction(thing["quantity"] if isinstance(thing, dict) else thing)


def _whole(thing: Thing) -> int:
    amount = _amount(thing)
    if amount.denominator != 1:
        raise ValueError("cannot convert value to integer")
    return int(amount)


def _with_either(name: str, returns: Any, work: Callable[[Any, Any], Any]) -> Any:
    return _function(name, (returns, [_MAP, _MAP], True, work), (returns, [_MAP, _INT], True, work))


def _sign(amount: Fraction) -> int:
    return (amount > 0) - (amount < 0)


def _quantities() -> list[Any]:
    return [
        _plain("quantity", _MAP, [_STRING], _quantity),
        _plain("isQuantity", _BOOL, [_STRING], lambda text: parse_quantity(text) is not None),
        _method("sign", _INT, [_MAP], lambda q: _sign(_amount(q))),
        _method("isInteger", _BOOL, [_MAP], lambda q: _amount(q).denominator == 1),
        _method("asInteger", _INT, [_MAP], _whole),
        _method("asApproximateFloat", _DOUBLE, [_MAP], lambda q: float(_amount(q))),
        _with_either("add", _MAP, lambda a, b: {"quantity": str(_amount(a) + _amount(b))}),
        _with_either("sub", _MAP, lambda a, b: {"quantity": str(_amount(a) - _amount(b))}),
        _method("isLessThan", _BOOL, [_MAP, _MAP], lambda a, b: _amount(a) < _amount(b)),
        _method("isGreaterThan", _BOOL, [_MAP, _MAP], lambda a, b: _amount(a) > _amount(b)),
        _method("compareTo", _INT, [_MAP, _MAP], lambda a, b: _sign(_amount(a) - _amount(b))),
    ]


# ---------------------------------------------------------------------- URLs


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    # As Go's url.ParseRequestURI: an absolute URL, or a path.
    return bool(parts.scheme and (parts.netloc or parts.path)) or text.startswith("/")


def _url(text: str) -> Thing:
    if not _is_url(text):
        raise ValueError(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return {"url": text}


def _part(read: Callable[[Any], Any]) -> Callable[[Thing], Any]:
    return lambda thing: read(urlsplit(thing["url"]))


def _host(parts: Any) -> str:
    return str(parts.netloc.rpartition("@")[2])


def _hostname(parts: Any) -> str:
    # Not urlsplit's own, which makes it lower case.
    host = _host(parts)
    return host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]


def _urls() -> list[Any]:
    return [
        _plain("url", _MAP, [_STRING], _url),
        _plain("isURL", _BOOL, [_STRING], _is_url),
        _method("getScheme", _STRING, [_MAP], _part(lambda parts: parts.scheme)),
        _method("getHost", _STRING, [_MAP], _part(_host)),
        _method("getHostname", _STRING, [_MAP], _part(_hostname)),
        _method("getPort", _STRING, [_MAP], _part(lambda parts: str(parts.port or ""))),
        _method("getEscapedPath", _STRING, [_MAP], _part(lambda parts: parts.path)),
        _method("getQuery", _MAP, [_MAP], _part(lambda parts: parse_qs(parts.query, keep_blank_values=True))),
    ]


# ---------------------------------------------------------------------- addresses and networks


def _ip(text: str) -> Thing:
    try:
        return {"ip": str(ipaddress.ip_address(text))}
    except ValueError:
        raise ValueError(f'IP Address "{text}" parse error during conversion from string') from None


def _cidr(text: str) -> Thing:
    try:
        return {"cidr": str(ipaddress.ip_interface(text))} if "/" in text else _no_network(text)
    except ValueError:
        return _no_network(text)


def _no_network(text: str) -> Thing:
    raise ValueError(f'network address parse error during conversion from string: netip.ParsePrefix("{text}")')


def _reads(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def reads(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return reads


def _address(thing: Thing) -> Any:
    return ipaddress.ip_address(thing["ip"])


def _network(thing: Thing) -> Any:
    return ipaddress.ip_interface(thing["cidr"]).network


def _contains(network: Thing, asked: Thing | str) -> bool:
    address = _address(_ip(asked) if isinstance(asked, str) else asked)
    return bool(address.version == _network(network).version and address in _network(network))


def _contains_network(network: Thing, asked: Thing | str) -> bool:
    inner, outer = _network(_cidr(asked) if isinstance(asked, str) else asked), _network(network)
    return bool(inner.version == outer.version and inner.subnet_of(outer))


def _addresses() -> list[Any]:
    return [
        _function(
            "ip",
            (_MAP, [_STRING], False, _ip),
            (_MAP, [_MAP], True, lambda thing: {"ip": thing["cidr"].partition("/")[0]}),
        ),
        _plain("isIP", _BOOL, [_STRING], _reads(_ip)),
        _plain("ip.isCanonical", _BOOL, [_STRING], lambda text: _ip(text)["ip"] == text),
        _method("family", _INT, [_MAP], lambda thing: _address(thing).version),
        _method("isUnspecified", _BOOL, [_MAP], lambda thing: _address(thing).is_unspecified),
        _method("isLoopback", _BOOL, [_MAP], lambda thing: _address(thing).is_loopback),
        _method("isGlobalUnicast", _BOOL, [_MAP], lambda thing: _address(thing).is_global),
        _plain("cidr", _MAP, [_STRING], _cidr),
        _plain("isCIDR", _BOOL, [_STRING], _reads(_cidr)),
        _function("containsIP", (_BOOL, [_MAP, _STRING], True, _contains), (_BOOL, [_MAP, _MAP], True, _contains)),
        _function(
            "containsCIDR",
            (_BOOL, [_MAP, _STRING], True, _contains_network),
            (_BOOL, [_MAP, _MAP], True, _contains_network),
        ),
        _method("prefixLength", _INT, [_MAP], lambda thing: _network(thing).prefixlen),
        _method("masked", _MAP, [_MAP], lambda thing: {"cidr": str(_network(thing))}),
    ]
