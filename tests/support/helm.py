"""Helm used directly, as somebody without Addonry would: each call in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CHILD = """
import json, sys
from helm_python import Config
request = json.load(sys.stdin)
config = Config(
    kubeconfig_content=request["kubeconfig"],
    namespace=request["namespace"],
    storage_driver=request["driver"],
    qps=500,
    burst_limit=1000,
)
result = getattr(config, request["operation"])(*request["positional"], **request["named"])
json.dump(result, sys.stdout, default=lambda value: getattr(value, "raw", None) or getattr(value, "__dict__", str(value)))
"""


def helm(
    kubeconfig: str,
    operation: str,
    *positional: Any,
    namespace: str = "kube-system",
    driver: str = "secret",
    **named: Any,
) -> Any:
    """One operation of the Helm SDK, which keeps its records as *driver* says; what it returned, as plain data."""
    request = {
        "kubeconfig": kubeconfig,
        "namespace": namespace,
        "driver": driver,
        "operation": operation,
        "positional": [str(each) if isinstance(each, Path) else each for each in positional],
        "named": named,
    }
    ended = subprocess.run(
        ["helm", "-c", CHILD],
        executable=sys.executable,
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": ":".join(path for path in sys.path if path), "HOME": "/nonexistent", "PATH": ""},
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return json.loads(ended.stdout)
