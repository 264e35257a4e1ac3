"""Check the values against the chart's schema and render its templates, without the cluster's objects being touched."""

import asyncio

from addonry.lifecycle.steps.common import cluster_of, target_of
from addonry.lifecycle.world import World
from addonry.model.components import SourceKind
from addonry.model.errors import ValuesInvalid
from addonry.model.tasks import Done, Outcome, Task
from addonry.rules.values import coalesce, schema_errors


async def run(task: Task, world: World) -> Outcome:
    """Done when the target renders with the values it will have."""
    change = task.change
    live = await cluster_of(task, world)
    target = await target_of(task, world)
    if change.placement.source is SourceKind.HELM:
        contents = await world.catalog.read_chart(target.archive)
        values = target.values
        if values is None:
            found = await live.find(change.placement)
            values = (found.values if found else None) or {}
        problems = await asyncio.to_thread(schema_errors, coalesce(contents.values, values), contents.schema)
        if problems:
            raise ValuesInvalid(problems)
    manifest = await live.render(change.placement, target)
    return Done(f"{len(manifest.encode())} bytes of manifests")
