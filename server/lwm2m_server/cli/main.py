"""The command group; a subcommand's module is imported when it is used, not before."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from lwm2m_engine.errors import LwM2MError
from lwm2m_server.cli.exits import Exit, Misuse
from lwm2m_server.collector import paused

_OPERATIONS = "lwm2m_server.cli.operations"

SECTIONS = {
    "Server": {
        "demo": ("lwm2m_server.cli.demo:demo", "A server with simulated devices, to look around."),
        "serve": ("lwm2m_server.cli.serve:serve", "Run the Device-to-Cloud server."),
        "clients": ("lwm2m_server.cli.clients:clients", "Programs that may call the HTTP API."),
        "tenants": ("lwm2m_server.cli.tenants:tenants", "Organizations that share a server."),
        "audit": ("lwm2m_server.cli.audit:audit", "Who changed what."),
        "config": ("lwm2m_server.cli.config:config", "Show every setting and where it came from."),
        "backup": ("lwm2m_server.cli.backup:backup", "The data of a server in one file, while it runs."),
        "doctor": ("lwm2m_server.cli.doctor:doctor", "Try what a server with these settings needs."),
        "simulate": ("lwm2m_server.cli.simulate:simulate", "Simulated devices for a server under test."),
        "image": ("lwm2m_server.cli.image:image", "Something to update simulated devices to."),
        "bench": ("lwm2m_server.cli.bench:bench", "Measure the server under load; needs a checkout."),
    },
    "Devices of a running server": {
        "devices": ("lwm2m_server.cli.devices:devices", "List, show, add, import and remove devices."),
        "onboard": ("lwm2m_server.cli.onboard:onboard", "Let many devices in, from a CSV file."),
        "profiles": ("lwm2m_server.cli.profiles:profiles", "What is done with devices of a kind."),
        "enrolments": ("lwm2m_server.cli.enrolments:enrolments", "Devices nobody added: which may come."),
        "credentials": ("lwm2m_server.cli.credentials:credentials", "What devices prove themselves with."),
        "bootstrap": ("lwm2m_server.cli.bootstrap:bootstrap", "What devices get when they bootstrap."),
        "desired": ("lwm2m_server.cli.desired:desired", "What Resources shall be, and how far that is."),
        "rpc": ("lwm2m_server.cli.rpc:rpc", "Ask a device something by method; see what came of it."),
        "queue": ("lwm2m_server.cli.queue:queue", "What waits for a device; take a message back."),
        "telemetry": ("lwm2m_server.cli.telemetry:telemetry", "What a device told: last values, histories."),
        "trace": ("lwm2m_server.cli.trace:trace", "What is said with a device, message by message."),
        "packages": ("lwm2m_server.cli.packages:packages", "Firmware and software for devices."),
        "updates": ("lwm2m_server.cli.updates:updates", "Packages on their way to single devices."),
        "campaigns": ("lwm2m_server.cli.campaigns:campaigns", "Packages for many devices, wave by wave."),
        "deliveries": (
            "lwm2m_server.cli.deliveries:deliveries",
            "How notifications get to applications; replay those that did not.",
        ),
        "problems": ("lwm2m_server.cli.problems:problems", "What goes wrong, in one place."),
        "events": ("lwm2m_server.cli.events:events", "What happened to devices, and what happens."),
        "send": ("lwm2m_server.cli.send:send", "Send a message to a device and print its answer."),
        "read": (f"{_OPERATIONS}:read", "Read values."),
        "write": (f"{_OPERATIONS}:write", "Write a value or an Object Instance."),
        "execute": (f"{_OPERATIONS}:execute", "Execute a Resource."),
        "create": (f"{_OPERATIONS}:create", "Create an Object Instance."),
        "delete": (f"{_OPERATIONS}:delete", "Delete an Object Instance or a Resource Instance."),
        "discover": (f"{_OPERATIONS}:discover", "List what a device has, with its attributes."),
        "write-attributes": (f"{_OPERATIONS}:write_attributes", "Set or remove attributes."),
        "observe": (f"{_OPERATIONS}:observe", "Observe a path."),
        "cancel": (f"{_OPERATIONS}:cancel", "End an observation."),
        "read-composite": (f"{_OPERATIONS}:read_composite", "Read several paths at once."),
        "write-composite": (f"{_OPERATIONS}:write_composite", "Write several paths at once."),
        "observe-composite": (f"{_OPERATIONS}:observe_composite", "Observe several paths as one."),
    },
    "Without a server": {
        "decode": ("lwm2m_server.cli.codecs:decode", "Decode a payload."),
        "encode": ("lwm2m_server.cli.codecs:encode", "Encode values."),
        "convert": ("lwm2m_server.cli.codecs:convert", "Write a payload in another format."),
        "models": ("lwm2m_server.cli.models:models", "Object definitions: list, show, check, upload."),
        "plugins": ("lwm2m_server.cli.plugins:plugins", "Plugins: list, check, start a new one."),
        "completion": ("lwm2m_server.cli.completion:completion", "Print the completion script of a shell."),
    },
}
"""Where each command is, and its summary, as the help groups them."""

COMMANDS = {name: where for section in SECTIONS.values() for name, where in section.items()}


class LazyGroup(click.Group):
    """A group that knows its commands' names and summaries without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        # A fifth of the time that imports take.
        with paused():
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
        width = max(map(len, COMMANDS))
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), summary) for name, (_, summary) in commands.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """What goes wrong on purpose is a sentence on standard error and an exit code."""
        try:
            return super().invoke(ctx)
        except LwM2MError as error:
            misuse = getattr(error, "exit_code", None) is Exit.MISUSE
            raise (Misuse if misuse else click.ClickException)(str(error)) from error
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
