"""``lwm2m bootstrap``: what devices get when they bootstrap, how it went, and to make them do it again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import click

from lwm2m_server.cli.answers import show as show_answer
from lwm2m_server.cli.client import Client
from lwm2m_server.cli.delivery import Delivery, delivery_options
from lwm2m_server.cli.exits import Misuse
from lwm2m_server.cli.options import client_options
from lwm2m_server.cli.tables import columns, show_table
from lwm2m_server.cli.values import clock

document = click.argument("file", type=click.File("rb"))
credentials = click.option(
    "--credentials",
    type=click.File("rb"),
    metavar="FILE",
    help="With a device profile: the credentials of a device, as JSON.",
)


@click.group()
def bootstrap() -> None:
    """What devices get when they bootstrap, and how it went."""


@bootstrap.command("list")
@client_options
def list_(url: str, tenant: str | None, token_file: Path | None) -> None:
    """The configurations, and which devices they are for."""
    found = Client.of(url, tenant, token_file).bootstrap_configs()
    show_table(("name", "devices"), [(one["name"], ", ".join(one["endpoints"])) for one in found])


@bootstrap.command()
@click.argument("name")
@client_options
def show(name: str, url: str, tenant: str | None, token_file: Path | None) -> None:
    """The configuration NAME as JSON; secrets are left out."""
    click.echo(json.dumps(Client.of(url, tenant, token_file).bootstrap_config(name), indent=2))


@bootstrap.command()
@click.argument("name")
@document
@click.option(
    "--for",
    "endpoints",
    metavar="PATTERN",
    multiple=True,
    help="A device, or some (sensor-*); may be repeated. Default: what FILE says, else the device NAME.",
)
@credentials
@client_options
def put(
    name: str,
    file: IO[bytes],
    endpoints: Sequence[str],
    credentials: IO[bytes] | None,
    url: str,
    tenant: str | None,
    token_file: Path | None,
) -> None:
    """Keep FILE (- is standard input) as the configuration NAME: JSON of this server, or a device profile."""
    body = _document(file, credentials)
    if endpoints:
        body["endpoints"] = list(endpoints)
    kept = Client.of(url, tenant, token_file).put_bootstrap_config(name, body)
    click.echo(f"{name} kept, for {', '.join(kept['endpoints'])}")


@bootstrap.command()
@click.argument("name")
@client_options
def remove(name: str, url: str, tenant: str | None, token_file: Path | None) -> None:
    """Forget the configuration NAME."""
    Client.of(url, tenant, token_file).remove_bootstrap_config(name)
    click.echo(f"{name} removed")


@bootstrap.command()
@click.argument("name")
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--device", metavar="ENDPOINT", help="The device to show it for; default one that it is for.")
@credentials
@click.option("--json", "as_json", is_flag=True, help="As the API has it.")
@client_options
def preview(
    name: str,
    file: IO[bytes] | None,
    device: str | None,
    credentials: IO[bytes] | None,
    as_json: bool,
    url: str,
    tenant: str | None,
    token_file: Path | None,
) -> None:
    """What a device would be asked, step by step. With FILE, if that were the configuration NAME."""
    body = _document(file, credentials) if file is not None else None
    found = Client.of(url, tenant, token_file).bootstrap_preview(name, device, body)
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo(f"{found['endpoint']}, security {found['security']}")
    click.echo(columns(("", "", "", ""), _steps(found["steps"])).lstrip("\n"))
    for note in found["notes"]:
        click.echo(f"note: {note}")


@bootstrap.command()
@click.argument("endpoint", required=False)
@click.option("--json", "as_json", is_flag=True, help="As the API has it.")
@client_options
def log(endpoint: str | None, as_json: bool, url: str, tenant: str | None, token_file: Path | None) -> None:
    """The last bootstrap of each device, and who was refused; of one device all that is known."""
    client = Client.of(url, tenant, token_file)
    found = client.bootstrap_sessions(endpoint)
    if as_json:
        click.echo(json.dumps(found))
        return
    if endpoint is None:
        show_table(("device", "began", "from", "outcome", ""), map(_row, found["sessions"]))
        for refused in found["refused"]:
            click.echo(f"refused {refused['endpoint'] or '(no name)'} {refused['peer']}: {refused['reason']}")
        return
    for session in found["sessions"]:
        click.echo("  ".join(filter(None, _row(session))))
        click.echo(columns(("", "", "", ""), map(_line, session.get("steps", ()))).lstrip("\n"))


@bootstrap.command()
@click.argument("endpoint")
@click.option("--instance", default=0, show_default=True, help="Of object 1: which server asks for it.")
@delivery_options
def trigger(endpoint: str, instance: int, **flags: Any) -> None:
    """Have a registered device bootstrap again: Execute /1/0/9 (LwM2M 1.1)."""
    Delivery.to(endpoint, **flags).send({"method": "POST", "path": f"/1/{instance}/9"}, show_answer)


def _document(file: IO[bytes], credentials: IO[bytes] | None) -> dict[str, Any]:
    found = _json(file)
    # A device profile has its settings in a member of this name, which configurations have not.
    if "bootstrap" not in found:
        if credentials is not None:
            raise Misuse("--credentials goes with a device profile")
        return found
    return {"profile": found, "credentials": _json(credentials) if credentials is not None else {}}


def _json(file: IO[bytes]) -> dict[str, Any]:
    try:
        found = json.load(file)
    except ValueError as error:
        raise Misuse(f"{file.name}: no JSON: {error}") from error
    if not isinstance(found, dict):
        raise Misuse(f"{file.name}: a JSON object is due")
    return found


def _steps(steps: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    for step in steps:
        yield step["operation"], step["path"], "", ""
        for value in step.get("values", ()):
            yield "", value["path"], value["name"] or "", json.dumps(value["value"], ensure_ascii=False)


def _row(session: Mapping[str, Any]) -> tuple[str, ...]:
    refused = f"{session['refused']} steps refused" if session["refused"] else ""
    return (
        session["endpoint"],
        clock(session["beganAt"]),
        session["peer"],
        session["outcome"],
        session["detail"] or refused,
    )


def _line(step: Mapping[str, Any]) -> tuple[str, ...]:
    outcome = step["code"] or step["failure"] or "…"
    detail = step["detail"] or " ".join(step["instances"])
    return f"  {step['operation']}", step["path"], outcome, detail
