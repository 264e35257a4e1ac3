"""Expressions in CEL, as rules of definitions and admission policies use them.

Google's evaluator does the work (docs/decisions/0013-cel.md); what Kubernetes adds to the language is in
`expression_functions`. An expression is compiled once. One that Kubernetes would understand and we do not is
`Unsupported`: whoever asked says so in a warning, and lets the object pass.
See https://kubernetes.io/docs/reference/using-api/cel/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

# Parts of the language and libraries of Kubernetes that are not known here.
_BEYOND: Final = re.compile(
    r"\b(authorizer|transformMapEntry|transformMap|transformList|semver|isSemver|jsonpatch|JSONPatch)\b"
    r"|\bformat\s*\.\s*\w+|\.(all|exists|existsOne|exists_one|map|filter)\(\s*\w+\s*,\s*\w+\s*,"
)
_CODE: Final = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
_MISSING: Final = re.compile(r'Key not found in map : "?([^"]*)"?$')
_OUTSIDE: Final = re.compile(r"Index error: index=(-?\d+)")
_TYPES: Final[Mapping[str, str]] = {"boolean": "BOOL", "integer": "INT", "number": "DOUBLE", "string": "STRING"}


class NotCompiled(Exception):
    """The expression is wrong; the message is what a real server says of it."""


class Unsupported(Exception):
    """The expression may well be right, but it cannot be evaluated here."""


class Failed(Exception):
    """The evaluation ended in an error; the message is that of a real server."""


class Expression:
    """A compiled expression."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled

    @property
    def returns(self) -> str:
        """The type of the result, `BOOL`, `STRING` or another; `DYN` when only the evaluation tells."""
        return str(self._compiled.return_type())

    def value(self, variables: Mapping[str, Any]) -> Any:
        """The result as plain data; raises `Failed` or `Unsupported`."""
        result = self._compiled.eval(data=dict(variables))
        found = result.plain_value()
        if str(result.type()) != "ERROR":
            return found
        raise _failure(str(found))


def compiled(source: str, **variables: str) -> Expression:
    """The expression; *variables* have types of OpenAPI, or `any`. Raises `NotCompiled` or `Unsupported`."""
    return _compiled(source, tuple(variables.items()))


@lru_cache(maxsize=4096)
def _compiled(source: str, variables: tuple[tuple[str, str], ...]) -> Expression:
    try:
        return Expression(_environment(variables).compile(source))
    except RuntimeError as error:
        if _BEYOND.search(source):
            raise Unsupported(source) from None
        raise NotCompiled(_CODE.sub("", str(error))) from None


@lru_cache(maxsize=64)
def _environment(variables: tuple[tuple[str, str], ...]) -> Any:
    # Loaded on first use: most clusters never see an expression. Where there is no evaluator for the platform, clusters
    # work without one, and say so with every expression that they meet.
    try:
        from cel_expr_python import cel
        from cel_expr_python.ext import ext_bindings, ext_optional, ext_strings
    except ImportError as error:
        raise Unsupported(f"cel-expr-python is not installed: {error}") from None

    from addonry.simulator.expressions.functions import declarations

    types = {name: getattr(cel.Type, _TYPES.get(kind, "DYN")) for name, kind in variables}
    extensions = [ext_strings.ExtStrings(), ext_optional.ExtOptional(), ext_bindings.ExtBindings()]
    return cel.NewEnv(variables=types, extensions=extensions, functions=declarations())


def _failure(said: str) -> Exception:
    """An error of the evaluator in the words of that of Kubernetes."""
    text = _CODE.sub("", said)
    if "Non-CEL value type" in text:
        return Unsupported(text)
    if found := _MISSING.search(text):
        return Failed(f"no such key: {found[1]}")
    if found := _OUTSIDE.search(text):
        return Failed(f"index out of bounds: {found[1]}")
    if "No matching overloads found" in text:
        return Failed("no such overload")
    return Failed("division by zero" if text == "divide by zero" else text)
