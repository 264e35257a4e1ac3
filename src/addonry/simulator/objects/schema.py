"""What the fields of an object are: of which type, how lists and maps merge, what is required.

Everything else in this package asks here, so that nothing about a kind is written twice. Built-in kinds come from
`data/schemas.json`, a table reduced from the OpenAPI v3 documents of a real kube-apiserver 1.36.2 by
`tools/reduce_openapi.py`; run that again to follow a newer Kubernetes. Custom resources are built from the
`openAPIV3Schema` of their definition by `Schemas.with_structural`.

A type in the table is written as a word (`string`, `int32`, `quantity`, `any`, ...), as `#Name` for another type, or
as `[shape, inner, options]` with the shapes `list`, `map` and `ref`. The options are the `x-kubernetes-*` extensions,
see https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from importlib import resources
from typing import Any, Final, NamedTuple

_OBJECT_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_REF: Final = "#/components/schemas/"


class Shape(StrEnum):
    """What a value of a type looks like in JSON."""

    SCALAR = "scalar"
    LIST = "list"
    MAP = "map"  # any key, values of one type
    STRUCT = "struct"  # named fields
    ANY = "any"  # no schema: maps merge, lists are replaced


class ListType(StrEnum):
    """`x-kubernetes-list-type`: what counts as one item for merging and ownership."""

    ATOMIC = "atomic"
    SET = "set"
    MAP = "map"


class Scalar(StrEnum):
    """The words of the table for values without parts."""

    STRING = "string"
    INT32 = "int32"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    BYTES = "bytes"
    TIME = "time"
    QUANTITY = "quantity"
    INT_OR_STRING = "int-or-string"


class GroupVersionKind(NamedTuple):
    """A kind as OpenAPI names it; the core group is the empty string."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True, slots=True, eq=False)
class TypeSchema:
    """One type. `fields` is filled while the table is read, because types may contain themselves."""

    shape: Shape
    name: str = ""
    """Name of the OpenAPI component; empty for an anonymous type."""
    scalar: Scalar | None = None
    fields: dict[str, TypeSchema] = field(default_factory=dict, repr=False)
    element: TypeSchema | None = field(default=None, repr=False)
    """Type of the items of a list, of the values of a map, or of the fields a struct does not name."""
    list_type: ListType = ListType.ATOMIC
    keys: tuple[str, ...] = ()
    merge_key: str = ""
    strategy: tuple[str, ...] = ()
    """`x-kubernetes-patch-strategy`: merge, replace, retainKeys."""
    is_atomic: bool = False
    required: tuple[str, ...] = ()
    always: tuple[str, ...] = ()
    """Fields the server's own (Go) type cannot leave out, so nobody comes to own the mere presence of them."""
    defaults: Mapping[str, Any] = field(default_factory=dict, repr=False)
    kinds: tuple[GroupVersionKind, ...] = ()
    has_status: bool = False
    """Served with a `status` subresource, so that writes of the main resource leave `status` alone."""
    is_structural: bool = False
    """Belongs to a custom resource: stored as it came, where a built-in type drops empty lists and maps."""
    nullable: bool = False

    def child(self, key: str) -> TypeSchema | None:
        """The type of a field or map value; None when a struct does not know the field."""
        found = self.fields.get(key)
        if found is not None:
            return found
        return ANY if self.shape is Shape.ANY else self.element

    def skeleton(self) -> dict[str, Any]:
        """What an empty object of this type holds on the server: its fixed structs, and null for required lists.

        The only required set outside of lists, the `validationActions` of a binding of a policy, is left out when empty.
        """
        lists = (name for name in self.required if self.fields[name].shape is Shape.LIST)
        found: dict[str, Any] = {name: None for name in lists if self.fields[name].list_type is not ListType.SET}
        if self.is_structural:
            return {}
        for name in self.always:
            inner = self.fields[name]
            if inner.shape is Shape.STRUCT:
                found[name] = {} if inner.is_atomic else inner.skeleton()
        return found

    def key_of(self, item: Any) -> tuple[Any, ...] | None:
        """The values of the list map keys of *item*, with defaults; None when one is missing."""
        if not isinstance(item, dict):
            return None
        element = self.element or ANY
        found = []
        for key in self.keys:
            value = item.get(key, element.defaults.get(key))
            if value is None and not self.is_structural and key in element.fields:
                # Go's zero value is the default of every built-in key, as the published schema says.
                value = "" if element.fields[key].scalar is Scalar.STRING else 0
            if value is None:
                return None
            found.append(value)
        return tuple(found)

    def to_openapi(self) -> dict[str, Any]:
        """The type as OpenAPI v3, references kept."""
        body = self._inner_openapi()
        for gvk in self.kinds:
            body.setdefault("x-kubernetes-group-version-kind", []).append(gvk._asdict())
        return body

    def use(self) -> dict[str, Any]:
        """How OpenAPI writes a field of this type: a reference where the type has a name."""
        if self.name:
            reference = {"$ref": _REF + self.name}
            return (
                {"allOf": [reference], "x-kubernetes-patch-strategy": ",".join(self.strategy)}
                if self.strategy
                else reference
            )
        return self._inner_openapi()

    def _inner_openapi(self) -> dict[str, Any]:
        match self.shape:
            case Shape.SCALAR:
                return dict(_SCALARS[self.scalar or Scalar.STRING])
            case Shape.ANY:
                return {
                    "type": "object",
                    **({"x-kubernetes-preserve-unknown-fields": True} if self.is_structural else {}),
                }
            case Shape.LIST:
                element = (self.element or ANY).use()
                body: dict[str, Any] = {"type": "array", "items": element}
                body["x-kubernetes-list-type"] = str(self.list_type)
                if self.keys:
                    body["x-kubernetes-list-map-keys"] = list(self.keys)
                if self.merge_key:
                    body["x-kubernetes-patch-merge-key"] = self.merge_key
                if self.strategy:
                    body["x-kubernetes-patch-strategy"] = ",".join(self.strategy)
                return body
            case Shape.MAP:
                body = {"type": "object", "additionalProperties": (self.element or ANY).use()}
            case Shape.STRUCT:
                body = {"type": "object", "properties": {}}
                for name, type_ in self.fields.items():
                    use = type_.use()
                    if name in self.defaults:
                        use["default"] = self.defaults[name]
                    body["properties"][name] = use
                if self.required:
                    body["required"] = list(self.required)
        if self.is_atomic:
            body["x-kubernetes-map-type"] = "atomic"
        return body


ANY: Final = TypeSchema(Shape.ANY)

_SCALARS: Final[Mapping[Scalar, Mapping[str, Any]]] = {
    Scalar.STRING: {"type": "string"},
    Scalar.INT32: {"type": "integer", "format": "int32"},
    Scalar.INTEGER: {"type": "integer", "format": "int64"},
    Scalar.NUMBER: {"type": "number", "format": "double"},
    Scalar.BOOLEAN: {"type": "boolean"},
    Scalar.BYTES: {"type": "string", "format": "byte"},
    Scalar.TIME: {"type": "string", "format": "date-time"},
    Scalar.QUANTITY: {"oneOf": [{"type": "string"}, {"type": "number"}]},
    Scalar.INT_OR_STRING: {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
}


class Schemas:
    """All types of one Kubernetes version; types are built when first asked for."""

    __slots__ = ("_built", "_kinds", "_status", "_table")

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._table: Mapping[str, Any] = table["types"]
        self._status = frozenset(table["status"])
        self._built: dict[str, TypeSchema] = {}
        self._kinds: dict[tuple[str, str], str] = {}
        for name, row in self._table.items():
            for kind in row.get("kinds", ()):
                gvk = GroupVersionKind(*kind)
                self._kinds[gvk.api_version, gvk.kind] = name

    @classmethod
    def load(cls) -> Schemas:
        """The types of the packaged table."""
        return cls(json.loads(resources.files(__package__).joinpath("data/schemas.json").read_bytes()))

    def of(self, api_version: str, kind: str) -> TypeSchema | None:
        """The type of a built-in kind; None for one that the table does not know."""
        name = self._kinds.get((api_version, kind))
        return self.named(name) if name else None

    def named(self, name: str) -> TypeSchema:
        """A type by the name of its OpenAPI component."""
        if name not in self._built:
            row = self._table[name]
            if "is" in row:
                self._built[name] = replace(_word(row["is"]), name=name)
                return self._built[name]
            kinds = tuple(GroupVersionKind(*kind) for kind in row.get("kinds", ()))
            self._built[name] = built = TypeSchema(
                Shape.STRUCT,
                name=name,
                is_atomic=row.get("atomic", False),
                required=tuple(row.get("required", ())),
                always=tuple(row.get("always", ())),
                defaults=row.get("defaults", {}),
                kinds=kinds,
                has_status=any(f"{gvk.api_version} {gvk.kind}" in self._status for gvk in kinds),
            )
            built.fields.update({name: self._expression(what) for name, what in row["fields"].items()})
        return self._built[name]

    def kinds(self) -> Iterator[tuple[str, str, TypeSchema]]:
        """Every built-in kind as (apiVersion, kind, type)."""
        for (api_version, kind), name in self._kinds.items():
            yield api_version, kind, self.named(name)

    def components(self, group_version: str) -> dict[str, dict[str, Any]]:
        """`components.schemas` of the OpenAPI document of one group version."""
        found: dict[str, dict[str, Any]] = {}
        todo = [name for (api_version, _), name in self._kinds.items() if api_version == group_version]
        while todo:
            name = todo.pop()
            if name not in found:
                found[name] = self.named(name).to_openapi()
                todo.extend(_references(found[name]))
        return dict(sorted(found.items()))

    def with_structural(
        self, api_version: str, kind: str, openapi_v3_schema: Mapping[str, Any], *, has_status: bool = False
    ) -> TypeSchema:
        """The type of a custom resource from the `openAPIV3Schema` of its definition.

        *has_status* says whether the version has the `status` subresource.
        """
        group, _, version = api_version.rpartition("/")
        root = _structural(openapi_v3_schema)
        if root.shape is not Shape.STRUCT:
            root = TypeSchema(Shape.STRUCT, element=ANY, is_structural=True)
        root.fields.update(self._envelope())
        return replace(root, kinds=(GroupVersionKind(group, version, kind),), has_status=has_status)

    def _envelope(self) -> dict[str, TypeSchema]:
        word = _word("string")
        return {"apiVersion": word, "kind": word, "metadata": self.named(_OBJECT_META)}

    def _expression(self, written: Any) -> TypeSchema:
        if isinstance(written, str):
            return self.named(written[1:]) if written.startswith("#") else _word(written)
        shape, inner, options = written
        strategy = tuple(options["strategy"].split(",")) if "strategy" in options else ()
        match shape:
            case "ref":
                named = self._expression(inner)
                return replace(named, strategy=strategy, is_atomic=options.get("atomic", named.is_atomic))
            case "map":
                return TypeSchema(Shape.MAP, element=self._expression(inner), is_atomic=options.get("atomic", False))
            case _:
                return TypeSchema(
                    Shape.LIST,
                    element=self._expression(inner),
                    list_type=ListType(options.get("type", "atomic")),
                    keys=tuple(options.get("keys", ())),
                    merge_key=options.get("merge", ""),
                    strategy=strategy,
                )


def _word(word: str) -> TypeSchema:
    return ANY if word == "any" else TypeSchema(Shape.SCALAR, scalar=Scalar(word))


def _schemaless() -> TypeSchema:
    word, words = _word("string"), TypeSchema(Shape.MAP, element=_word("string"))
    metadata = TypeSchema(
        Shape.STRUCT,
        fields={
            "labels": words,
            "annotations": words,
            "finalizers": TypeSchema(Shape.LIST, element=word, list_type=ListType.SET, strategy=("merge",)),
            "ownerReferences": TypeSchema(
                Shape.LIST, element=ANY, list_type=ListType.MAP, keys=("uid",), merge_key="uid", strategy=("merge",)
            ),
        },
        element=ANY,
        is_structural=True,
    )
    fields = {"apiVersion": word, "kind": word, "metadata": metadata}
    return TypeSchema(Shape.STRUCT, fields=fields, element=ANY, is_structural=True)


SCHEMALESS: Final = _schemaless()
"""The rules for a kind nothing is known of: maps merge, lists are replaced, metadata is as everywhere."""


def _references(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        for key, value in document.items():
            if key == "$ref":
                yield value.removeprefix(_REF)
            else:
                yield from _references(value)
    elif isinstance(document, list):
        for value in document:
            yield from _references(value)


_FORMATS: Final = {"int32": Scalar.INT32, "int64": Scalar.INTEGER, "byte": Scalar.BYTES}
_TYPES: Final = {
    "string": Scalar.STRING,
    "integer": Scalar.INTEGER,
    "number": Scalar.NUMBER,
    "boolean": Scalar.BOOLEAN,
}


def _structural(source: Mapping[str, Any]) -> TypeSchema:
    """A structural schema, see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/."""
    nullable = bool(source.get("nullable"))
    if source.get("x-kubernetes-int-or-string"):
        return TypeSchema(Shape.SCALAR, scalar=Scalar.INT_OR_STRING, is_structural=True, nullable=nullable)
    keeps_unknown = bool(source.get("x-kubernetes-preserve-unknown-fields"))
    is_atomic = source.get("x-kubernetes-map-type") == "atomic"
    kind = source.get("type")
    if kind == "array":
        return TypeSchema(
            Shape.LIST,
            element=_structural(source.get("items", {})),
            list_type=ListType(source.get("x-kubernetes-list-type", "atomic")),
            keys=tuple(source.get("x-kubernetes-list-map-keys", ())),
            is_structural=True,
            nullable=nullable,
        )
    if kind in _TYPES:
        scalar = _FORMATS.get(source.get("format", ""), _TYPES[kind])
        return TypeSchema(Shape.SCALAR, scalar=scalar, is_structural=True, nullable=nullable)
    extra = source.get("additionalProperties")
    properties = source.get("properties", {})
    if kind == "object" and (properties or not keeps_unknown) and not extra:
        return TypeSchema(
            Shape.STRUCT,
            fields={name: _structural(what) for name, what in properties.items()},
            element=ANY if keeps_unknown or source.get("x-kubernetes-embedded-resource") else None,
            is_atomic=is_atomic,
            required=tuple(source.get("required", ())),
            defaults={name: what["default"] for name, what in properties.items() if "default" in what},
            is_structural=True,
            nullable=nullable,
        )
    if kind == "object" and isinstance(extra, Mapping):
        return TypeSchema(
            Shape.MAP, element=_structural(extra), is_atomic=is_atomic, is_structural=True, nullable=nullable
        )
    if kind == "object" and extra is True:
        return TypeSchema(Shape.MAP, element=ANY, is_atomic=is_atomic, is_structural=True, nullable=nullable)
    return TypeSchema(Shape.ANY, is_structural=True, nullable=nullable)
