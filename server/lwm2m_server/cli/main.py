"""The command group; a subcommand's module is imported when it is used, not before."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from lwm2m_engine.errors import LwM2MError

COMMANDS = {
    "demo": ("lwm2m_server.cli.demo:demo", "A server with simulated devices, to look around."),
    "serve": ("lwm2m_server.cli.serve:serve", "Run the Device-to-Cloud server."),
    "devices": ("lwm2m_server.cli.devices:devices", "List, show, add and remove devices."),
    "send": ("lwm2m_server.cli.send:send", "Send a message to a device and print its answer."),
    "simulate": ("lwm2m_server.cli.simulate:simulate", "Simulated devices for a server under test."),
    "decode": ("lwm2m_server.cli.codecs:decode", "Decode a payload; needs no server."),
    "encode": ("lwm2m_server.cli.codecs:encode", "Encode values; needs no server."),
    "convert": ("lwm2m_server.cli.codecs:convert", "Write a payload in another format; needs no server."),
    "models": ("lwm2m_server.cli.models:models", "Object definitions: list, show, check, normalize."),
    "plugins": ("lwm2m_server.cli.plugins:plugins", "Plugins: list, check, start a new one."),
    "completion": ("lwm2m_server.cli.completion:completion", "Print the completion script of a shell."),
    "config": ("lwm2m_server.cli.config:config", "Show every setting and where it came from."),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and summaries without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names of commands from the table; click would import every one of them."""
        if incomplete[:1] == "-":
            return super(click.Group, self).shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=summary)
            for name, (_, summary) in COMMANDS.items()
            if name.startswith(incomplete)
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """What goes wrong on purpose is a sentence on standard error and exit code 1."""
        try:
            return super().invoke(ctx)
        except LwM2MError as error:
            raise click.ClickException(str(error)) from error
        except ExceptionGroup as group:
            faults, rest = group.split(LwM2MError)
            if faults is None or rest is not None:
                raise
            raise click.ClickException("\n".join(str(fault) for fault in _flat(faults))) from group


def _flat(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _flat(error)
        else:
            yield error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lwm2m-engine", prog_name="lwm2m")
def lwm2m() -> None:
    """LwM2M: object models, payloads, and a server that takes devices to the cloud."""


def main() -> NoReturn:
    """Run the command line; ends the process with its exit code."""
    lwm2m.main(prog_name="lwm2m")
