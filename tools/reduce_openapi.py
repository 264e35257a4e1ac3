"""Reduce Kubernetes' OpenAPI v3 documents to the table the simulated API server reads.

    python tools/reduce_openapi.py FOLDER src/addonry/simulator/objects/data/schemas.json

FOLDER holds the documents a kube-apiserver serves below `/openapi/v3`, one JSON file (or `.json.gz`) per group
version. Only facts are kept: which fields a type has, of which type, how lists merge, what is required, which
keys have defaults. Descriptions, enumerations of values and operations are left out. One type per line, sorted,
so that a new Kubernetes version gives a readable diff.

The form of the table is documented where it is read: `addonry.simulator.objects.schema`.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PREFIX = "#/components/schemas/"
FORMATS = {"int32": "int32", "int64": "integer", "byte": "bytes", "date-time": "time", "int-or-string": "int-or-string"}
OPTIONS = {
    "x-kubernetes-list-type": "type",
    "x-kubernetes-list-map-keys": "keys",
    "x-kubernetes-patch-merge-key": "merge",
    "x-kubernetes-patch-strategy": "strategy",
}


def documents(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.iterdir()):
        if path.name.endswith((".json", ".json.gz")):
            raw = path.read_bytes()
            document = json.loads(gzip.decompress(raw) if path.name.endswith(".gz") else raw)
            if "schemas" in document.get("components", ()):
                yield document


def options(source: dict[str, Any]) -> dict[str, Any]:
    found = {short: source[name] for name, short in OPTIONS.items() if name in source}
    if source.get("x-kubernetes-map-type") == "atomic":
        found["atomic"] = True
    return found


def reference(source: dict[str, Any]) -> str | None:
    target = source.get("$ref") or next((part["$ref"] for part in source.get("allOf", ()) if "$ref" in part), None)
    return "#" + str(target).removeprefix(PREFIX) if target else None


def expression(source: dict[str, Any]) -> Any:
    """How one use of a type is written: a word, `#Name`, or `[shape, inner, options]`."""
    extra = options(source)
    if target := reference(source):
        return ["ref", target, extra] if extra else target
    match source.get("type"):
        case "array":
            return ["list", expression(source["items"]), extra]
        case "object" if "additionalProperties" in source:
            return ["map", expression(source["additionalProperties"]), extra]
        case "object" | None:
            return "int-or-string" if source.get("format") == "int-or-string" else "any"
        case "number":
            return "number"
        case kind:
            return FORMATS.get(source.get("format", ""), str(kind))


def reduce_type(name: str, source: dict[str, Any]) -> dict[str, Any]:
    if name.endswith(".resource.Quantity"):
        return {"is": "quantity"}
    if not source.get("properties"):
        return {"is": expression(source)}
    fields = source["properties"]
    row: dict[str, Any] = {"fields": {field: expression(fields[field]) for field in sorted(fields)}}
    # An empty default says no more than the type does; the others complete the keys of list items.
    defaults = {
        field: what["default"] for field, what in sorted(fields.items()) if what.get("default") not in (None, {}, "", 0)
    }
    if defaults:
        row["defaults"] = defaults
    # The Go fields that are no pointers: an empty default of a type with fields.
    always = [field for field, what in sorted(fields.items()) if what.get("default") == {} and reference(what)]
    if always:
        row["always"] = always
    if source.get("required"):
        row["required"] = sorted(source["required"])
    if source.get("x-kubernetes-map-type") == "atomic":
        row["atomic"] = True
    return row


def reduce(folder: Path) -> dict[str, Any]:
    types: dict[str, Any] = {}
    kinds: dict[str, set[tuple[str, str, str]]] = {}
    served: dict[str, dict[str, Any]] = {}
    for document in documents(folder):
        for name, source in document["components"]["schemas"].items():
            types[name] = reduce_type(name, source)
            gvks = source.get("x-kubernetes-group-version-kind", ())
            kinds.setdefault(name, set()).update((gvk["group"], gvk["version"], gvk["kind"]) for gvk in gvks)
        for path, item in document["paths"].items():
            for verb in ("get", "put", "patch", "post"):
                gvk = item.get(verb, {}).get("x-kubernetes-group-version-kind")
                if gvk and path.endswith("/status") and "{name}" in path:
                    key = "/".join(part for part in (gvk["group"], gvk["version"]) if part) + " " + gvk["kind"]
                    served[key] = {}
    for name, found in kinds.items():
        # DeleteOptions and WatchEvent belong to every group; only the first of a type that is served once matters.
        if found:
            types[name]["kinds"] = sorted(list(gvk) for gvk in found)
    return {"types": types, "status": sorted(served)}


def write(table: dict[str, Any], target: Path) -> None:
    lines = [
        f"{json.dumps(name)}: {json.dumps(row, sort_keys=True, separators=(',', ':'))}"
        for name, row in sorted(table["types"].items())
    ]
    status = json.dumps(table["status"], separators=(",", ":"))
    target.write_text('{"status": ' + status + ',\n"types": {\n' + ",\n".join(lines) + "\n}}\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: reduce_openapi.py FOLDER TARGET")
    write(reduce(Path(sys.argv[1])), Path(sys.argv[2]))
