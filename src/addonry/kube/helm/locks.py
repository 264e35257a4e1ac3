"""One Helm operation at a time per release: between the processes of this machine, and across their deaths.

Helm writes release Secrets without optimistic locking, so two operations on one release corrupt its history. The lock
is an flock on a file; the Helm child inherits the open file, so a lock outlives a killed parent exactly as long as the
child that still works on the release. Between machines the engine's lanes and fences keep tasks apart.
"""

import asyncio
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Final

from addonry.model.errors import HelmFailed

_LOOK_AGAIN: Final = 0.05


@asynccontextmanager
async def hold_release(
    directory: Path, *, server: str, namespace: str, release: str, seconds: float
) -> AsyncIterator[int]:
    """Hold the lock of one release; gives the descriptor that a child must inherit. Raises HelmFailed after *seconds*.

    The file stays behind: removing it would let two processes hold two files of one name.
    """
    descriptor = _open(directory, server=server, namespace=namespace, release=release)
    try:
        deadline = monotonic() + seconds
        while not _try(descriptor):
            if monotonic() > deadline:
                raise HelmFailed(
                    f"Another Helm operation on release {release} has not ended within {seconds:.0f} s.",
                    remedy="Wait until it has ended and ask again.",
                )
            await asyncio.sleep(_LOOK_AGAIN)
        yield descriptor
    finally:
        # Closed and never unlocked: LOCK_UN would also take the lock from a child that still holds the file.
        os.close(descriptor)


def _open(directory: Path, *, server: str, namespace: str, release: str) -> int:
    name = hashlib.sha256(f"{server}\n{namespace}\n{release}".encode()).hexdigest()[:32]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return os.open(directory / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HelmFailed(
            f"The lock of release {release} cannot be opened: {error.strerror}.",
            remedy="Check that the data directory can be written.",
        ) from error


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
