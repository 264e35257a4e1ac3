"""``addonry completion``: the scripts of Click, for the shells it knows."""

import click

from addonry.cli.help import examples


@click.command(
    epilog=examples(
        "addonry completion bash > ~/.local/share/bash-completion/completions/addonry",
        'addonry completion zsh > "${fpath[1]}/_addonry"',
        "addonry completion fish > ~/.config/fish/completions/addonry.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None, "the choice lists shells that Click knows"
    # Click's bash class asks the installed bash for its version and fails without one; the script needs none of that.
    script = kind(ctx.find_root().command, {}, "addonry", "_ADDONRY_COMPLETE")
    click.echo(script.source_template % script.source_vars())
