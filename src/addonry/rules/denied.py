"""What is not seen of a cluster when a list is not allowed, in words for people.

To name one more list, add a row to HIDDEN.
"""

from collections.abc import Mapping
from typing import Final

HIDDEN: Final[Mapping[str, str]] = {
    "version": "which Kubernetes runs",
    "discovery": "which APIs are served, and whether Argo CD, Flux, k3s or OLM are there",
    "nodes": "how many nodes there are, and whether they are ready",
    "pods": "how much room the nodes have",
    "services": "whether load balancers have addresses",
    "endpointslices": "whether webhooks have anybody to answer",
    "poddisruptionbudgets": "which budgets hold up a drain",
    "horizontalpodautoscalers": "what is scaled automatically",
    "scaledobjects": "what KEDA scales",
    "verticalpodautoscalers": "whose requests are set automatically",
    "validatingwebhookconfigurations": "which webhooks may refuse a change",
    "mutatingwebhookconfigurations": "which webhooks may refuse a change",
    "secrets": "releases of Helm without workloads; the others are told by their labels, without values or status",
    "configmaps": "releases that Helm keeps in ConfigMaps",
    "apiservices": "whether the APIs that components add are available",
    "deployments": "components that are Deployments, and the health of those that consist of them",
    "daemonsets": "components that are DaemonSets, and the health of those that consist of them",
    "statefulsets": "components that are StatefulSets, and the health of those that consist of them",
    "applications": "what Argo CD manages, where its marks do not show it, and whether it puts changes back",
    "helmreleases": "which releases are Flux's, and whether it puts changes back",
    "kustomizations": "what Flux applies, where its marks do not show it, and whether it puts changes back",
    "helmcharts": "which releases k3s or RKE2 installs",
    "helmchartconfigs": "which charts of k3s or RKE2 have values of their own",
    "addons": "which manifests k3s or RKE2 keeps applied",
    "clusterserviceversions": "which operators OLM has installed, and in which version",
    "clusterextensions": "which extensions OLM has installed, and from which channel",
    "subscriptions": "from which channel OLM upgrades an operator, and who approves it",
}
"""By resource, as an inventory names what it was denied."""


def hidden_by(resource: str) -> str:
    """What remains unknown without the right to list *resource*."""
    return HIDDEN.get(resource, "what they hold")
