"""What a device answered, as ``received-msg`` and ``error-msg`` have it: lines, a table, an exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import click

from lwm2m_server.cli.exits import Exit
from lwm2m_server.cli.tables import show_table
from lwm2m_server.cli.values import UNITS

Answer: TypeAlias = Mapping[str, Any]
Resources: TypeAlias = Mapping[tuple[str, str], Mapping[str, Any]]
"""What is known of a Resource, by the ids of its Object and itself."""

FINAL_REFUSALS = ("refused", "decode")
"""Reasons in ``error-msg`` that say the device was reached; with the others it has not answered."""


def resources_of(device: Mapping[str, Any]) -> Resources:
    """From the description of a device."""
    return {
        (str(spec["id"]), str(resource["id"])): resource
        for spec in device["objects"]
        for resource in spec["resources"]
    }


def exit_code(answers: Sequence[Answer]) -> Exit:
    """Of several answers the worst counts."""
    return max((_exit_code(answer) for answer in answers), default=Exit.DONE)


def _exit_code(answer: Answer) -> Exit:
    if answer["messageType"] == "error":
        return Exit.FAILED if answer["reason"] in FINAL_REFUSALS else Exit.UNANSWERED
    return Exit.DONE if str(answer.get("responseCode", "2")).startswith("2") else Exit.FAILED


# --- a line for each value -----------------------------------------------------------------------------


def lines(answer: Answer, resources: Resources) -> Iterator[str]:
    """``3/0/9 = 72   Battery Level, %``; a line for what has no value, too."""
    if answer.get("dataValue") and "error" not in answer:
        for path, value in answer["dataValue"].items():
            yield f"{path} = {_literal(value)}{_meaning(path, resources)}"
    elif "links" in answer:
        yield from answer["links"]
    else:
        yield outcome(answer)


def outcome(answer: Answer) -> str:
    """How an operation ended, for an answer without values: ``write /3/0/14 -> 2.04``."""
    what = f"{answer.get('operation', 'answer')} /{answer['resourcePath']}"
    if answer["messageType"] == "error":
        return f"{what} failed: {answer['reason']}"
    if "error" in answer:
        return f"{what}: {answer['error']}; raw payload (base64) {answer.get('rawPayload', '')}"
    made = f"/{answer['location']}" if "location" in answer else ""
    return " ".join(
        filter(None, (f"{what} -> {answer.get('responseCode', 'done')}", made, answer.get("diagnostic")))
    )


def _literal(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _meaning(path: str, resources: Resources) -> str:
    known = _known(path, resources)
    if known is None:
        return ""
    return ", ".join(filter(None, (f"   {known['name']}", UNITS.get(known["units"], known["units"]))))


def _known(path: str, resources: Resources) -> Mapping[str, Any] | None:
    object_id, _, resource_id, *_ = (*path.split("/"), "", "", "")
    return resources.get((object_id, resource_id))


# --- a table -------------------------------------------------------------------------------------------


def show(answers: Sequence[Answer], resources: Resources) -> None:
    """Values in one table, links in another; what has neither is a line."""
    values, links = [], []
    for answer in answers:
        if answer.get("dataValue") and "error" not in answer:
            values += [_row(path, value, resources) for path, value in answer["dataValue"].items()]
        elif "links" in answer:
            links += [_link(text) for text in answer["links"]]
        else:
            click.echo(outcome(answer))
    if values:
        show_table(("path", "name", "value", "units"), values)
    if links:
        show_table(("path", "attributes"), links)


def _row(path: str, value: object, resources: Resources) -> tuple[str, str, str, str]:
    known = _known(path, resources)
    if known is None:
        return f"/{path}", "", _literal(value), ""
    shown = _time(value) if known["type"] == "Time" else _literal(value)
    return f"/{path}", known["name"], shown, UNITS.get(known["units"], known["units"])


def _time(milliseconds: object) -> str:
    """A time that no calendar has stays a number."""
    if not isinstance(milliseconds, (int, float)):
        return _literal(milliseconds)
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return _literal(milliseconds)
    return moment.isoformat().replace("+00:00", "Z")


def _link(text: str) -> tuple[str, str]:
    target, _, attributes = text.partition(";")
    return target.strip("<>"), attributes.replace(";", " ")
