"""``lwm2m completion``: the script with which a shell completes lwm2m commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that makes a shell complete commands, flags, formats and object ids.

    \b
    bash, in ~/.bashrc:   eval "$(lwm2m completion bash)"
    zsh, in ~/.zshrc:     eval "$(lwm2m completion zsh)"
    fish:                 lwm2m completion fish > ~/.config/fish/completions/lwm2m.fish
    """
    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(ctx.find_root().command, {}, "lwm2m", "_LWM2M_COMPLETE").source())
