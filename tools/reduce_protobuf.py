"""Reduce Kubernetes' published `generated.proto` files to the table the protobuf decoder reads.

    python tools/reduce_protobuf.py SOURCE... src/addonry/simulator/objects/data/messages.json

Each SOURCE is a work tree, or a git directory read at HEAD, of https://github.com/kubernetes/api and
https://github.com/kubernetes/apimachinery (Apache-2.0). Only facts are kept: per message the numbers, names, types
and labels of its fields, one message per line. Names are those of JSON, so `schemas.json` beside the target must be
up to date: it tells which messages are written into their parent (`volumeSource`) and how a name is spelled.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PACKAGE = re.compile(r"^package ([\w.]+);", re.MULTILINE)
MESSAGE = re.compile(r"^message (\w+) \{(.*?)^\}", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r"^\s+(optional|repeated|required)? ?(map<[^>]+>|[\w.]+) (\w+) = (\d+);", re.MULTILINE)
COMMENT = re.compile(r"//[^\n]*")
SKIPPED = ("testapigroup", "alpha", "beta", "admission/", "apidiscovery", "imagepolicy")


def sources(place: Path) -> Iterator[str]:
    if list(place.glob("**/generated.proto")):
        yield from (path.read_text() for path in sorted(place.glob("**/generated.proto")) if not skipped(str(path)))
        return

    def git(*words: str) -> str:
        return subprocess.run(["git", f"--git-dir={place}", *words], check=True, capture_output=True, text=True).stdout

    for name in git("ls-tree", "-r", "--name-only", "HEAD").splitlines():
        if name.endswith("generated.proto") and not skipped(name):
            yield git("show", f"HEAD:{name}")


def skipped(name: str) -> bool:
    return any(part in name for part in SKIPPED) and "admissionregistration/v1/" not in name


def full_name(written: str, package: str) -> str:
    if written.startswith("."):
        return "#" + written[1:]
    return written if written[0].islower() else f"#{package}.{written}"


def messages(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    text = COMMENT.sub("", text)
    found = PACKAGE.search(text)
    assert found, "a .proto file without a package"
    package = found.group(1)
    for name, body in MESSAGE.findall(text):
        fields: dict[str, Any] = {}
        for label, kind, field, number in FIELD.findall(body):
            if kind.startswith("map<"):
                inner = kind[4:-1].partition(",")[2].strip()
                fields[number] = [field, full_name(inner, package), "map"]
            elif label == "repeated":
                fields[number] = [field, full_name(kind, package), "list"]
            else:
                fields[number] = [field, full_name(kind, package)]
        yield f"{package}.{name}", fields


def as_in_json(table: dict[str, dict[str, Any]], schemas: dict[str, Any]) -> None:
    for name, fields in table.items():
        known = schemas.get(name.replace("k8s.io.", "io.k8s.", 1), {}).get("fields")
        for number, field in fields.items():
            if not known or field[0] in known:
                continue
            spelled = next((other for other in known if other.lower() == field[0].lower()), None)
            inner = {part[0] for part in table.get(field[1][1:], {}).values()}
            if spelled:
                fields[number] = [spelled, *field[1:]]
            elif len(field) == 2 and inner and inner & known.keys():
                fields[number] = [*field, "inline"]


def main(places: list[str], target: Path) -> None:
    table = {name: fields for place in places for text in sources(Path(place)) for name, fields in messages(text)}
    as_in_json(table, json.loads((target.parent / "schemas.json").read_text())["types"])
    lines = [
        f"{json.dumps(name)}: {json.dumps(fields, separators=(',', ':'))}" for name, fields in sorted(table.items())
    ]
    target.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: reduce_protobuf.py SOURCE... TARGET")
    main(sys.argv[1:-1], Path(sys.argv[-1]))
