"""All statements, built once. The same ones run on SQLite and PostgreSQL."""

from typing import Final

from sqlalchemy import bindparam, case, delete, func, insert, or_, select, true, update

from addonry.model.tasks import LIVE, Status, TaskKind
from addonry.store import tables as t

_LIVE: Final = sorted(LIVE)
_AT_WORK: Final = sorted(LIVE - {Status.PAUSED})
"""What a worker may claim; a paused task waits for a person."""

# Meta

META: Final = select(t.meta.c.sealed).where(t.meta.c.name == bindparam("which"))
ADD_META: Final = insert(t.meta)

# Clusters

_CLUSTER: Final = select(
    *(column for column in t.cluster.c if column.name not in {"surroundings", "kubeconfig_sealed"})
)
CLUSTERS: Final = _CLUSTER.order_by(t.cluster.c.name)
CLUSTER: Final = _CLUSTER.where(t.cluster.c.id == bindparam("which"))
KUBECONFIG: Final = select(t.cluster.c.kubeconfig_sealed).where(t.cluster.c.id == bindparam("which"))
SURROUNDINGS: Final = select(t.cluster.c.surroundings).where(t.cluster.c.id == bindparam("which"))
GENERATION: Final = select(t.cluster.c.generation).where(t.cluster.c.id == bindparam("which"))
ADD_CLUSTER: Final = insert(t.cluster)
SAVE_CLUSTER: Final = (
    update(t.cluster)
    .where(t.cluster.c.id == bindparam("which"))
    .values(
        {
            each: bindparam(each)
            for each in (
                "server",
                "updated_at",
                "kubernetes",
                "nodes",
                "reach",
                "trouble",
                "scanned_at",
            )
        }
    )
)
RENAME_CLUSTER: Final = (
    update(t.cluster)
    .where(t.cluster.c.id == bindparam("which"))
    .values(name=bindparam("new_name"), updated_at=bindparam("moment", type_=t.Moment))
)
"""Apart from what scans write, which know the name from before they began."""
SAVE_SURROUNDINGS: Final = (
    update(t.cluster).where(t.cluster.c.id == bindparam("which")).values(surroundings=bindparam("surroundings"))
)
RAISE_GENERATION: Final = (
    update(t.cluster).where(t.cluster.c.id == bindparam("which")).values(generation=t.cluster.c.generation + 1)
)
"""Also locks the cluster's row, so that writes about one cluster follow one another on PostgreSQL too."""
REMOVE_CLUSTER: Final = delete(t.cluster).where(t.cluster.c.id == bindparam("which"))

# Components

COMPONENTS: Final = select(t.component).where(t.component.c.cluster == bindparam("which")).order_by(t.component.c.name)
SEEN_LATER: Final = select(t.component.c.name).where(
    t.component.c.cluster == bindparam("which"), t.component.c.observed_at > bindparam("scan")
)
GOING: Final = select(t.change.c.component).where(
    t.change.c.cluster == bindparam("which"),
    t.change.c.kind == TaskKind.UNINSTALL,
    or_(t.change.c.finished_at.is_(None), t.change.c.finished_at >= bindparam("scan")),
)
"""Components whose uninstall had not ended when a scan began: what that saw of them may be gone since."""
DROP_COMPONENTS: Final = delete(t.component).where(
    t.component.c.cluster == bindparam("which"), t.component.c.name.not_in(bindparam("kept", expanding=True))
)
DROP_COMPONENT: Final = delete(t.component).where(
    t.component.c.cluster == bindparam("which"), t.component.c.name == bindparam("component")
)
ADD_COMPONENT: Final = insert(t.component)

# Tasks

_NEWEST: Final = t.task.c.number.desc()
TASK: Final = select(t.task).where(t.task.c.id == bindparam("which"))
CLAIMED_TASK: Final = TASK.where(t.task.c.claim == bindparam("of_claim"))
TASKS: Final = select(t.task).order_by(_NEWEST)
COUNT_TASKS: Final = select(func.count()).select_from(t.task)
CHANGES: Final = (
    select(t.change)
    .where(t.change.c.task.in_(bindparam("tasks", expanding=True)))
    .order_by(t.change.c.task, t.change.c.place)
)
TASKS_BY_NUMBER: Final = select(t.task).where(t.task.c.number.in_(bindparam("tasks", expanding=True)))
LAST_CHANGES: Final = (
    select(t.change.c.component, func.max(t.change.c.task).label("task"))
    .where(t.change.c.cluster == bindparam("which"))
    .group_by(t.change.c.component)
)
UNFINISHED: Final = (
    select(t.task.c.id, t.task.c.run, t.task.c.cluster).where(t.task.c.status.in_(_AT_WORK)).order_by(t.task.c.number)
)
LIVE_ON_CLUSTER: Final = (
    select(t.change.c.component, t.task.c.id)
    .join_from(t.change, t.task, t.change.c.task == t.task.c.number)
    .where(t.change.c.cluster == bindparam("which"), t.change.c.status.in_(_LIVE))
    .order_by(t.change.c.task, t.change.c.place)
)
ADD_TASK: Final = insert(t.task)
ADD_CHANGE: Final = insert(t.change)
CLAIM: Final = (
    update(t.task)
    .where(t.task.c.id == bindparam("which"), t.task.c.run == bindparam("of_run"), t.task.c.status.in_(_AT_WORK))
    .values(
        # A claim that still stands on a running task belongs to a worker that died; its own token asked again does not.
        crashes=t.task.c.crashes
        + case(((t.task.c.status == Status.RUNNING) & (t.task.c.claim != bindparam("new_claim")), 1), else_=0),
        claim=bindparam("new_claim"),
        revision=t.task.c.revision + 1,
    )
)
RELEASE: Final = (
    update(t.task)
    .where(t.task.c.id == bindparam("which"), t.task.c.claim == bindparam("of_claim"))
    .values(claim=None, revision=t.task.c.revision + 1)
)
_MOVING: Final = ("status", "current", "crashes", "wish", "canceled", "updated_at", "finished_at")
MOVE_TASK: Final = (
    update(t.task)
    .where(t.task.c.id == bindparam("which"), t.task.c.revision == bindparam("read"))
    .values(
        {
            **{each: bindparam(each) for each in _MOVING},
            "run": bindparam("new_run"),
            "revision": t.task.c.revision + 1,
        }
    )
)
"""By whoever read it last. The claim stays: it is worth nothing once the task is paused, ended or in another run."""
SAVE_TASK: Final = (
    update(t.task)
    .where(
        t.task.c.id == bindparam("which"),
        t.task.c.claim == bindparam("of_claim"),
        t.task.c.revision == bindparam("read"),
    )
    .values({**{each: bindparam(each) for each in _MOVING}, "revision": t.task.c.revision + 1})
)
WISHES: Final = select(t.task.c.id, t.task.c.wish).where(
    t.task.c.id.in_(bindparam("tasks", expanding=True)), t.task.c.wish.is_not(None)
)
SAVE_CHANGE: Final = (
    update(t.change)
    .where(
        t.change.c.task == select(t.task.c.number).where(t.task.c.id == bindparam("which")).scalar_subquery(),
        t.change.c.place == bindparam("at_place"),
    )
    .values(
        {
            each: bindparam(each)
            for each in (
                "plan",
                "position",
                "status",
                "snapshot",
                "remarks",
                "trouble",
                "percent",
                "note",
                "stall",
                "started_at",
                "finished_at",
            )
        }
    )
)
REQUEUE: Final = (
    update(t.task)
    .where(t.task.c.id == bindparam("which"), t.task.c.run == bindparam("of_run"), t.task.c.status.in_(_AT_WORK))
    .values(run=t.task.c.run + 1, revision=t.task.c.revision + 1)
)

# Steps

_TASK_NUMBER: Final = select(t.task.c.number).where(t.task.c.id == bindparam("which")).scalar_subquery()
STEPS: Final = select(t.step).where(t.step.c.task == _TASK_NUMBER).order_by(t.step.c.number)
SAVE_STEP: Final = (
    update(t.step)
    .where(
        t.step.c.task == _TASK_NUMBER,
        t.step.c.component == bindparam("of_component"),
        t.step.c.step == bindparam("of_step"),
        t.step.c.finished_at.is_(None),
    )
    .values(finished_at=bindparam("finished_at"), ok=bindparam("ok"), message=bindparam("message"))
)
ADD_STEP: Final = insert(t.step).values(task=_TASK_NUMBER)

NEWEST_SUCCESSES: Final = (
    select(t.change.c.task)
    .where(t.change.c.component == bindparam("of_component"), t.change.c.status == Status.SUCCESS)
    .order_by(t.change.c.task.desc())
    .limit(20)
)
STEP_TIMES: Final = select(t.step.c.step, t.step.c.started_at, t.step.c.finished_at).where(
    t.step.c.component == bindparam("of_component"),
    t.step.c.ok.is_(true()),
    t.step.c.finished_at.is_not(None),
    t.step.c.task.in_(NEWEST_SUCCESSES.scalar_subquery()),
)

# Events

EVENTS: Final = select(t.event).order_by(t.event.c.number.desc())
COUNT_EVENTS: Final = select(func.count()).select_from(t.event)
ADD_EVENT: Final = insert(t.event)

# Chart repositories

CHART_INDEX: Final = select(t.chart_index).where(t.chart_index.c.repository == bindparam("which"))
DROP_CHART_INDEX: Final = delete(t.chart_index).where(t.chart_index.c.repository == bindparam("which"))
ADD_CHART_INDEX: Final = insert(t.chart_index)
