"""Which kubectl the tests use: the one of the development tools, else the machine's."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = 27
"""The minor version from which kubectl has its manifests validated by the server."""


def find_kubectl() -> str | None:
    """The path of kubectl; the one beside this interpreter has the version that `constraints.txt` pins."""
    return shutil.which("kubectl", path=Path(sys.executable).parent) or shutil.which("kubectl")


def why_not_kubectl() -> str:
    """Why tests with kubectl are skipped here; empty when they are not."""
    path = find_kubectl()
    if path is None:
        return "kubectl is not installed; what kubectl sees of simulated clusters is NOT tested"
    told = subprocess.run([path, "version", "--client", "-o", "json"], capture_output=True, text=True, check=True)
    version = json.loads(told.stdout)["clientVersion"]["gitVersion"]
    if int(version.split(".")[1]) < OLDEST:
        return f"kubectl {version} is older than 1.{OLDEST}; what kubectl sees of simulated clusters is NOT tested"
    return ""
