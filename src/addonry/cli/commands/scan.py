"""``addonry scan``: look at one cluster, without a service and without writing anything."""

import asyncio
import os
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import click

from addonry.cli.errors import Failed, WrongUsage
from addonry.cli.help import examples
from addonry.cli.kubeconfigs import Chosen, read_kubeconfig
from addonry.cli.output import Format, Table, lines_of, output_option, show
from addonry.cli.standing import FailOn, Standing, blockers_of, fail_on_option, judge, standing_of
from addonry.cli.waiver_files import read_waiver_file

if TYPE_CHECKING:
    from addonry.lifecycle.discover import Scan
    from addonry.model.readiness import Waiver

COLUMNS: Final = ("COMPONENT", "VERSION", "OWNER", "NEXT", "NEWEST", "END OF LIFE", "ROLLBACK", "STATE")
WIDE: Final = ("NAMESPACE", "APP VERSION", "HEALTH")
"""What ``-o wide`` puts before the last column."""
_TARGET: Final = re.compile(r"v?1\.\d{1,3}(\.\d{1,3})?")


@click.command(
    epilog=examples(
        "addonry scan",
        "addonry scan --context prod-admin --target 1.37",
        "addonry scan --kubeconfig ./sim-1.kubeconfig -o json",
        "addonry scan --fail-on blocked,eol -o junit > addons.xml",
    )
)
@click.option("--kubeconfig", metavar="FILE", help="The kubeconfig; - reads it from stdin.  [env: KUBECONFIG]")
@click.option("--context", metavar="NAME", help="The context to use; otherwise the current one.")
@click.option("--target", metavar="1.NN", help="Choose versions that fit this Kubernetes instead of the one that runs.")
@click.option("--chart-mirror", metavar="URL", help="One chart repository in place of all that the catalog names.")
@click.option("--catalog", metavar="DIR", help="A directory of component files of your own, over the packaged ones.")
@click.option("--waivers", metavar="FILE", help="Waivers of readiness checks, as YAML: what they are about blocks not.")
@output_option(Format.WIDE, Format.SARIF, Format.JUNIT)
@fail_on_option
@click.pass_context
def scan(
    ctx: click.Context,
    kubeconfig: str | None,
    context: str | None,
    target: str | None,
    chart_mirror: str | None,
    catalog: str | None,
    waivers: str | None,
    output: Format,
    fail_on: tuple[FailOn, ...],
) -> None:
    """Look at a cluster: what runs, what fits, what blocks. Writes nothing, and needs no service.

    NEXT is the newest version that fits the cluster's Kubernetes, or the one of --target, and NEWEST the newest of all
    where that is another. STATE is READY (it can be upgraded now), UP TO DATE, BEHIND (what is newer does not fit), UNKNOWN (no catalog knows
    its versions), or
    BLOCKED with the first reason; reasons and remedies stand below the table. ROLLBACK says whether a change that fails
    can be taken back. json and yaml have each component as the API tells it; sarif and junit are for pipelines.

    Exits with 0 when the cluster was looked at, 1 when it was not or --fail-on is met, 2 on wrong usage.
    """
    if target and not _TARGET.fullmatch(target):
        raise WrongUsage(f"--target {target!r} is no Kubernetes version; give one like 1.37.", ctx=ctx)
    chosen = read_kubeconfig(kubeconfig, context)
    own = Path(catalog).expanduser() if catalog else None
    waived = read_waiver_file(waivers) if waivers else ()
    seen, problems = asyncio.run(_look(chosen, target or "", chart_mirror, own, waived))
    told = _told(seen, problems, target or "")
    if output is Format.SARIF:
        from addonry.cli.reports.sarif import sarif

        show(sarif(told), Format.JSON, lambda: table_of(told))
    elif output is Format.JUNIT:
        from addonry.cli.reports.junit import junit

        click.echo(junit(told), nl=False)
    else:
        show(told, output, lambda: table_of(told, wide=output is Format.WIDE))
    judge(told["components"], fail_on)


async def _look(
    chosen: Chosen, target: str, mirror: str | None, directory: Path | None, waivers: "tuple[Waiver, ...]"
) -> "tuple[Scan, dict[str, str]]":
    from datetime import UTC, datetime

    from addonry.app import catalog_settings, kube_settings
    from addonry.catalogs import MemoryShelf, open_catalog
    from addonry.kube import open_cluster
    from addonry.lifecycle.discover import scan_once
    from addonry.model.errors import ClusterRefused
    from addonry.settings import load_settings

    settings = load_settings(os.environ, chart_mirror=mirror, catalog_directory=directory)
    # What little must be a file for a moment goes to a temporary folder.
    with TemporaryDirectory(prefix="addonry-") as folder:
        live = open_cluster(chosen.text(), kube_settings(settings, Path(folder), may_run_plugins=True))
        catalog = open_catalog(catalog_settings(settings, None), MemoryShelf(), now=lambda: datetime.now(UTC))
        try:
            seen = await scan_once(live, catalog, name=chosen.context, kubernetes=_whole(target), waivers=waivers)
            return seen, dict(catalog.problems())
        except ClusterRefused as error:
            # Nothing is registered here, so nothing can be registered again.
            raise Failed(error.message, remedy=f"Check the user of context {chosen.context} with kubectl.") from error
        finally:
            await live.close()
            await catalog.close()


def _whole(target: str) -> str:
    """``1.37`` as the version ``v1.37.0``."""
    if not target:
        return ""
    bare = target.removeprefix("v")
    return f"v{bare}" if bare.count(".") == 2 else f"v{bare}.0"


def _told(seen: "Scan", problems: dict[str, str], target: str) -> dict[str, Any]:
    from addonry.gateway.component import component_shape
    from addonry.gateway.findings import finding_shape

    return {
        "kubernetes": seen.inventory.kubernetes,
        "target": target,
        "nodes": seen.inventory.nodes,
        "denied": list(seen.inventory.denied),
        "namespace": seen.inventory.namespace,
        "others": seen.others,
        "catalog_problems": problems,
        "findings": [finding_shape(each) for each in seen.findings],
        # With the members that the API's ListClusterComponents gives each, by the same encoder.
        "components": [component_shape(status) for status in seen.components],
    }


def table_of(told: Mapping[str, Any], *, wide: bool = False) -> Table:
    """The scan's data as a table."""
    from addonry.rules.denied import hidden_by

    components = told["components"]
    rows = [_row(each, wide=wide) for each in components]
    # What is wrong with a repository is told once, below, and not for each component in it.
    told_once = {"NotChecked", *({"CatalogUnavailable"} if told["catalog_problems"] else ())}
    notes = lines_of(
        (each["name"], one) for each in components for one in each["findings"] if one["id"] not in told_once
    )
    notes += lines_of(("the cluster", one) for one in told["findings"])
    notes += [f"  {trouble}" for trouble in told["catalog_problems"].values()]
    if told["catalog_problems"]:
        notes.append("  Newer versions there are unknown until that works; --chart-mirror names another repository.")
    elsewhere = f" outside namespace {told['namespace']}" if told["namespace"] else ""
    notes += [f"  Not allowed to list {what}{elsewhere}. Not seen: {hidden_by(what)}." for what in told["denied"]]
    others = told["others"]
    aside = f" and {others} other workload{'s' if others != 1 else ''}" if others else ""
    head = f"Kubernetes {told['kubernetes']}, {told['nodes']} nodes, {len(rows)} components{aside}"
    columns = (*COLUMNS[:-1], *WIDE, COLUMNS[-1]) if wide else COLUMNS
    return Table(columns, rows, (head, *notes), empty="Nothing was found that Addonry could look after.")


def _row(component: Mapping[str, Any], *, wide: bool) -> tuple[str, ...]:
    standing = standing_of(component)
    current = component["version"] if standing is Standing.UP_TO_DATE else ""
    following = component["target"] or current
    more = (component["namespace"], component["app_version"], component["health"]) if wide else ()
    return (
        component["name"],
        component["version"],
        component["owner"],
        following,
        component["newest"] if component["newest"] != following else "",
        (component["end_of_life"] or {}).get("day", ""),
        _ROLLBACK[component["can_roll_back"]],
        *more,
        " ".join([standing, *blockers_of(component)[:1]]),
    )


_ROLLBACK: Final[Mapping[bool | None, str]] = {True: "yes", False: "no", None: ""}
