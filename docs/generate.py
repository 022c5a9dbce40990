"""Writes the reference pages that can be read off the program: ``python docs/generate.py [FOLDER]``.

A test compares the pages with what this would write.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from device_api import device_api_page
from http_api import http_api_page
from mappings import mappings_page
from onem2m_types import onem2m_page
from profile_page import profiles_page
from typed_settings.cls_utils import deep_options

from lwm2m_engine.attributes import ATTRIBUTES
from lwm2m_server import settings
from lwm2m_server.cli.demo import PRESETS
from lwm2m_server.cli.exits import Exit
from lwm2m_server.cli.main import lwm2m

REFERENCE = Path(__file__).parent / "reference"
WIDTH = 96

CLI_HEAD = """\
# Command line

The command is `lwm2m`. Results go to standard output, everything else to standard error. Client commands ask
the server at `--url`; those that send a message to a device wait for its answer, as long as `--wait` says.

| exit code | meaning |
|---|---|
{exits}
With `--json` a result is what the HTTP API has; the exit code is the same.
"""

SETTINGS_HEAD = """\
# Settings

Read from `lwm2m.toml` (in the working directory, or `--config FILE`), then from environment variables, then
from flags; later wins. A dotted name is a table: `devices.unknown` is `unknown` below `[devices]`. Its
variable is the name in capitals with `LWM2M_` before it and `_` for the dot, `LWM2M_DEVICES_UNKNOWN`; lists
are separated by commas. A misspelt name, in the file or in the environment, stops the command with the place
and the nearest name.

`lwm2m config show` prints each value and where it came from.

| setting | default | meaning |
|---|---|---|
"""

SETTINGS_FOOT = """
`lwm2m demo` starts from other defaults: {presets}, and `data` is a temporary folder. A settings file is read
only when one is named.
"""

ATTRIBUTES_HEAD = """\
# Attributes

Attributes are name and value behind a path, as in `PUT /3/0/9?pmin=10&pmax=60` or `</3/0/9>;pmin=10`
(LwM2M Core, 7.3). What they are for, what is inherited and how requests are checked: [Ranges, validation and
attributes](../explanation/ranges-and-validation.md).

| attribute | since | on | value | for Resources of type | meaning |
|---|---|---|---|---|---|
"""

ATTRIBUTES_FOOT = """
The first ten are of class Notification: a server writes them with Write-Attributes or in an Observe, and a
name without value removes one. The others are of class Properties: only the device tells them, in the links
of a Discover, a Register or a Bootstrap-Discover, always with a value.

A set is refused when `pmin` is above `pmax`, `epmin` above `epmax`, `lt` not below `gt`, or `lt` plus twice
`st` not below `gt`. `depth` (0 to 3, LwM2M 1.2) is no attribute but a parameter of Discover.
"""

ATTRIBUTE_MEANINGS = {
    "pmin": "at least so long between two notifications",
    "pmax": "at most so long between two notifications, changed or not",
    "epmin": "at least so long between two looks at the value",
    "epmax": "at most so long between two looks at the value",
    "lt": "notify when the value falls below or rises above this",
    "gt": "notify when the value rises above or falls below this",
    "st": "notify when the value differs this much from the last one notified",
    "edge": "notify only when the value becomes false (0) or true (1)",
    "con": "notifications are confirmable (1) or need not be (0)",
    "hqmax": "how many values the device keeps while it cannot notify",
    "dim": "how many Resource Instances there are",
    "ver": "version of the Object",
    "lwm2m": "version of the enabler",
    "ssid": "the server that a Security, Server or OSCORE instance is for",
    "uri": "address of the server that a Security or OSCORE instance is for",
}


def cli_page() -> str:
    """Every command with its help text."""
    exits = "".join(f"| {code:d} | {code.meaning} |\n" for code in Exit)
    parts = [CLI_HEAD.format(exits=exits)]
    top = click.Context(
        lwm2m, info_name="lwm2m", max_content_width=WIDTH, terminal_width=WIDTH, **lwm2m.context_settings
    )
    for context in contexts(top):
        names = context.command_path
        title = "### " if names.count(" ") > 1 else "## "
        parts.append(f"{title}{names}\n\n```text\n{context.get_help()}\n```\n")
    return "\n".join(parts)


def contexts(context: click.Context) -> Iterator[click.Context]:
    """A command and all below it, depth first."""
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            found = context.command.get_command(context, name)
            assert found is not None
            yield from contexts(click.Context(found, parent=context, info_name=name))


def settings_page() -> str:
    """Every setting with default and meaning."""
    defaults = settings.Settings()
    rows = []
    for key, meaning in meanings().items():
        value: object = defaults
        for name in key.split("."):
            value = getattr(value, name)
        rows.append(f"| `{key}` | {shown(value)} | {meaning} |\n")
    presets = ", ".join(f"`{key}` is {shown(value)}" for key, value in PRESETS.items())
    return SETTINGS_HEAD + "".join(rows) + SETTINGS_FOOT.format(presets=presets)


def meanings() -> dict[str, str]:
    """What the settings' classes say about each, in Markdown; typed-settings reads their docstrings."""
    texts = {option.path: option.metadata["click"]["help"] for option in deep_options(settings.Settings)}
    return {key: " ".join(text.replace("``", "`").split()) for key, text in texts.items()}


def attributes_page() -> str:
    """Every attribute of a path."""
    rows = [
        " | ".join(
            (
                f"| `{name}`",
                spec.since,
                ", ".join(spec.levels) + (f" of {objects(spec.objects)}" if spec.objects else ""),
                spec.value,
                ", ".join(sorted(kind.value for kind in spec.types)) if spec.types else "any",
                f"{ATTRIBUTE_MEANINGS[name]} |\n",
            )
        )
        for name, spec in ATTRIBUTES.items()
    ]
    return ATTRIBUTES_HEAD + "".join(rows) + ATTRIBUTES_FOOT


def objects(numbers: frozenset[int]) -> str:
    return ", ".join(f"/{number}" for number in sorted(numbers))


def shown(value: object) -> str:
    """A default as TOML would have it."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple) and not isinstance(value, settings.Address):
        return ", ".join(shown(item) for item in value) or "none"
    return f"`{value}`"


PAGES = {
    "attributes.md": attributes_page,
    "cli.md": cli_page,
    "http-api.md": http_api_page,
    "lwm2m-device-api.md": device_api_page,
    "mappings.md": mappings_page,
    "onem2m.md": onem2m_page,
    "profiles.md": profiles_page,
    "settings.md": settings_page,
}


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE
    for page_name, page in PAGES.items():
        (folder / page_name).write_text(page(), encoding="utf-8")
