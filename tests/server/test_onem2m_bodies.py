"""Long bodies are parsed in turns, and are what they would be parsed at once."""

import asyncio
import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_server.onem2m import bodies
from lwm2m_server.onem2m.bodies import MANY, MAX_DEPTH, parse_body, read_body
from lwm2m_server.onem2m.errors import BadRequest

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)
LONG = b"[" + b",".join([b"{}"] * MANY) + b"]"


@given(JSON, st.sampled_from([None, 1, "\t"]))
def test_in_turns_as_at_once(document, indent):
    payload = json.dumps([document, [{}] * MANY], indent=indent).encode()
    assert asyncio.run(read_body(payload)) == json.loads(payload)


@given(st.binary(max_size=6), st.integers(0, 40))
def test_what_is_refused_at_once_is_refused_in_turns(noise, place):
    inner = b'{"a": [1, {"b": "x"}, true], "c": "\\u00e4"}'
    payload = b'{"list": ' + LONG + b', "more": ' + inner[:place] + noise + inner[place:] + b"}"
    try:
        expected = orjson.loads(payload)
    except orjson.JSONDecodeError:
        # Python's parser lets halves of surrogate pairs and numbers of any length pass, nothing else.
        if b"\\ud" not in payload.lower() and not noise.isdigit():
            with pytest.raises(BadRequest):
                asyncio.run(read_body(payload))
    else:
        assert asyncio.run(read_body(payload)) == expected


@pytest.mark.parametrize(
    ("ending", "why"),
    [
        (b"x", "unexpected content"),
        (b", 1", "unexpected content"),
        (b"\xff", "not UTF-8"),
    ],
)
async def test_what_follows(ending, why):
    with pytest.raises(BadRequest, match=why):
        await read_body(LONG + ending)


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
async def test_constants_that_json_does_not_have(constant):
    with pytest.raises(BadRequest, match="no number"):
        await read_body(LONG[:-1] + b"," + constant + b"]")


@pytest.mark.parametrize("depth", [MAX_DEPTH + 4, 100_000])
async def test_what_is_nested_too_deep(depth):
    deep = b"[" * depth + b"]" * depth
    with pytest.raises(BadRequest, match="nested"):
        await read_body(LONG[:-1] + b"," + deep + b"]")


async def test_others_run_meanwhile(monkeypatch):
    monkeypatch.setattr(bodies, "PATIENCE", 0.0)
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    assert await read_body(LONG) == parse_body(LONG)
    counting.cancel()
    assert turns >= MANY
