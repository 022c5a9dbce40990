"""Many timers for the price of one."""

from __future__ import annotations

import asyncio

from lwm2m_server.coap.wheel import SLOTS_PER_SECOND, Wheel


async def test_timers_fire_in_time_and_cancelled_ones_do_not() -> None:
    loop = asyncio.get_running_loop()
    wheel, fired = Wheel(loop), []
    began = loop.time()
    for delay in (0.05, 0.02, 0.03, 0.02):
        wheel.call_later(delay, lambda delay=delay: fired.append((delay, loop.time() - began)))
    wheel.call_later(0.01, lambda: fired.append((0.01, 0.0))).cancel()
    await asyncio.sleep(0.15)
    assert sorted(delay for delay, _ in fired) == [0.02, 0.02, 0.03, 0.05]
    assert all(delay <= after for delay, after in fired), "none too early"


async def test_a_timer_may_cancel_and_set_others_when_it_fires() -> None:
    wheel, fired = Wheel(asyncio.get_running_loop()), []
    again = asyncio.Event()

    def first() -> None:
        fired.append("first")
        second.cancel()
        wheel.call_later(0.0, again.set)

    wheel.call_later(0.01, first)
    second = wheel.call_later(0.01, lambda: fired.append("second"))
    async with asyncio.timeout(1):
        await again.wait()
    assert fired == ["first"]


class Loop(asyncio.SelectorEventLoop):
    """Counts the timers it is asked for."""

    asked = 0

    def call_at(self, when, callback, *args, context=None):  # type: ignore[no-untyped-def]
        self.asked += 1
        return super().call_at(when, callback, *args, context=context)


def test_ten_thousand_timers_are_a_few_for_the_loop() -> None:
    loop = Loop()
    wheel = Wheel(loop)
    timers = [wheel.call_later(2.0 + number % 100 / 100, lambda: None) for number in range(10_000)]
    assert loop.asked <= 2 * SLOTS_PER_SECOND
    before = loop.asked
    for timer in timers:
        timer.cancel()
    assert loop.asked == before
    wheel.close()
    loop.close()
