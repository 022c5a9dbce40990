"""How much of a long request a device has acknowledged."""

# mypy: allow-untyped-calls

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from aiocoap.protocol import BlockwiseRequest, Context

from lwm2m_server.coap.packets import Packet

Progress: TypeAlias = Callable[[int, int, int], object]
"""Called with an exchange, the bytes of its request the device has acknowledged, and bytes in all."""
LONG = 1024
"""Bytes of a request that is no more than this are not counted: over UDP it is one message."""


def watched(
    context: Context, packet: Packet, acknowledged: Callable[[int], object]
) -> asyncio.Future[Packet]:
    """What is answered to a request, in blocks if need be; ``acknowledged`` is told how many bytes were."""
    asked: Any = BlockwiseRequest(_Watched(context, acknowledged), packet)
    response: asyncio.Future[Packet] = asked.response
    return response


class _Watched:
    """aiocoap's context as its block-wise layer sees it: each part of a request goes through here."""

    def __init__(self, context: Context, acknowledged: Callable[[int], object]) -> None:
        self._context, self._acknowledged = context, acknowledged

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def request(self, part: Packet, handle_blockwise: bool) -> Any:
        asked = self._context.request(part, handle_blockwise)
        if part.payload:
            asked.response.add_done_callback(partial(self._answered, part))
        return asked

    def _answered(self, part: Packet, response: asyncio.Future[Packet]) -> None:
        if response.cancelled() or response.exception() is not None:
            return
        answer, block = response.result(), part.opt.block1
        if answer.code.is_successful() and (block is None or answer.opt.block1 is not None):
            self._acknowledged((block.start if block is not None else 0) + len(part.payload))
