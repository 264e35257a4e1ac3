"""What more than one family of operations answers."""

import msgspec


class Accepted(msgspec.Struct):
    """The answer of an asynchronous operation: where to follow it."""

    cluster_id: str
    request_id: str
    task_id: str
