"""One Helm call in a process of its own: the call as JSON on standard input, the outcome as JSON on standard output.

Takes every option of Helm's, also those that the package's Python layer does not show. Never import this: importing
the Helm library into the test process would start its threads there.
"""

import json
import sys
from typing import Any

from helm_python import Config, HelmError, _native


def _install_or_upgrade(config: Config, call: dict[str, Any]) -> Any:
    told = _native.call_string(
        f"helm_{call['operation']}",
        config._raw(),
        _native.HANDLE(0),
        _native.HANDLE(0),
        call["chart"],
        call["release"],
        json.dumps(call["values"]),
        json.dumps(call["options"]),
    )
    return json.loads(told)


def _rollback(config: Config, call: dict[str, Any]) -> None:
    _native.call_status("helm_rollback", config._raw(), call["release"], json.dumps(call["options"]))


def _uninstall(config: Config, call: dict[str, Any]) -> Any:
    told = _native.call_string("helm_uninstall", config._raw(), call["release"], json.dumps(call["options"]))
    return json.loads(told)


def _read(config: Config, call: dict[str, Any]) -> Any:
    named = {} if call["operation"] == "list" else {"name": call["release"]}
    return getattr(config, call["operation"])(**named, **call["options"])


_OPERATIONS = {
    "install": _install_or_upgrade,
    "upgrade": _install_or_upgrade,
    "rollback": _rollback,
    "uninstall": _uninstall,
}


def main() -> None:
    call = json.load(sys.stdin)
    config = Config(kubeconfig_path=call["kubeconfig"], namespace=call["namespace"], qps=500, burst_limit=1000)
    try:
        result = _OPERATIONS.get(call["operation"], _read)(config, call)
        sys.stdout.write(json.dumps({"ok": True, "result": result}))
    except HelmError as error:
        sys.stdout.write(json.dumps({"ok": False, "message": str(error)}))


if __name__ == "__main__":
    main()
