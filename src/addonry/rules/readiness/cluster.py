"""The cluster as a whole: does it answer, have its nodes room, does something on it refuse what is written.

What is told here names no component, so that it can be told once where many ask.
"""

from datetime import timedelta
from typing import Final

from addonry.model.catalog import Offer
from addonry.model.clusters import Reach
from addonry.model.components import Health
from addonry.model.readiness import Blocker, Facts, Severity
from addonry.model.surroundings import DeadWebhook
from addonry.rules.denied import hidden_by
from addonry.rules.removed_apis import minor_number
from addonry.rules.versions import minor_of

FEWEST_POD_SLOTS: Final = 2
"""ACK asks for more than two before it upgrades a component."""

SKEW_POLICY: Final = "https://kubernetes.io/releases/version-skew-policy/"

OLDEST_KUBELET: Final = 3
"""How many minors a kubelet may be behind the API server, by that page."""

CREDENTIALS_SOON: Final = timedelta(days=30)

WRITTEN: Final = {
    "apps": ("deployments", "daemonsets", "statefulsets", "replicasets"),
    "": ("pods", "services", "configmaps", "secrets", "serviceaccounts"),
}
"""What every change of a component writes or has written."""


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


def everything_was_seen(facts: Facts, _target: Offer | None) -> Blocker | None:
    """The credentials may make every list that a check is answered from."""
    denied = facts.surroundings.denied
    if not denied:
        return None
    return Blocker(
        "NotChecked",
        f"The credentials may not list {', '.join(denied)}, so it is not known "
        f"{'; '.join(dict.fromkeys(hidden_by(each) for each in denied))}.",
        "Allow its user to list them (a ClusterRole and a binding), and scan again.",
        Severity.WARNS,
        evidence=tuple(f"list {each}: forbidden" for each in denied),
    )


def some_node_is_ready(facts: Facts, _target: Offer | None) -> Blocker | None:
    """There are nodes, and one of them takes pods."""
    nodes = facts.surroundings.nodes
    away = {*nodes.not_ready, *nodes.cordoned}
    if not nodes.count or len(away) < nodes.count:
        return None
    return Blocker(
        "NoNodeReady",
        f"None of the {nodes.count} nodes takes pods: {len(nodes.not_ready)} not ready, {len(nodes.cordoned)} cordoned.",
        "Look at them: kubectl get nodes",
        evidence=tuple(f"Node {each}" for each in sorted(away)),
    )


def every_node_is_ready(facts: Facts, target: Offer | None) -> Blocker | None:
    """No node is away."""
    nodes = facts.surroundings.nodes
    if not nodes.not_ready or some_node_is_ready(facts, target):
        return None
    return Blocker(
        "NodesNotReady",
        f"{len(nodes.not_ready)} of {nodes.count} nodes are not ready; what should run there does not.",
        "Look at them: kubectl get nodes",
        Severity.WARNS,
        evidence=tuple(f"Node {each}" for each in nodes.not_ready),
    )


def pods_have_slots(facts: Facts, target: Offer | None) -> Blocker | None:
    """The nodes take more pods than a change brings for a moment."""
    free = facts.surroundings.nodes.free_pods
    if free is None or free > FEWEST_POD_SLOTS or some_node_is_ready(facts, target):
        return None
    return Blocker(
        "NoPodSlots",
        f"The nodes take {free} more pods; a change needs more than {FEWEST_POD_SLOTS}.",
        "Add a node, or remove pods that nobody needs.",
        evidence=(f"{free} of the pods that ready nodes allow are free",),
    )


def kubelets_fit(facts: Facts, _target: Offer | None) -> Blocker | None:
    """No kubelet is newer than the API server, or older than it supports."""
    skewed = _skewed(facts)
    if not skewed:
        return None
    return Blocker(
        "KubeletSkew",
        f"Kubelets do not fit an API server of {facts.kubernetes}: {skewed}.",
        f"Upgrade the nodes; a kubelet may be at most {OLDEST_KUBELET} minors older, and never newer.",
        Severity.WARNS,
        evidence=(skewed, SKEW_POLICY),
    )


def kubelets_will_fit(facts: Facts, _target: Offer | None) -> Blocker | None:
    """Nor will one be, once the API server is upgraded."""
    skewed = _skewed(facts)
    if not skewed:
        return None
    return Blocker(
        "KubeletSkew",
        f"Kubelets will not fit an API server of {facts.kubernetes}: {skewed}.",
        f"Upgrade the nodes first; a kubelet may be at most {OLDEST_KUBELET} minors older.",
        evidence=(skewed, SKEW_POLICY),
    )


def _skewed(facts: Facts) -> str:
    server = minor_number(minor_of(facts.kubernetes))
    if server == (0, 0):
        return ""
    told = []
    for version, count in facts.surroundings.nodes.kubelets.items():
        kubelet = minor_number(minor_of(version))
        behind = server[1] - kubelet[1]
        if kubelet > (0, 0) and (kubelet[0] != server[0] or not 0 <= behind <= OLDEST_KUBELET):
            told.append(f"{count} of {version}")
    return ", ".join(told)


def foreign_apis_answer(facts: Facts, _target: Offer | None) -> Blocker | None:
    """Every aggregated API of others answers; the component's own is part of its health."""
    own = facts.component.found.placement if facts.component else None
    dead = tuple(each for each in facts.surroundings.dead_apis if each.placement is None or each.placement != own)
    if not dead:
        return None
    return Blocker(
        "ApiServiceUnavailable",
        f"{', '.join(each.message for each in dead)}: discovery is slow and namespaces cannot be deleted meanwhile.",
        "Mend or remove what serves it: kubectl get apiservices",
        Severity.WARNS,
        evidence=tuple(f"APIService {each.name}" for each in dead),
    )


def own_api_answers(facts: Facts, _target: Offer | None) -> Blocker | None:
    """The component's own aggregated API answers."""
    own = facts.component.found.placement if facts.component else None
    dead = tuple(each for each in facts.surroundings.dead_apis if own is not None and each.placement == own)
    if not dead or _is_well_since(facts):
        return None
    return Blocker(
        "OwnApiUnavailable",
        f"{', '.join(each.message for each in dead)}.",
        "Mend it first: kubectl describe apiservice " + dead[0].name,
        evidence=tuple(f"APIService {each.name}" for each in dead),
    )


def _is_well_since(facts: Facts) -> bool:
    """Whether the component, its APIs included, was found well after the cluster around it was looked at."""
    component, scanned = facts.component, facts.cluster.scanned_at
    if component is None or component.observed_at is None or scanned is None:
        return False
    return component.found.health is Health.CURRENT and component.observed_at > scanned


def webhooks_answer(facts: Facts, _target: Offer | None) -> Blocker | None:
    """No webhook that nobody answers refuses what a change would write."""
    dead = _in_the_way(facts, is_certain=True)
    if not dead:
        return None
    return Blocker(
        "WebhookUnreachable",
        f"What a change writes would be refused: nobody answers for {_titles(dead)}, and without an answer it refuses.",
        "Bring its Service back, or remove the configuration if what it belonged to is gone.",
        evidence=_seen(dead),
    )


def webhooks_may_answer(facts: Facts, target: Offer | None) -> Blocker | None:
    """Nor one that is asked only under conditions which are not known here."""
    dead = _in_the_way(facts, is_certain=False)
    if not dead or webhooks_answer(facts, target):
        return None
    return Blocker(
        "WebhookMayRefuse",
        f"What a change writes may be refused: nobody answers for {_titles(dead)}, and labels decide whether it is asked.",
        "Bring its Service back, or remove the configuration if what it belonged to is gone.",
        Severity.WARNS,
        evidence=_seen(dead),
    )


def _in_the_way(facts: Facts, *, is_certain: bool) -> tuple[DeadWebhook, ...]:
    if facts.component is not None:
        namespace = facts.component.found.placement.namespace
    else:
        namespace = facts.entry.namespace if facts.entry else ""
    return tuple(
        each
        for each in facts.surroundings.dead_webhooks
        if each.is_certain is is_certain
        and namespace not in each.spared
        and (not each.only or namespace in each.only)
        and any(_is_written(resource) for resource in each.resources)
    )


def _is_written(resource: str) -> bool:
    group, _, name = resource.partition("/")
    return any(group in {"*", known} and (name == "*" or name in names) for known, names in WRITTEN.items())


def _titles(dead: tuple[DeadWebhook, ...]) -> str:
    return ", ".join(each.title for each in dead)


def _seen(dead: tuple[DeadWebhook, ...]) -> tuple[str, ...]:
    return tuple(f"Service {each.service} has no ready endpoint" for each in dead)


def certificates_hold(facts: Facts, _target: Offer | None) -> Blocker | None:
    """No certificate that webhooks or aggregated APIs are trusted by ends soon."""
    now = facts.now
    if now is None or not facts.surroundings.expiring:
        return None
    told = tuple(
        f"{each.title} {'since' if each.at <= now else 'on'} {each.at:%Y-%m-%d}" for each in facts.surroundings.expiring
    )
    words = "have expired or will soon" if len(told) > 1 else "has expired or will soon"
    return Blocker(
        "CertificateExpires",
        f"What API calls are trusted by {words}: {', '.join(told)}.",
        "Renew it (cert-manager, or a new installation of what it belongs to); from then on every call it is about fails.",
        Severity.WARNS,
        evidence=told,
    )


def credentials_hold(facts: Facts, _target: Offer | None) -> Blocker | None:
    """The certificate that the cluster is reached with lasts for a while."""
    end, now = facts.surroundings.credentials_end, facts.now
    if end is None or now is None or end - now > CREDENTIALS_SOON:
        return None
    return Blocker(
        "CredentialsExpire",
        f"The client certificate that the cluster is reached with ends on {end:%Y-%m-%d}.",
        "Make a new kubeconfig and register the cluster with it.",
        Severity.WARNS,
        evidence=(f"not after {end:%Y-%m-%d %H:%M} UTC",),
    )
