"""Start a Helm child, give it its request, and have its answer or its death within a deadline.

The parent's half of ``child``. It knows processes, not Helm: which operations there are and what their failures mean
is the business of ``adapters``. Each child has a home of its own under the work directory (Helm leaves caches there)
which is deleted afterwards, an empty environment, a memory limit, and ``helm`` as its name: Helm's field manager is
the base name of argv[0], and ours must be the ``helm`` command's own, or the two would fight over every field.
"""

import asyncio
import contextlib
import fcntl
import importlib.util
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

MEMORY_LIMIT: Final = 768 * 1024 * 1024
"""Memory of one child; a usual operation takes 90 MiB, the largest charts we know of 200 MiB."""

_ANSWER_LIMIT: Final = 64 * 1024 * 1024
_TOO_MUCH_MEMORY: Final = 4
"""``child.TOO_MUCH_MEMORY``; the child is started and not imported."""

_STDERR_KEPT: Final = 16 * 1024
_PROXIES: Final = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"})
_ABANDONED_AFTER: Final = 60.0
_CREDENTIALS: Final = frozenset({"token", "password", "client-key-data", "client-certificate-data", "proxy-url"})
_OUT_OF_MEMORY: Final = ("out of memory", "cannot allocate memory", "stack overflow", "stack exceeds", "MemoryError")


class ChildTrouble(Exception):
    """The root of what a child can come to; ``adapters`` translates it.

    As the cause of another error it ends up in tracebacks and logs, so it is not printed with what Helm said: that may
    quote the user's values.
    """

    def __str__(self) -> str:
        return type(self).__name__


@dataclass(eq=False)
class ChildRefused(ChildTrouble):
    """The operation failed and the child said why."""

    code: int
    message: str = field(repr=False)


@dataclass(eq=False)
class ChildNotStarted(ChildTrouble):
    """This machine would not start it."""

    reason: str


class ChildLate(ChildTrouble):
    """The deadline passed; the child was killed."""


@dataclass(eq=False)
class ChildDied(ChildTrouble):
    """The child ended without an answer."""

    status: int
    out_of_memory: bool
    message: str = field(repr=False)
    """How what it wrote to stderr begins, without the request's secrets."""


class HelmRunner:
    """Starts children. Holds no state; safe for concurrent use."""

    def __init__(
        self,
        work_directory: Path,
        *,
        memory: int = MEMORY_LIMIT,
        silence: float = 0.0,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """*silence* is how long a child works on without a word of ours, 0 for ever; *before* is called before each."""
        self._homes = work_directory / "homes"
        self._memory = memory
        self._silence = silence
        self._before = before

    async def run(self, request: Mapping[str, Any], *, seconds: float, inherit: tuple[int, ...] = ()) -> Any:
        """The result of *request* (see ``child``). Raises ChildTrouble; a cancelled call kills the child too.

        When this returns or raises, the child is dead. *inherit* are descriptors that it keeps open until then.
        """
        try:
            return await self._run(request, seconds, inherit)
        except OSError as error:
            raise ChildNotStarted(error.strerror or type(error).__name__) from error

    async def _run(self, request: Mapping[str, Any], seconds: float, inherit: tuple[int, ...]) -> Any:
        # Values read from a user's YAML may hold dates, which Helm reads as text.
        line = self._line(request)
        self._before()
        with self._home() as home:
            process = await asyncio.create_subprocess_exec(
                *_command(home),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=_environment(home),
                cwd=home,
                pass_fds=inherit,
                start_new_session=True,
            )
            try:
                async with asyncio.timeout(seconds):
                    answer, noise = await _converse(process, line, self._silence)
                    status = await process.wait()
            except TimeoutError:
                raise ChildLate from None
            finally:
                await _end(process)
        return _result(answer, noise, status, request)

    def _line(self, request: Mapping[str, Any]) -> bytes:
        more = {"library": _library(), "memory": self._memory, "silence": self._silence, "python": sys.executable}
        return json.dumps({**request, **more}, default=str).encode() + b"\n"

    @contextmanager
    def _home(self) -> Iterator[Path]:
        self._homes.mkdir(parents=True, exist_ok=True, mode=0o700)
        _sweep(self._homes)
        home = Path(tempfile.mkdtemp(dir=self._homes))
        # Held while we live, so that others can tell an abandoned home from one in use.
        held = os.open(home, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            # A full path, so that a relocatable interpreter finds its library from where the link leads.
            (home / "helm").symlink_to(sys.executable)
            yield home
        finally:
            shutil.rmtree(home, ignore_errors=True)
            os.close(held)


def _command(home: Path) -> tuple[str, ...]:
    return (str(home / "helm"), "-I", "-S", "-B", str(Path(__file__).with_name("child.py")))


def _environment(home: Path) -> dict[str, str]:
    here = str(home)
    proxies = {name: value for name, value in os.environ.items() if name.upper() in _PROXIES}
    return proxies | {
        "HOME": here,
        "TMPDIR": here,
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HELM_CACHE_HOME": f"{here}/cache",
        "HELM_CONFIG_HOME": f"{here}/config",
        "HELM_DATA_HOME": f"{here}/data",
        "HELM_PLUGINS": f"{here}/plugins",
    }


def _library() -> str:
    """The folder that holds ``helm_python``; finding it does not import it."""
    spec = importlib.util.find_spec("helm_python")
    if spec is None or spec.origin is None:
        return ""
    return str(Path(spec.origin).parents[1])


async def _converse(process: asyncio.subprocess.Process, line: bytes, silence: float) -> tuple[bytes, bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    reading = asyncio.gather(_read_all(process.stdout), _read_first(process.stderr))
    talking = asyncio.create_task(_talk(process.stdin, silence))
    try:
        # A child that dies at once breaks the pipe; its status and stderr tell more than that.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(line)
            await process.stdin.drain()
        # stdin is left open: its end would tell the child that we are gone.
        answer, noise = await reading
    finally:
        talking.cancel()
        reading.cancel()
    return answer, noise


async def _talk(stdin: asyncio.StreamWriter, silence: float) -> None:
    """Let the child hear of us, so that it goes on."""
    while silence:
        await asyncio.sleep(silence / 4)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stdin.write(b"\n")
            await stdin.drain()


async def _read_all(stream: asyncio.StreamReader) -> bytes:
    answer = bytearray()
    while part := await stream.read(1 << 16):
        if len(answer) + len(part) > _ANSWER_LIMIT:
            raise ChildRefused(0, f"Helm answered more than {_ANSWER_LIMIT >> 20} MiB.")
        answer += part
    return bytes(answer)


async def _read_first(stream: asyncio.StreamReader) -> bytes:
    # What Go's runtime died of stands before a dump of every stack.
    first = b""
    while part := await stream.read(1 << 16):
        first = (first + part)[:_STDERR_KEPT]
    return first


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        # A second cancellation must not leave the child unwaited for: it would keep its lock beyond our word.
        await asyncio.shield(process.wait())
    if process.stdin is not None:
        process.stdin.close()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            await process.stdin.wait_closed()


def _result(answer: bytes, noise: bytes, status: int, request: Mapping[str, Any]) -> Any:
    words = noise.decode("utf-8", "replace")
    try:
        told = json.loads(answer)
    except ValueError:
        out_of_memory = status == _TOO_MUCH_MEMORY or any(sign in words for sign in _OUT_OF_MEMORY)
        raise ChildDied(status, out_of_memory, scrub(words, request).strip()[:600]) from None
    if not told["ok"]:
        raise ChildRefused(told["code"], scrub(told["message"], request))
    return told["result"]


def scrub(text: str, request: Mapping[str, Any]) -> str:
    """*text* without the credentials in the kubeconfig that *request* carries."""
    for word in _secrets(str(request.get("kubeconfig", ""))):
        text = text.replace(word, "***")
    return text


def _secrets(kubeconfig: str) -> set[str]:
    """The credentials in a kubeconfig; the certificate of the authority is public."""
    try:
        document = yaml.safe_load(kubeconfig)
    except yaml.YAMLError:
        return set()
    return set(_under(document, _CREDENTIALS))


def _under(node: Any, keys: frozenset[str]) -> Iterator[str]:
    for key, value in node.items() if isinstance(node, dict) else ():
        if key in keys and isinstance(value, str) and value:
            yield value
        yield from _under(value, keys)
    for value in node if isinstance(node, list) else ():
        yield from _under(value, keys)


def _sweep(homes: Path) -> None:
    """Delete the homes of processes that were killed."""
    for home in homes.iterdir():
        try:
            if time.time() - home.stat().st_mtime < _ABANDONED_AFTER:
                continue  # perhaps made this moment and not yet locked
            held = os.open(home, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue  # somebody else was quicker
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            shutil.rmtree(home, ignore_errors=True)
        finally:
            os.close(held)
