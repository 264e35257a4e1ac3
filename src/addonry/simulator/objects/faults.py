"""What is wrong with one field of an object, in the words of a kube-apiserver."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Json = Any


class Fault(StrEnum):
    """The reasons a cause of a 422 may carry."""

    INVALID = "FieldValueInvalid"
    TYPE = "FieldValueTypeInvalid"
    REQUIRED = "FieldValueRequired"
    FORBIDDEN = "FieldValueForbidden"
    DUPLICATE = "FieldValueDuplicate"
    NOT_FOUND = "FieldValueNotFound"
    NOT_SUPPORTED = "FieldValueNotSupported"
    TOO_LONG = "FieldValueTooLong"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One cause of a 422: the field, the reason, and the message as it stands in `details.causes`."""

    field: str
    type: Fault
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def written(value: Json) -> str:
    """A value as messages show it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def invalid(field: str, value: Json, why: str) -> FieldError:
    return FieldError(field, Fault.INVALID, f"Invalid value: {written(value)}: {why}")


def required(field: str, why: str = "") -> FieldError:
    return FieldError(field, Fault.REQUIRED, f"Required value: {why}" if why else "Required value")


def forbidden(field: str, why: str) -> FieldError:
    return FieldError(field, Fault.FORBIDDEN, f"Forbidden: {why}")


def duplicate(field: str, value: Json) -> FieldError:
    return FieldError(field, Fault.DUPLICATE, f"Duplicate value: {written(value)}")


def unsupported(field: str, value: Json, *supported: str) -> FieldError:
    offered = ", ".join(map(written, supported))
    return FieldError(field, Fault.NOT_SUPPORTED, f"Unsupported value: {written(value)}: supported values: {offered}")
