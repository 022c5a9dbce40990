"""What of a history is drawn: each value, or intervals where there are many."""

from __future__ import annotations

from lwm2m_server.console.device.charts import banded, chart_of
from lwm2m_server.console.device.history import span_of

HOUR = 3_600_000


def rows(*pairs):
    return [{"at": at, "value": value} for at, value in pairs]


def test_one_line_or_one_for_each_instance():
    assert chart_of(rows((1000, 1), (2000, "NaN")), "", 0).document() == {
        "times": (1.0, 2.0),
        "lines": [{"label": "value", "values": (1, None)}],
        "band": False,
    }
    found = chart_of(rows((1000, {"0": 1, "4": 2}), (2000, {"4": 3})), "", 0)
    assert found.lines == (("instance 0", (1, None)), ("instance 4", (2, 3)))


def test_a_band_has_the_same_intervals():
    found = banded(rows((0, 2), (9, 3)), rows((0, 1)), rows((0, 5), (9, 6)), 9)
    assert found.times == (0, 0.009)
    assert found.lines == (("least", (1, None)), ("most", (5, 6)), ("average", (2, 3)))
    assert found.band


def test_which_time_is_meant():
    assert span_of({}, 100 * HOUR).since == 76 * HOUR
    assert span_of({"range": "1h"}, 100 * HOUR).since == 99 * HOUR
    assert span_of({"range": "no such thing"}, 100 * HOUR).name == "24h"
    own = {"range": "custom", "from": "1970-01-01T02:00", "to": "1970-01-01T03:00", "to.offset": "60"}
    found = span_of(own, 100 * HOUR)
    assert (found.since, found.until, found.is_open) == (2 * HOUR, 4 * HOUR, False)
    assert span_of({"range": "custom"}, 1).problem
