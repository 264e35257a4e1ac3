"""Ids as types of their own, so that a cluster's id is never passed for a task's."""

from typing import NewType

ClusterId = NewType("ClusterId", str)
"""``c`` and 32 hexadecimal digits (ack-api 01, section 8); opaque to clients."""

TaskId = NewType("TaskId", str)
"""``T-`` and 24 hexadecimal digits."""

ComponentName = NewType("ComponentName", str)
"""The name of a component in the catalog, or of a release the catalog does not know."""

Version = NewType("Version", str)
"""A component's version as its source spells it; ordered by ``rules.versions``."""
