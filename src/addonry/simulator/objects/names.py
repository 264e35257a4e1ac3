"""What is wrong with names and labels, in the words of a kube-apiserver.

See https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from .faults import FieldError, invalid

Json = Any

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
_KEY: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_SAYS: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
    f"alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_SUBDOMAIN_SAYS: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end "
    f"with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_KEY_CHARACTERS: Final = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_KEY}')"
)
_VALUE_SAYS: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    f"with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '({_KEY})?')"
)


def name_errors(field: str, name: str, *, is_label: bool) -> Iterator[FieldError]:
    limit = 63 if is_label else 253
    if len(name) > limit:
        yield invalid(field, name, f"must be no more than {limit} bytes")
    if not re.fullmatch(_LABEL if is_label else _SUBDOMAIN, name):
        yield invalid(field, name, _LABEL_SAYS if is_label else _SUBDOMAIN_SAYS)


def key_errors(field: str, key: str) -> Iterator[FieldError]:
    """What is wrong with the key of a label or annotation, or another qualified name."""
    for why in _unqualified(key):
        yield invalid(field, key, why)


def _unqualified(key: str) -> Iterator[str]:
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        yield f"a valid label key {_KEY_CHARACTERS} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return
    if slash and not prefix:
        yield "prefix part must be non-empty"
    if prefix and not re.fullmatch(_SUBDOMAIN, prefix):
        yield f"prefix part {_SUBDOMAIN_SAYS}"
    if not name:
        yield "name part must be non-empty"
    if len(name) > 63:
        yield "name part must be no more than 63 bytes"
    if not re.fullmatch(_KEY, name):
        yield f"name part {_KEY_CHARACTERS}"


def label_errors(labels: Json, field: str) -> Iterator[FieldError]:
    for key, value in sorted((labels or {}).items()):
        yield from key_errors(field, key)
        if len(str(value)) > 63:
            yield invalid(field, value, "must be no more than 63 bytes")
        if value and not re.fullmatch(_KEY, str(value)):
            yield invalid(field, value, _VALUE_SAYS)
