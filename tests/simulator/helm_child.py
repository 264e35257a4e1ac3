"""One Helm call in a process of its own: the call as JSON on standard input, the outcome as JSON on standard output.

Run with argv[0] `helm`, so that Helm's field manager is called helm. Never import this: importing the Helm library
into the test process would start its threads there.
"""

import json
import sys

from helm_python import Chart, Config, HelmError


def main() -> None:
    call = json.load(sys.stdin)
    config = Config(kubeconfig_content=call["kubeconfig"], namespace=call["namespace"], qps=500, burst_limit=1000)
    arguments = call["arguments"]
    if chart := call.get("chart"):
        arguments = {"chart": Chart.load(chart), **arguments}
    try:
        result = getattr(config, call["method"])(**arguments)
        sys.stdout.write(json.dumps({"ok": True, "result": result}))
    except HelmError as error:
        sys.stdout.write(json.dumps({"ok": False, "error": type(error).__name__, "message": str(error)}))


if __name__ == "__main__":
    main()
