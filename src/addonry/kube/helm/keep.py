"""Leaves fields out of what Helm applies, so that whoever has set them keeps them: a post-renderer of Helm.

Server-side apply takes what it is sent; what it is not sent stays with its owner. Helm knows no such choice, but it
hands every manifest to a post-renderer, which it knows as a plugin (https://helm.sh/docs/topics/advanced/). ``child``
writes one into its home that runs this file, with the fields to leave out beside it. Read as a script by the interpreter
of the child, with PyYAML's folder as its argument; imported by tests and by nobody else.
"""

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

_ITEM: Final = re.compile(r"\[(?P<keys>[^\]]*)\]")

Kept = dict[str, Any]
"""An object and its fields: ``kind``, ``name``, ``namespace``, and ``fields`` as the API server writes them."""


def without(objects: Iterable[Any], kept: Iterable[Kept]) -> list[Any]:
    """*objects* less the fields that are *kept*; a field that is not there is passed over."""
    by_name = {(each["kind"], each["namespace"], each["name"]): each["fields"] for each in kept}
    found = []
    for each in objects:
        if isinstance(each, dict):
            meta = each.get("metadata") or {}
            for namespace in (str(meta.get("namespace") or ""), ""):
                for field in by_name.get((each.get("kind"), namespace, meta.get("name")), ()):
                    drop(each, field)
        found.append(each)
    return found


def drop(node: Any, path: str) -> None:
    """Take the field at *path* away: ``.spec.template.spec.containers[name="web"].image``.

    Keys of a map may hold dots themselves, and nothing marks their end, so the longest that is there is meant.
    https://github.com/kubernetes-sigs/structured-merge-diff/blob/master/fieldpath/element.go
    """
    if isinstance(node, dict) and path.startswith("."):
        keys = [key for key in node if path[1:] == key or path[1:].startswith((f"{key}.", f"{key}["))]
        if keys:
            key = max(keys, key=len)
            rest = path[1 + len(key) :]
            if rest:
                drop(node[key], rest)
            else:
                del node[key]
    elif isinstance(node, list) and (found := _ITEM.match(path)):
        rest = path[found.end() :]
        for item in [each for each in node if _is(each, found["keys"])]:
            if rest:
                drop(item, rest)
            else:
                node.remove(item)


def _is(item: Any, keys: str) -> bool:
    """Whether an item of a list is the one with these keys: ``name="web"``, ``port=80,protocol="TCP"``, ``="value"``."""
    wanted = {}
    for part in re.findall(r'([^=,]*)=("(?:[^"\\]|\\.)*"|[^,]*)', keys):
        wanted[part[0]] = json.loads(part[1])
    if set(wanted) == {""}:
        return bool(item == wanted[""])
    # What has a default need not be said: a port is TCP.
    defaults = {"protocol": "TCP"}
    return isinstance(item, dict) and all(item.get(key, defaults.get(key)) == value for key, value in wanted.items())


def main(library: str, kept: str) -> None:
    """From stdin to stdout."""
    sys.path.insert(0, library)
    import yaml

    class Loader(yaml.SafeLoader):
        """Leaves dates and numbers in other bases the text that they are to Helm."""

    Loader.yaml_implicit_resolvers = {
        first: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    objects = yaml.load_all(sys.stdin.read(), Loader=Loader)
    for each in without(objects, json.loads(Path(kept).read_text())):
        if each is not None:
            # JSON is YAML, and every text in it is quoted.
            sys.stdout.write(f"---\n{json.dumps(each)}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
