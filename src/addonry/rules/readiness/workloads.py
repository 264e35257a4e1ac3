"""The workloads of a component: what a change does to their pods, and what else acts on them."""

from collections.abc import Iterable

from addonry.model.catalog import Offer
from addonry.model.components import Found
from addonry.model.readiness import Blocker, Facts, Severity
from addonry.model.surroundings import Room, WorkloadNote


def workloads_of(facts: Facts) -> tuple[WorkloadNote, ...]:
    """Those that are the component's, as the last scan saw them."""
    placement = facts.component.found.placement if facts.component else None
    return tuple(each for each in facts.surroundings.workloads if each.placement == placement)


def has_room_to_surge(facts: Facts, _target: Offer | None) -> Blocker | None:
    """Where a new pod must run before an old one goes, some node has room for it."""
    rooms = facts.surroundings.nodes.rooms
    if rooms is None:
        return None
    cramped = [
        each
        for each in workloads_of(facts)
        if each.needs_room and not each.is_pinned and not any(_takes(room, each) for room in rooms)
    ]
    if not cramped:
        return None
    return Blocker(
        "NoRoomToSurge",
        f"No node has room for one more pod of {_titles(cramped)}, and a rollout makes one before it takes one away.",
        "Add a node, lower its requests, or let its rollout take a pod away first (maxUnavailable).",
        Severity.WARNS,
        evidence=tuple(f"{each.title} asks for {_amount(each.cpu, each.memory)}" for each in cramped),
    )


def _takes(room: Room, workload: WorkloadNote) -> bool:
    fits = room.cpu >= workload.cpu and room.memory >= workload.memory
    return fits and ("*" in workload.tolerates or set(room.taints) <= set(workload.tolerates))


def _amount(cpu: int, memory: int) -> str:
    return f"{cpu / 1000:g} CPU and {memory / 2**20:.0f} MiB"


def stays_up(facts: Facts, _target: Offer | None) -> Blocker | None:
    """A change never leaves the component without a pod."""
    down = [each for each in workloads_of(facts) if each.goes_down]
    if not down:
        return None
    return Blocker(
        "Interruption",
        f"A change takes every pod of {_titles(down)} away before a new one is ready.",
        "Give it more replicas, or a rollout that makes new pods first, if nobody may notice.",
        Severity.WARNS,
        evidence=tuple(f"replicas of {each.title}: {each.replicas}" for each in down),
    )


def is_probed(facts: Facts, _target: Offer | None) -> Blocker | None:
    """Its pods say when they are ready; else a rollout takes every pod that runs for one that works."""
    silent = [each for each in workloads_of(facts) if each.unprobed]
    if not silent:
        return None
    return Blocker(
        "NoReadinessProbe",
        f"A rollout of {_titles(silent)} cannot tell whether it works: no readiness probe.",
        "Switch the chart's readiness probe on, or look at it yourself after the change.",
        Severity.WARNS,
        evidence=tuple(f"{each.title}, container {name}" for each in silent for name in each.unprobed),
    )


def is_not_scaled(facts: Facts, _target: Offer | None) -> Blocker | None:
    """Nothing else changes its number or size of pods meanwhile."""
    scaled = [each for each in workloads_of(facts) if each.scalers]
    if not scaled:
        return None
    return Blocker(
        "Autoscaled",
        f"{', '.join(name for each in scaled for name in each.scalers)} may change {_titles(scaled)} during a rollout.",
        "Leave replicas out of its values, so that a change does not undo what the autoscaler has set.",
        Severity.WARNS,
        evidence=tuple(f"{name} -> {each.title}" for each in scaled for name in each.scalers),
    )


def balancers_have_addresses(facts: Facts, _target: Offer | None) -> Blocker | None:
    """Its Services of type LoadBalancer have one."""
    pending = [each for each in workloads_of(facts) if each.pending_balancers]
    if not pending:
        return None
    names = tuple(f"{each.namespace}/{name}" for each in pending for name in each.pending_balancers)
    return Blocker(
        "LoadBalancerPending",
        f"Service {', '.join(names)} of type LoadBalancer has no address.",
        "Look at its events: kubectl describe service; without anything that gives addresses, use another type.",
        Severity.WARNS,
        evidence=tuple(f"Service {name}" for name in names),
    )


def budgets_allow_a_drain(facts: Facts, _target: Offer | None) -> Blocker | None:
    """A pod of it may be evicted. A rollout asks no budget; a drain of its node does."""
    held = [each for each in workloads_of(facts) if any(budget.allowed < 1 for budget in each.budgets)]
    if not held:
        return None
    return Blocker(
        "BudgetExhausted",
        f"No pod of {_titles(held)} may be evicted now: a drain of its node would wait without end.",
        "Give it more replicas than its PodDisruptionBudget wants, or a budget that allows one to go.",
        evidence=tuple(
            f"PodDisruptionBudget {each.namespace}/{budget.name} allows {budget.allowed}"
            for each in held
            for budget in each.budgets
            if budget.allowed < 1
        ),
    )


def outlives_a_drain(facts: Facts, _target: Offer | None) -> Blocker | None:
    """Its pods are several, and something keeps them on different nodes."""
    single = [each for each in workloads_of(facts) if each.kind == "Deployment" and each.replicas == 1]
    together = [
        each for each in workloads_of(facts) if each.kind == "Deployment" and each.replicas > 1 and not each.is_spread
    ]
    if not (single or together):
        return None
    return Blocker(
        "NotSpread",
        f"A drain of one node may take all of {_titles([*single, *together])} away.",
        "Give it two replicas or more, and spread them over nodes.",
        Severity.WARNS,
        evidence=(
            *(f"replicas of {each.title}: 1" for each in single),
            *(f"{each.title} is not spread" for each in together),
        ),
    )


def fields_are_its_own(facts: Facts, _target: Offer | None) -> Blocker | None:
    """Nobody but its owner has set fields of its workloads."""
    edited = [each for each in workloads_of(facts) if each.editors]
    if not edited or facts.component is None:
        return None
    return Blocker(
        "FieldsOfOthers",
        f"Somebody has edited {_titles(edited)}: a change {_loses(facts.component.found)}.",
        f"See which before: addonry plan {facts.cluster.name} {facts.name}; put what must stay into its values.",
        Severity.WARNS,
        evidence=tuple(f"{each.title}, {editor}" for each in edited for editor in each.editors),
    )


def _loses(found: Found) -> str:
    if found.applied == "ssa":
        return "takes those fields that the chart sets too, unless it is asked to preserve them"
    return "overwrites without a word what the chart sets anew, for its release is applied the way Helm 3 does it"


def _titles(workloads: Iterable[WorkloadNote]) -> str:
    return ", ".join(each.title for each in workloads)
