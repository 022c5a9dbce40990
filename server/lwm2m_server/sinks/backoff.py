"""When a failed delivery is tried again."""

from __future__ import annotations

import random

from lwm2m_server.settings import DeliverySettings


def delay(settings: DeliverySettings, failures: int, asked: float | None) -> float:
    """Seconds: twice as many after each failure, up to a ceiling, and somewhat at random, so that those
    who failed together do not come back together; at least what the target ``asked`` for."""
    most = min(settings.first_retry * 2.0 ** min(failures - 1, 60), settings.longest_retry)
    seconds = random.uniform(most / 2, most)  # noqa: S311 - nothing secret
    return seconds if asked is None else max(seconds, min(asked, settings.give_up_after))
