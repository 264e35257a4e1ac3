"""Simulated Kubernetes clusters on loopback: an API server of our own that kubectl and Helm use unchanged.

    with Simulator(clusters=3, speed=10) as simulator:
        Path("kubeconfig").write_text(simulator.cluster("sim-1").kubeconfig())

Imports nothing else of Addonry and is reached over HTTP like any cluster. Nothing runs in the Pods; `life` makes
them, and the workloads above them, behave as if something did. Behaviour follows recordings of a real
kube-apiserver 1.36.2.
"""

from addonry.simulator.clock import Clock, RealClock, SteppedClock
from addonry.simulator.cluster import LoggedRequest, SimulatedCluster, Target
from addonry.simulator.server import Simulator, SimulatorApp
from addonry.simulator.trouble import Chaos, Kind

__all__ = [
    "Chaos",
    "Clock",
    "Kind",
    "LoggedRequest",
    "RealClock",
    "SimulatedCluster",
    "Simulator",
    "SimulatorApp",
    "SteppedClock",
    "Target",
]
