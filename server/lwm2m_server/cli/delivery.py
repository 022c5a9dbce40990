"""``Delivery``: a message on its way to a device, and the wait for its answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import attrs
import click

from lwm2m_server.cli.answers import Answer, Resources, exit_code, resources_of
from lwm2m_server.cli.client import Client, ServerError, segment
from lwm2m_server.cli.exits import Exit, Unanswered
from lwm2m_server.cli.options import client_options

F = TypeVar("F", bound=Callable[..., Any])
Show: TypeAlias = Callable[[Sequence[Answer], Resources], None]

POLL = 0.2
"""Seconds between two looks for the answer."""
CONTENT_INSTANCE = 4

_OPTIONS = (
    click.option(
        "--wait",
        type=click.FloatRange(min=0.0),
        metavar="SECONDS",
        help="Wait no longer for the answer; default until it is there.",
    ),
    click.option("--no-wait", is_flag=True, help="Do not wait; print the message's id."),
    click.option(
        "--json", "as_json", is_flag=True, help="The message, or a list of answers, as the API has it."
    ),
)


def delivery_options(command: F) -> F:
    """The flags of every command that sends a message; ``Delivery.to`` takes them."""
    command = client_options(command)
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@attrs.frozen
class Delivery:
    """A device, what the server knows of it, and how long to wait."""

    client: Client
    device: Mapping[str, Any]
    wait: float | None
    no_wait: bool
    as_json: bool

    @classmethod
    def to(
        cls,
        name: str,
        *,
        url: str,
        tenant: str | None,
        token_file: Path | None,
        wait: float | None,
        no_wait: bool,
        as_json: bool,
    ) -> Delivery:
        """Raises ``ServerError``: 404 for a device that the server does not know."""
        client = Client.of(url, tenant, token_file)
        return cls(client, client.device(name), wait, no_wait, as_json)

    def send(self, message: str | Mapping[str, Any], show: Show) -> None:
        """Post a message, wait, and show what came of it; ends the command unless that is good."""
        created = self.client.post(
            f"{self._containers}/outgoing-msg", {"m2m:cin": {"con": message}}, ty=CONTENT_INSTANCE
        )["contentInstance"]
        if self.no_wait:
            click.echo(json.dumps(created) if self.as_json else f"accepted as {created['resourceID']}")
            return
        if hindrance := _hindrance(self.device):
            click.echo(f"{hindrance}; message {created['resourceID']} waits for it", err=True)
        answers = self._answers(created)
        if self.as_json:
            click.echo(json.dumps(answers))
        else:
            show(answers, resources_of(self.device))
        if (code := exit_code(answers)) is not Exit.DONE:
            raise click.exceptions.Exit(code)

    @property
    def _containers(self) -> str:
        return f"{self.client.base}/device-communication/{segment(self.device['name'])}"

    def _answers(self, created: Mapping[str, Any]) -> list[Answer]:
        """What the device answered; of a message that takes several exchanges, one answer each.

        The message leaves ``outgoing-msg`` when the device has it; its answers come with that or after.
        Raises ``Unanswered``.
        """
        give_up = None if self.wait is None else time.monotonic() + self.wait
        waiting = f"{self._containers}/outgoing-msg/{segment(created['resourceName'])}"
        while True:
            if not _exists(self.client, waiting):
                answers = list(self._answers_to(created["resourceID"]))
                if answers:
                    return answers
            if give_up is not None and time.monotonic() >= give_up:
                raise Unanswered(
                    f"no answer within {self.wait:g} s; message {created['resourceID']} is still on its way"
                )
            time.sleep(POLL)

    def _answers_to(self, request_id: str) -> Iterator[Answer]:
        for container in ("received-msg", "error-msg"):
            children = self.client.get(f"{self._containers}/{container}?rcn=8&ty={CONTENT_INSTANCE}")
            for instance in children["container"].get("contentInstance", []):
                if instance["content"].get("requestID") == request_id:
                    yield instance["content"]


def _exists(client: Client, path: str) -> bool:
    try:
        client.get(path)
    except ServerError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return False
        raise
    return True


def _hindrance(device: Mapping[str, Any]) -> str:
    """Why a device cannot be reached now."""
    if not device["registered"]:
        return f"{device['name']} is not registered"
    if device["awake"] is False:
        return f"{device['name']} is asleep"
    return ""
