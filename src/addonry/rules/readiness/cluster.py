"""The cluster as a whole: does it answer."""

from addonry.model.catalog import Offer
from addonry.model.clusters import Reach
from addonry.model.readiness import Blocker, Facts


def is_reachable(facts: Facts, _target: Offer | None) -> Blocker | None:
    """The cluster answered when it was last asked."""
    match facts.cluster.reach:
        case Reach.ANSWERS:
            return None
        case Reach.UNKNOWN:
            return Blocker("NotScanned", "The cluster was not looked at yet.", "Wait a moment, or scan it now.")
        case Reach.REFUSED:
            remedy = "Register the cluster again with valid credentials."
        case Reach.UNREACHABLE:
            remedy = "Check that its API server runs and can be reached from here."
    return Blocker("ClusterUnreachable", f"The cluster does not answer: {facts.cluster.trouble}", remedy)
