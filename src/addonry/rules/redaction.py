"""What people may see of a manifest: everything but what may be a secret.

Values of a Secret are hidden, whatever they are called. Elsewhere a value is hidden by the name that it has: of a key, of
an environment variable, of a flag, or of a setting within a text. Better once too often than once too seldom.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

HIDDEN: Final = "(hidden)"

_NAMES: Final = (
    r"(?:passw(?:or)?d|passphrase|pwd|token|secret|credentials?|api[-_.]?key|access[-_.]?key|private[-_.]?key|auth)"
)
_KEY: Final = re.compile(rf"{_NAMES}$", re.IGNORECASE)
# password: x, "token": "x", --secret=x, DB_PASSWORD=x; and user:password@ in an address.
_SETTING: Final = re.compile(rf"({_NAMES}[\"']?[ \t]*[:=][ \t]*)([\"']?)([^\s\"',;]+)", re.IGNORECASE)
_USER: Final = re.compile(r"(://[^/\s:@]{1,200}:)[^/\s@]{1,200}@")


def redact(value: Any, *, key: str = "", is_secret: bool = False) -> Any:
    """A copy of *value*, found under *key*, without what may be a secret. *is_secret* hides every leaf."""
    if isinstance(value, Mapping):
        return {
            str(name): redact(each, key=_name_of(value, str(name)), is_secret=is_secret) for name, each in value.items()
        }
    if isinstance(value, list):
        return [redact(each, key=key, is_secret=is_secret) for each in value]
    if is_secret or (isinstance(value, str) and value and _KEY.search(key)):
        return HIDDEN
    return redact_text(value) if isinstance(value, str) else value


def redact_text(text: str) -> str:
    """*text* without the values of settings in it that may be secrets."""
    return _USER.sub(rf"\1{HIDDEN}@", _SETTING.sub(rf"\1\2{HIDDEN}", text))


def _name_of(parent: Mapping[str, Any], name: str) -> str:
    # An environment variable has its name beside its value.
    beside = parent.get("name")
    return beside if name == "value" and isinstance(beside, str) else name
