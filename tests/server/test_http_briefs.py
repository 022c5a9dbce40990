"""What messages say, cut to what somebody reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lwm2m_server.http.briefs import MEMBERS, MORE, brief, brief_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /3", "GET /3"),
        ("PUT /5/0/0 " + "A" * 50, "PUT /5/0/" + MORE),
        ('{"a": 1, "b": [true, null]}', {"a": 1, "b": [True, None]}),
        ('{"value": "0123456789ab"}', {"value": "012345678" + MORE}),
        ('{"a": {"b": ["0123456789ab"]}}', {"a": {"b": ["012345678" + MORE]}}),
        ("[1, 2]", "[1, 2]"),
        ("12", "12"),
    ],
)
def test_long_texts_are_cut(text: str, shown: Any) -> None:
    assert brief(text, 9) == shown


def test_large_objects_are_cut() -> None:
    many = {str(number): number for number in range(MEMBERS + 5)}
    found = brief(json.dumps({"values": many, "list": list(many)}), 100)
    assert isinstance(found, dict)
    assert (len(found["values"]), len(found["list"])) == (MEMBERS, MEMBERS)


def test_where_a_text_is_due() -> None:
    assert brief_text('{"a": 1}', 8) == '{"a": 1}'
    assert json.loads(brief_text('{"method": "PUT", "value": "0123456789"}', 5)) == {
        "method": "PUT",
        "value": "01234" + MORE,
    }
