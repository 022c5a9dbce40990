"""What ``Prefer`` says, and waiting for the answer to a message."""

from __future__ import annotations

import asyncio

import pytest

from lwm2m_engine.engine.events import Received
from lwm2m_engine.paths import ROOT
from lwm2m_server.bus import Bus
from lwm2m_server.onem2m.answers import Answers, preferred_wait, unless_gone


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ("wait=10", 10),
        ("WAIT = 5", 5),
        ('wait="7"', 7),
        ('wait="\\7"', 7),
        ("respond-async, wait=3", 3),
        ('return=minimal; foo="a, b;c" , wait=4; x=y', 4),
        ("wait=1, wait=2", 1),
        ("respond-async , wait=0", 0),
        ("handling=lenient,,wait=8", None),
        ("", None),
        ("wait", None),
        ("wait=", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=99999999999999999999", None),
        ("waits=5", None),
        ('x="wait=5', None),
        ("x=y;wait=5", None),
    ],
)
def test_preferences(fields, seconds):
    assert preferred_wait(fields) == seconds


async def _never():
    await asyncio.Event().wait()


def _received(message, *, more=False):
    return Received("dev", 0.0, "response", ROOT, 69, message=message, more=more)


async def test_an_answer_is_told_when_it_is_published():
    bus = Bus()
    answers = Answers(bus)
    with answers.expected(7) as first, answers.expected(8) as second:
        answers.planned(7, 70)
        answers.planned(9, 90)
        bus.publish("main", _received(8))
        assert not second.done()
        bus.publish("main", _received(7))
        assert await unless_gone(first, _never, 5) == 70
        assert await unless_gone(second, _never, 0.01) is None
    assert not answers._waiting
    assert not bus._listeners


async def test_of_several_answers_to_a_message_the_last_is_told():
    bus = Bus()
    answers = Answers(bus)
    with answers.expected(7) as expected:
        answers.planned(7, 70)
        bus.publish("main", _received(7, more=True))
        assert not expected.done()
        answers.planned(7, 71)
        bus.publish("main", _received(7))
        assert await unless_gone(expected, _never, 5) == 71


async def test_nobody_waits_for_a_client_that_left():
    answers = Answers(Bus())

    async def leave():
        return {"type": "http.disconnect"}

    with answers.expected(7) as expected:
        async with asyncio.timeout(5):
            assert await unless_gone(expected, leave, 60) is None
