"""A query taken apart as signatures need it: byte for byte, in the order in which names sort."""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

PLAIN_NAME: Final = re.compile(rb"[0-9A-Za-z_.~\[\]:-]+")
"""A name that holds nothing that could be taken for the query's own punctuation."""


def sorted_pairs(query: str) -> list[tuple[bytes, bytes]]:
    """Decoded names and values; ``+`` is a blank, a parameter without a value has an empty one."""
    pairs: list[tuple[bytes, bytes]] = []
    for piece in query.split("&"):
        if piece:
            name, _, value = piece.replace("+", " ").encode("latin-1").partition(b"=")
            pairs.append((unquote_to_bytes(name), unquote_to_bytes(value)))
    # By name alone: values of a repeated name keep their order, which may mean something.
    pairs.sort(key=lambda pair: pair[0])
    return pairs


def signed_paths(path: str) -> tuple[str, ...]:
    """The path as it came; and as Node signs one that it sends with ``%27``, namely with an apostrophe."""
    return (path, path.replace("%27", "'")) if "%27" in path else (path,)
