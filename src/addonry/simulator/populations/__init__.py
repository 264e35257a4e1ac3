"""What clusters of other people's making run on day one, as data: one file below `data/` is one population.

    simulator.add("eks-1", snapshot=simulator.template("eks", "1.31"))

A file holds plain Kubernetes objects and Helm releases, see `documents`. To add a population, add a file; its name is
what `addonry simulate --population` takes.
"""

from addonry.simulator.populations.documents import Population, names, read
from addonry.simulator.populations.template import build

__all__ = ["Population", "build", "names", "read"]
