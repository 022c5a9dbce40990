"""``lwm2m send``: one message to a device, and its answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import click

from lwm2m_server.cli.client import Client, ServerError, segment
from lwm2m_server.cli.options import client_options
from lwm2m_server.cli.values import UNITS

POLL = 0.2
"""Seconds between two looks for the answer."""
NO_ANSWER = 1
NOT_FOUND = 404

Resources: TypeAlias = Mapping[tuple[str, str], Mapping[str, Any]]
"""What is known of a Resource, by the ids of its Object and itself."""


@click.command()
@click.argument("name")
@click.argument("message")
@click.option("--wait/--no-wait", default=True, help="Wait for the answer and print it.", show_default=True)
@click.option(
    "--timeout", type=float, metavar="SECONDS", help="Wait no longer; default until the device answers."
)
@click.option("--json", "as_json", is_flag=True, help="The message, or a list of answers, as the API has it.")
@client_options
def send(
    name: str,
    message: str,
    wait: bool,
    timeout: float | None,
    as_json: bool,
    url: str,
    tenant: str | None,
    token_file: Path | None,
) -> None:
    """Send MESSAGE to the device NAME.

    For example 'GET /3/0/9', 'PUT /3/0/14 +02:00', 'POST /3/0/4', 'OBSERVE /3/0/9'.

    Prints one line for each value of the answer. The exit code is 1 if there is none or the device refuses.
    """
    client = Client.of(url, tenant, token_file)
    containers = f"{client.base}/device-communication/{segment(name)}"
    content = {"con": f"{message}\n"}
    created = client.post(f"{containers}/outgoing-msg", {"m2m:cin": content}, ty=4)["contentInstance"]
    if not wait:
        click.echo(json.dumps(created) if as_json else f"accepted as {created['resourceID']}")
        return
    answers = _answers(client, containers, created, timeout)
    if as_json:
        click.echo(json.dumps(answers))
    else:
        resources = _resources(client.device(name))
        for answer in answers:
            click.echo("\n".join(_lines(answer, resources)))
    if not all(_is_success(answer) for answer in answers):
        raise click.exceptions.Exit(NO_ANSWER)


def _answers(
    client: Client, containers: str, created: dict[str, Any], timeout: float | None
) -> list[dict[str, Any]]:
    """What the device answered; of a message that takes several exchanges, one answer each.

    The message leaves ``outgoing-msg`` when the device has it; its answers come with that or after.
    """
    give_up = None if timeout is None else time.monotonic() + timeout
    waiting = f"{containers}/outgoing-msg/{segment(created['resourceName'])}"
    while True:
        if not _exists(client, waiting):
            answers = [
                content
                for container in ("received-msg", "error-msg")
                for content in _contents(client, f"{containers}/{container}")
                if content.get("requestID") == created["resourceID"]
            ]
            if answers:
                return answers
        if give_up is not None and time.monotonic() >= give_up:
            raise ServerError(0, f"no answer within {timeout:g} s; the message is still on its way")
        time.sleep(POLL)


def _exists(client: Client, path: str) -> bool:
    try:
        client.get(path)
    except ServerError as error:
        if error.status == NOT_FOUND:
            return False
        raise
    return True


def _contents(client: Client, container: str) -> list[dict[str, Any]]:
    """What the instances of a container hold, oldest first."""
    children = client.get(f"{container}?rcn=8&ty=4")["container"]
    return [instance["content"] for instance in children.get("contentInstance", [])]


def _resources(device: Mapping[str, Any]) -> Resources:
    return {
        (str(spec["id"]), str(resource["id"])): resource
        for spec in device["objects"]
        for resource in spec["resources"]
    }


def _is_success(answer: Mapping[str, Any]) -> bool:
    return answer["messageType"] != "error" and str(answer.get("responseCode", "2")).startswith("2")


def _lines(answer: Mapping[str, Any], resources: Resources) -> Iterator[str]:
    """``3/0/9 = 72   Battery Level, %``; a line for what has no value, too."""
    what = f"{answer.get('operation', 'answer')} /{answer['resourcePath']}"
    if answer["messageType"] == "error":
        yield f"{what} failed: {answer['reason']}"
    elif "error" in answer:
        yield f"{what}: {answer['error']}; raw payload (base64) {answer.get('rawPayload', '')}"
    elif answer.get("dataValue"):
        for path, value in answer["dataValue"].items():
            yield f"{path} = {_literal(value)}{_meaning(path, resources)}"
    elif "links" in answer:
        yield from answer["links"]
    else:
        yield f"{what} -> {answer.get('responseCode', 'done')} {answer.get('diagnostic', '')}".rstrip()


def _literal(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _meaning(path: str, resources: Resources) -> str:
    object_id, _, resource_id, *_ = (*path.split("/"), "", "", "")
    known = resources.get((object_id, resource_id))
    if known is None:
        return ""
    return ", ".join(filter(None, (f"   {known['name']}", UNITS.get(known["units"], known["units"]))))
