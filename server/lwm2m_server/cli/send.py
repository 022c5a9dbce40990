"""``lwm2m send``: one message to a device as people write it, and its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from lwm2m_server.cli.answers import Answer, Resources, lines
from lwm2m_server.cli.delivery import Delivery, delivery_options


@click.command()
@click.argument("name")
@click.argument("message")
@delivery_options
def send(name: str, message: str, **flags: Any) -> None:
    """Send MESSAGE to the device NAME.

    For example 'GET /3/0/9', 'PUT /3/0/14 +02:00', 'POST /3/0/4', 'OBSERVE /3/0/9'.

    Prints one line for each value of the answer.
    """
    Delivery.to(name, **flags).send(f"{message}\n", _show)


def _show(answers: Sequence[Answer], resources: Resources) -> None:
    for answer in answers:
        click.echo("\n".join(lines(answer, resources)))
