"""What a Kubernetes API server does to objects, without the server: dicts in, dicts out.

The simulated server (`addonry.simulator`) calls this for patches, server-side apply, ownership of fields, defaults,
validation and protobuf bodies. Nothing here does I/O but reading its own packaged tables, and nothing changes what
it was handed: results are new objects that may share parts with what came in.
"""

from __future__ import annotations

from .custom import check_custom, default_custom
from .defaults import apply_defaults
from .encoding import EncodeError, encode
from .events import kept_event, viewed_event
from .faults import FieldError
from .go_json import duplicate_members, json_fault, kind_of
from .go_order import in_go_order
from .managed_fields import ApplyConflict, apply, take_over_status, update_managers
from .patching import PatchError, go_format, json_patch, merge_patch, strategic_merge
from .protobuf import DecodeError, decode
from .scale import scale_managers, with_scale_managers
from .schema import Schemas, TypeSchema
from .shaping import normalise
from .validation import (
    cannot_be_handled,
    check_conversion,
    check_immutable,
    check_required,
    check_types,
    invalid_status,
    strict_error,
    unknown_fields,
)

__all__ = [
    "ApplyConflict",
    "DecodeError",
    "EncodeError",
    "FieldError",
    "PatchError",
    "Schemas",
    "TypeSchema",
    "apply",
    "apply_defaults",
    "cannot_be_handled",
    "check_conversion",
    "check_custom",
    "check_immutable",
    "check_required",
    "check_types",
    "decode",
    "default_custom",
    "duplicate_members",
    "encode",
    "go_format",
    "in_go_order",
    "invalid_status",
    "json_fault",
    "json_patch",
    "kept_event",
    "kind_of",
    "merge_patch",
    "normalise",
    "scale_managers",
    "strategic_merge",
    "strict_error",
    "take_over_status",
    "unknown_fields",
    "update_managers",
    "viewed_event",
    "with_scale_managers",
]
