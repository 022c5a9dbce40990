"""Answers as the API has them: which exit code they are, and how they are shown."""

from __future__ import annotations

from typing import Any

import pytest

from lwm2m_server.cli.answers import exit_code, lines, show
from lwm2m_server.cli.exits import Exit

RESOURCES = {
    ("3", "9"): {"name": "Battery Level", "units": "/100", "type": "Integer"},
    ("3", "13"): {"name": "Current Time", "units": "", "type": "Time"},
}


def response(code: str = "2.05", **more: Any) -> dict[str, Any]:
    return {
        "messageType": "response",
        "operation": "read",
        "resourcePath": "3/0",
        "responseCode": code,
        "dataValue": {},
        **more,
    }


def error(reason: str) -> dict[str, Any]:
    return {"messageType": "error", "operation": "read", "resourcePath": "3/0", "reason": reason}


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([], Exit.DONE),
        ([response(), response("2.04")], Exit.DONE),
        ([response(), response("4.04")], Exit.FAILED),
        ([response("5.00")], Exit.FAILED),
        ([error("refused")], Exit.FAILED),
        ([response(), error("decode")], Exit.FAILED),
        ([response("4.04"), error("timeout")], Exit.UNANSWERED),
        ([error("expired")], Exit.UNANSWERED),
        ([error("cancelled")], Exit.UNANSWERED),
        ([error("unknown-outcome")], Exit.UNANSWERED),
    ],
)
def test_the_worst_answer_counts(answers: list[dict[str, Any]], code: Exit) -> None:
    assert exit_code(answers) is code


def test_values_and_links_are_tables(capsys: pytest.CaptureFixture[str]) -> None:
    links = response(operation="discover", links=["</3/0/9>;pmin=10;pmax=60"])
    shown = [
        response(dataValue={"3/0/9": 72, "3/0/13": 1_700_000_000_000}),
        response(dataValue={"99/0/1": 1.5, "3/0/13": 10**20}),
        links,
    ]
    show(shown, RESOURCES)
    rows = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert ["/3/0/9", "Battery Level", "72", "%"] in cells
    assert ["/3/0/13", "Current Time", "2023-11-14T22:13:20Z"] in cells
    assert ["/3/0/13", "Current Time", "100000000000000000000"] in cells
    assert ["/99/0/1", "1.5"] in cells
    assert ["/3/0/9", "pmin=10 pmax=60"] in cells


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (response("2.04", operation="write"), "write /3/0 -> 2.04"),
        (response("4.05", diagnostic="no"), "read /3/0 -> 4.05 no"),
        (response("2.01", operation="create", location="3/7"), "create /3/0 -> 2.01 /3/7"),
        (error("timeout"), "read /3/0 failed: timeout"),
        (response(error="byte 3", rawPayload="wQ=="), "read /3/0: byte 3; raw payload (base64) wQ=="),
        (response(dataValue={"3/0/9": 72}), "3/0/9 = 72   Battery Level, %"),
        (response(dataValue={"99/0/1": "x"}), "99/0/1 = x"),
    ],
)
def test_an_answer_in_a_line(answer: dict[str, Any], line: str) -> None:
    assert list(lines(answer, RESOURCES)) == [line]
