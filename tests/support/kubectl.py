"""Whether this machine has a kubectl that the tests can use."""

import json
import shutil
import subprocess

OLDEST = 27
"""The minor version from which kubectl has its manifests validated by the server."""


def why_not_kubectl() -> str:
    """Why tests with kubectl are skipped here; empty when they are not."""
    path = shutil.which("kubectl")
    if path is None:
        return "kubectl is not installed; what kubectl sees of simulated clusters is NOT tested"
    told = subprocess.run([path, "version", "--client", "-o", "json"], capture_output=True, text=True, check=True)
    version = json.loads(told.stdout)["clientVersion"]["gitVersion"]
    if int(version.split(".")[1]) < OLDEST:
        return f"kubectl {version} is older than 1.{OLDEST}; what kubectl sees of simulated clusters is NOT tested"
    return ""
