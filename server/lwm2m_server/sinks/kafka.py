"""Kafka: notices produced to a topic of the application's cluster, by device; what all replicas in sync have
is delivered."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from lwm2m_server.settings import DeliverySettings
from lwm2m_server.sinks.addresses import AddressGuard
from lwm2m_server.sinks.brokers import Account, BrokerAddress, Scheme, account_of, addresses_of
from lwm2m_server.sinks.extras import FOR_KAFKA
from lwm2m_server.sinks.pace import Pace
from lwm2m_server.sinks.protocols import Endpoint, Refused, Retry
from lwm2m_server.sinks.trust import Trust
from lwm2m_server.store.records import Notice

if TYPE_CHECKING:
    from lwm2m_server.sinks.kafka_client import Producer

SCHEMES: Final = {"kafka": Scheme(9092, secure=False), "kafkas": Scheme(9092, secure=True)}
MOST: Final = 64
"""Notices at once."""
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_TOPIC: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")


class KafkaSinks:
    """Makes the sinks. Raises ``SettingsError``."""

    def __init__(self, settings: DeliverySettings, guard: AddressGuard) -> None:
        self.settings, self.guard = settings, guard
        self.trust = Trust(settings)

    def __call__(self, endpoint: Endpoint) -> KafkaSink:
        """Raises ``Refused``."""
        return KafkaSink(self, endpoint)


class KafkaSink:
    """One endpoint, and one producer for the first of its clusters that lets us in."""

    def __init__(self, sinks: KafkaSinks, endpoint: Endpoint) -> None:
        self._sinks = sinks
        self._addresses = addresses_of(endpoint, SCHEMES, sinks.guard)
        for address in self._addresses:
            if not _TOPIC.fullmatch(address.topic):
                raise Refused(f"{address}: a topic has up to 249 letters, digits, dots, _ and -")
        self._account = account_of(endpoint)
        if self._account.mechanism not in (None, *MECHANISMS):
            raise Refused(f"poah: sasl-mechanism is {', '.join(MECHANISMS[:-1])} or {MECHANISMS[-1]}")
        self._headers = [(name, value.encode()) for name, value in self._account.headers.items()]
        self._pace = Pace(MOST)
        self._starting = asyncio.Lock()
        self._producer: Producer | None = None
        self._address = self._addresses[0]
        self._library: Any = None

    @property
    def limit(self) -> int:
        return self._pace.limit

    async def deliver(self, batch: Sequence[Notice]) -> None:
        """Raises ``Retry`` and ``Refused``."""
        producer = await self._start()
        try:
            async with asyncio.timeout(self._sinks.settings.answer_timeout):
                sent = [await self._send(producer, notice) for notice in batch]
                await asyncio.gather(*sent)
        except TimeoutError:
            reason = producer.refusal or "did not acknowledge in time"
            await self._drop(producer, reason)
            raise Retry(f"{self._address}: {reason}") from None
        except self._library.TOO_LARGE as error:
            await self._drop(producer, "a message was refused")
            raise self._pace.refused(batch, f"{self._address}: {error}") from error
        except self._library.FAILURES as error:
            await self._drop(producer, "another message failed")
            raise Retry(f"{self._address}: {str(error) or type(error).__name__}") from error
        self._pace.delivered(len(batch))

    async def _send(self, producer: Producer, notice: Notice) -> asyncio.Future[Any]:
        headers = [("content-type", b"application/json"), ("X-M2M-RI", b"%x" % notice.id), *self._headers]
        key = None if notice.device is None else notice.device.encode()
        sent: asyncio.Future[Any] = await producer.send(
            self._address.topic, notice.body.encode(), key=key, headers=headers
        )
        # What becomes of it is of no interest any more if another one of its batch failed.
        sent.add_done_callback(lambda one: one.cancelled() or one.exception())
        return sent

    # --- the producer --------------------------------------------------------------------------------

    async def _start(self) -> Producer:
        """That which is there, or a new one. Raises ``Retry``."""
        if self._library is None:
            self._library = await FOR_KAFKA.load("lwm2m_server.sinks.kafka_client")
        async with self._starting:
            if self._producer is not None:
                return self._producer
            failed = []
            for address in self._addresses:
                try:
                    self._producer = await self._open(address)
                except Retry as error:
                    failed.append(f"{address}: {error}")
                else:
                    self._address = address
                    return self._producer
            raise Retry("; ".join(failed))

    async def _open(self, address: BrokerAddress) -> Producer:
        """Raises ``Retry``."""
        settings = self._sinks.settings
        tls = await self._sinks.trust.context() if address.secure else None
        producer: Producer = self._library.Producer(
            self._sinks.guard,
            address.hosts,
            client_id="lwm2m-engine",
            request_timeout_ms=int(settings.answer_timeout * 1000),
            ssl_context=tls,
            **_login(self._account, address),
        )
        try:
            async with asyncio.timeout(settings.answer_timeout):
                await producer.start()
        except TimeoutError:
            reason = producer.refusal or "did not answer in time"
            await producer.give_up(reason)
            raise Retry(reason) from None
        except self._library.FAILURES as error:
            await producer.give_up("not started")
            raise Retry(str(error)) from error
        return producer

    async def _drop(self, producer: Producer, reason: str) -> None:
        if producer is self._producer:
            self._producer = None
            await producer.give_up(reason)

    async def close(self) -> None:
        if self._producer is not None:
            await self._drop(self._producer, "closed")


def _login(account: Account, address: BrokerAddress) -> dict[str, Any]:
    user = account.user if account.user is not None else address.user
    password = account.password if account.password is not None else address.password
    transport = "SSL" if address.secure else "PLAINTEXT"
    mechanism = account.mechanism or "PLAIN"
    return {
        "security_protocol": transport if user is None else f"SASL_{transport}",
        "sasl_mechanism": mechanism,
        "sasl_plain_username": user,
        "sasl_plain_password": None if user is None else password or "",
    }
