"""One Helm operation in a process of its own. Started by ``runner``, never imported by the service.

Helm's library can hang on a silent API server, cannot be interrupted, and dies with its process when a chart recurses
without end; hence a process that can be killed. It speaks with its parent so:

- the first line of stdin is the request, JSON; kubeconfig and values travel nowhere else;
- stdin then stays open, and its end means that the parent is gone: this process then ends at once, so that it never
  works on a release that somebody else has taken over. Where the request names a longest silence, the parent also
  writes a line now and then: a parent that is frozen or cut off does not, and is taken for gone;
- stdout gets one JSON answer, ``{"ok": true, "result": ...}`` or ``{"ok": false, "code": ..., "message": ...}``;
  whatever libraries print goes to stderr.

Only the standard library and ``helm_python`` are imported (the interpreter runs with ``-I -S``): it starts in about
50 ms. To add an operation, add it to OPERATIONS.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

PARENT_GONE: Final = 3
"""Exit status: stdin ended, or was silent for too long, before the work did."""

TOO_MUCH_MEMORY: Final = 4
"""Exit status: the memory limit was passed."""

BROKEN: Final = 1000
"""Code of an error that is none of the library's own, which are negative."""

_PR_SET_PDEATHSIG: Final = 1
_LOOK_AT_MEMORY: Final = 0.05
_HARD_LIMIT: Final = 1536 * 1024 * 1024


def main() -> None:
    """Read the request, do it in a worker thread, answer; or end when the parent does."""
    answers = os.dup(1)
    os.dup2(2, 1)
    # A terminal's or service manager's signals are the parent's business: it ends us by SIGKILL or by its own end.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    request = json.loads(_first_line(0))
    if request["operation"] != "command":
        _die_with_parent()
    # A template that recurses without end fills Go's stack up to 1 GB, for 20 s, and then kills the process. Looking at
    # our own size ends that early and says so; the hard limit behind it makes Go die in many ways, not all of which
    # can be told from a bug. RLIMIT_DATA and not RLIMIT_AS, because Go reserves address space it never uses.
    _limit(resource.RLIMIT_DATA, max(2 * request["memory"], _HARD_LIMIT))
    _limit(resource.RLIMIT_CORE, 0)
    threading.Thread(target=_work, args=(request, answers), daemon=True).start()
    _wait_for_the_end_of(0, memory=request["memory"], silence=request["silence"])
    if request["operation"] == "command":
        os.killpg(0, signal.SIGKILL)  # the command too; the parent has given this process a session of its own
    os._exit(PARENT_GONE)


def _work(request: dict[str, Any], answers: int) -> None:
    try:
        answer = {"ok": True, "result": OPERATIONS[request["operation"]](request)}
    except BaseException as error:  # noqa: BLE001 - every failure is told to the parent, whatever it is
        code = getattr(error, "code", None)
        answer = {"ok": False, "code": int(code) if isinstance(code, int) else BROKEN, "message": str(error)}
    rest = json.dumps(answer).encode()
    with contextlib.suppress(BrokenPipeError):
        while rest:
            rest = rest[os.write(answers, rest) :]
    # Not sys.exit: Go's threads have nothing to say any more, and some never end.
    os._exit(0)


def _first_line(descriptor: int) -> bytes:
    parts: list[bytes] = []
    while not (parts and parts[-1].endswith(b"\n")):
        part = os.read(descriptor, 1 << 16)
        if not part:
            os._exit(PARENT_GONE)
        parts.append(part)
    return b"".join(parts)


def _wait_for_the_end_of(descriptor: int, *, memory: int, silence: float) -> None:
    heard = time.monotonic()
    while True:
        readable, _, _ = select.select([descriptor], [], [], _LOOK_AT_MEMORY)
        if readable:
            if not os.read(descriptor, 1 << 16):
                return
            heard = time.monotonic()
        elif silence and time.monotonic() - heard > silence:
            return
        if _peak_memory() > memory:
            os._exit(TOO_MUCH_MEMORY)


def _peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _limit(which: int, value: int) -> None:
    with contextlib.suppress(ValueError, OSError):  # a lower limit is already set
        resource.setrlimit(which, (value, value))


def _die_with_parent() -> None:
    """Linux only: be killed with the parent even where stdin's end would not be noticed. See prctl(2)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


# The library.


def _native(request: dict[str, Any]) -> Any:
    # The Python layer exposes part of the options only; its private module takes all, and refuses unknown ones.
    # The version is pinned exactly, and the contract suite sends every option that we rely on.
    sys.path.insert(0, request["library"])
    from helm_python import _native as native

    return native


def _config(native: Any, request: dict[str, Any]) -> Any:
    options: dict[str, Any] = {
        "namespace": request["namespace"],
        # Helm's client would fall to 5 requests a second after its first 100.
        "qps": 500,
        "burst_limit": 1000,
    }
    if hasattr(os, "memfd_create"):
        # Never on a disk: the library reads the descriptor by its name.
        descriptor = os.memfd_create("kubeconfig")
        os.write(descriptor, request["kubeconfig"].encode())
        options["kubeconfig_path"] = f"/proc/self/fd/{descriptor}"
    else:
        options["kubeconfig_content"] = request["kubeconfig"]
    return native.HANDLE(native.call_handle("helm_config_new", json.dumps(options)))


def _install_or_upgrade(call: str) -> Callable[[dict[str, Any]], Any]:
    def run(request: dict[str, Any]) -> Any:
        native = _native(request)
        if request["keep"]:
            request["options"]["post_renderer"] = _keeping(request)
        told = native.call_string(
            call,
            _config(native, request),
            native.HANDLE(0),
            native.HANDLE(0),
            request["chart"],
            request["release"],
            json.dumps(request["values"]),
            json.dumps(request["options"]),
        )
        # Asked for by previews only; what a change did is read from the cluster.
        return json.loads(told).get("manifest", "")

    return run


def _keeping(request: dict[str, Any]) -> str:
    """Make the plugin that leaves fields of others out of the manifests; its name. See ``keep``."""
    folder = os.path.join(os.environ["HELM_PLUGINS"], "addonry-keep")  # noqa: PTH118 - pathlib is slow to import
    os.makedirs(folder)  # noqa: PTH103
    script = os.path.join(os.path.dirname(__file__), "keep.py")  # noqa: PTH118, PTH120
    kept = os.path.join(folder, "keep.json")  # noqa: PTH118
    arguments = ["-I", "-S", "-B", script, request["library"], kept]
    plugin = {
        "apiVersion": "v1",
        "type": "postrenderer/v1",
        "name": "addonry-keep",
        "version": "1.0.0",
        "runtime": "subprocess",
        "runtimeConfig": {"platformCommand": [{"command": request["python"], "args": arguments}]},
    }
    for name, content in ((kept, request["keep"]), (os.path.join(folder, "plugin.yaml"), plugin)):  # noqa: PTH118
        with open(name, "w") as file:  # noqa: PTH123
            json.dump(content, file)
    return "addonry-keep"


def _rollback(request: dict[str, Any]) -> Any:
    native = _native(request)
    native.call_status("helm_rollback", _config(native, request), request["release"], json.dumps(request["options"]))


def _uninstall(request: dict[str, Any]) -> Any:
    native = _native(request)
    native.call_string("helm_uninstall", _config(native, request), request["release"], json.dumps(request["options"]))


def _render(request: dict[str, Any]) -> Any:
    native = _native(request)
    chart = native.HANDLE(native.call_handle("helm_chart_load", request["chart"]))
    values, options = json.dumps(request["values"]), json.dumps(request["options"])
    native.call_status("helm_schema_validate", chart, values)
    return json.loads(native.call_string("helm_render", chart, values, options))


def _version(request: dict[str, Any]) -> Any:
    return _native(request).helm_sdk_version()


# The command.


def _command(request: dict[str, Any]) -> Any:
    """Run a ``helm`` command; it gets the kubeconfig by a descriptor or private file and the values on its stdin."""
    held = _readable(request["kubeconfig"])
    arguments = [each if each != "{kubeconfig}" else held for each in request["arguments"]]
    # close_fds=False: the command inherits the kubeconfig's descriptor, and the lock of the release.
    ended = subprocess.run(
        arguments, input=request["input"].encode(), capture_output=True, check=False, close_fds=False
    )
    if ended.returncode < 0:
        os.write(2, ended.stderr[-4096:])
        os.kill(os.getpid(), signal.SIGABRT)  # tell the parent what it would see of a child that died itself
    return {
        "status": ended.returncode,
        "output": ended.stdout.decode("utf-8", "replace"),
        "error": ended.stderr.decode("utf-8", "replace"),
    }


def _readable(kubeconfig: str) -> str:
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("kubeconfig", 0)
        os.set_inheritable(descriptor, True)
        os.write(descriptor, kubeconfig.encode())
        return f"/proc/self/fd/{descriptor}"
    path = os.path.join(os.environ["HOME"], "kubeconfig")  # noqa: PTH118 - pathlib is slow to import
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
        file.write(kubeconfig)
    return path


OPERATIONS: Final[dict[str, Callable[[dict[str, Any]], Any]]] = {
    "install": _install_or_upgrade("helm_install"),
    "upgrade": _install_or_upgrade("helm_upgrade"),
    "rollback": _rollback,
    "uninstall": _uninstall,
    "render": _render,
    "version": _version,
    "command": _command,
}


if __name__ == "__main__":
    main()
