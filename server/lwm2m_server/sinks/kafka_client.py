"""A producer for a Kafka cluster. Imported where there is something to deliver: it needs aiokafka."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaConnectionError, KafkaError, MessageSizeTooLargeError

from lwm2m_server.sinks.addresses import AddressGuard, AddressRefused

# It writes several errors a second while a broker is away; what the sink raises says it once.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

TOO_LARGE: Final = MessageSizeTooLargeError
FAILURES: Final = (KafkaError, OSError)
LARGEST: Final = 16_000_000
"""Bytes of a message; brokers take less unless they are told otherwise."""
BACKOFF: Final = 0.25
"""Seconds until the library tries something again."""
FAREWELL: Final = 1.0
"""Seconds for what is under way when a producer is given up."""


class Producer(AIOKafkaProducer):  # type: ignore[misc]
    """aiokafka's, idempotent, acknowledged by all replicas in sync; it asks the guard before each connection,
    also to brokers that were advertised, and can be given up."""

    def __init__(self, guard: AddressGuard, hosts: Iterable[tuple[str, int]], **options: Any) -> None:
        self._access = options
        super().__init__(
            bootstrap_servers=[],
            acks="all",
            enable_idempotence=True,
            max_request_size=LARGEST,
            retry_backoff_ms=int(BACKOFF * 1000),
            **options,
        )
        self._guard, self._hosts = guard, tuple(hosts)
        self.refusal: str | None = None
        """Why a broker that the cluster advertised is not connected to."""
        self._reach: Callable[..., Awaitable[Any]] = self.client._get_conn
        self.client._get_conn = self._reach_guarded

    async def start(self) -> None:
        """Raises one of ``FAILURES`` with the reason why none of the hosts can be used."""
        self.client._bootstrap_servers = [await self._knock()]
        await super().start()

    async def _knock(self) -> str:
        """The first host that lets us in: of those that do not, aiokafka does not tell why."""
        failed = []
        for host, port in self._hosts:
            try:
                addresses = await self._look(host, port)
                # Without TLS nothing tells whether a name still means what it meant when it was looked at.
                host = host if self._access["ssl_context"] is not None else addresses[0]
                connection = await create_conn(host, port, **self._access)
            except FAILURES as error:
                failed.append(f"{host}:{port}: {str(error) or type(error).__name__}")
            else:
                connection.close()
                return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise KafkaConnectionError("; ".join(failed))

    async def _reach_guarded(self, node: Any, **more: Any) -> Any:
        broker = self.client.cluster.broker_metadata(node)
        if broker is not None:
            try:
                await self._look(broker.host, broker.port)
            except OSError as error:
                self.refusal = f"the broker that it advertises as {broker.host}:{broker.port}: {error}"
                # As if it could not be reached.
                await asyncio.sleep(BACKOFF)
                return None
        return await self._reach(node, **more)

    async def _look(self, host: str, port: int) -> list[str]:
        """The addresses of a host. Raises ``OSError`` if one of them may not be reached."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(info[4][0]) for info in found]
        for address in addresses:
            reason = self._guard.refusal(address)
            if reason is not None:
                raise AddressRefused(reason)
        return addresses

    async def give_up(self, reason: str) -> None:
        """At once: what it has not sent it is not to send later, behind what others send meanwhile. ``stop``
        alone waits for the cluster as long as that takes."""
        try:
            async with asyncio.timeout(FAREWELL):
                await self.client.close()
                await self._sender.close()
                self._message_accumulator.fail_all(KafkaError(reason))
                await self.stop()
        except (TimeoutError, *FAILURES):
            task = self._sender.sender_task
            if task is not None:
                task.cancel()
            self._closed = True
