"""``addonry catalog import-ranges``: what others publish of compatibility, as component files of one's own."""

import os
from pathlib import Path
from typing import Final

import click

from addonry.cli.help import examples
from addonry.cli.output import Format, Table, output_option, show

FORMS: Final = ("eks", "gonogo", "plural")
"""As ``addonry.catalogs.RANGE_FORMS``, which costs an import; a test compares."""


@click.command(
    name="import-ranges",
    epilog=examples(
        "aws eks describe-addon-versions > addons.json\naddonry catalog import-ranges --from eks addons.json --out components",
        "addonry catalog import-ranges --from plural cert-manager.yaml --out components",
    ),
)
@click.argument("file")
@click.option("--from", "form", type=click.Choice(FORMS), required=True, help="What the file is.")
@click.option("--out", metavar="DIR", required=True, help="Where the component files go; made if it is not there.")
@click.option("--evidence", metavar="URL", help="The page to name as evidence, in place of the form's own.")
@output_option()
def import_ranges(file: str, form: str, out: str, evidence: str | None, output: Format) -> None:
    """Read what others publish of which version goes with which Kubernetes, and write component files.

    eks is the output of `aws eks describe-addon-versions`, plural a file of Plural's compatibility tables, gonogo a
    bundle of GoNoGo. Components that the catalog knows are extended. Lists say what was tested and are taken so: outside
    of them is a warning. Use the files with --catalog DIR or `addonry catalog add`.
    """
    from addonry.app import catalog_settings
    from addonry.catalogs import import_ranges as read
    from addonry.settings import load_settings

    settings = catalog_settings(load_settings(os.environ), None)
    told = read(settings, form, Path(file).expanduser(), Path(out).expanduser(), evidence=evidence or "")
    data = {
        "files": [{"file": str(path), "ranges": ranges} for path, ranges in told.files.items()],
        "notes": list(told.notes),
    }
    rows = [(str(path), str(ranges)) for path, ranges in told.files.items()]
    notes = tuple(f"  {note}" for note in told.notes)
    show(data, output, lambda: Table(("FILE", "RANGES"), rows, notes, empty="Nothing was found to take."))
