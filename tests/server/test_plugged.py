"""Sinks of plugins: what they do wrong is a reason to try again, and no more."""

import pytest

from lwm2m_server.sinks.plugged import checked
from lwm2m_server.sinks.protocols import Endpoint, Refused, Retry

ENDPOINT = Endpoint("main", "Journal", ("file:journal",))


class Journal:
    limit = 10

    def __init__(self, endpoint):
        self.endpoint = endpoint

    async def deliver(self, batch):
        """Into the file."""

    async def close(self):
        """It is nowhere open."""


def test_a_sink_is_made():
    assert checked("Journal", Journal)(ENDPOINT).endpoint == ENDPOINT


@pytest.mark.parametrize("error", [Retry("later"), Refused("never")])
def test_what_it_says_counts(error):
    def make(endpoint):
        raise error

    with pytest.raises(type(error)) as caught:
        checked("Journal", make)(ENDPOINT)
    assert caught.value is error


def test_what_else_it_raises_is_a_reason_to_try_again():
    with pytest.raises(Retry, match="EndpointType:Journal: ZeroDivisionError"):
        checked("Journal", lambda endpoint: 1 / 0)(ENDPOINT)


def test_what_is_no_sink_is_none():
    with pytest.raises(Retry, match="EndpointType:Journal: dict is no sink: it has no limit"):
        checked("Journal", lambda endpoint: {})(ENDPOINT)
