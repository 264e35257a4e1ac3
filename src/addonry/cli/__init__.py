"""The command line: a client of Addonry's own HTTP API, and what starts servers.

``main`` is the entry point of ``addonry``, ``kubectl-addonry`` and ``python -m addonry``. To add a command: a module in
``cli/commands`` with a Click command of the same name, and its row in ``cli.root.COMMANDS``; then regenerate
``docs/reference/commands.md`` with ``python -m addonry.cli.reference``.

One rule: modules here import nothing heavy at their top (no aiohttp, Rich, Starlette, SQLAlchemy, DBOS, Helm), so that
``addonry --help`` stays quick; a command imports what it needs when it runs. A test compares.
"""


def main() -> None:
    """Run the command that the process was started with, and exit with its status."""
    import sys

    from addonry.cli.root import addonry

    # Click would call it by the file that was started: `python -m addonry`, or the plugin's `kubectl-addonry`.
    is_plugin = sys.argv[0].endswith("kubectl-addonry")
    addonry(prog_name="kubectl addonry" if is_plugin else "addonry", complete_var="_ADDONRY_COMPLETE")
