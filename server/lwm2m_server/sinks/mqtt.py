"""MQTT: notices published at QoS 1 to a broker of the application's; acknowledged is delivered."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from lwm2m_server.settings import DeliverySettings
from lwm2m_server.sinks.addresses import AddressGuard
from lwm2m_server.sinks.brokers import BrokerAddress, Scheme, account_of, addresses_of
from lwm2m_server.sinks.dialling import dial
from lwm2m_server.sinks.extras import FOR_MQTT
from lwm2m_server.sinks.pace import Pace
from lwm2m_server.sinks.protocols import Endpoint, Refused, Retry
from lwm2m_server.sinks.trust import Trust
from lwm2m_server.store.records import Notice

if TYPE_CHECKING:
    from lwm2m_server.sinks.mqtt_client import Connection

SCHEMES: Final = {"mqtt": Scheme(1883, secure=False), "mqtts": Scheme(8883, secure=True)}
MOST: Final = 16
"""Notices at once, each a message of its own."""
TOPIC: Final = 1000
"""Bytes of a topic in ``poa``; MQTT has room for 65,535, what is put into its places included."""
NO_DEVICE: Final = "-"
"""What ``{device}`` is for a notice that is about none."""
_PLACE: Final = re.compile(r"\{(\w*)\}")
_NOT_IN_A_LEVEL: Final = str.maketrans({"/": "%2F", "+": "%2B", "#": "%23", "%": "%25"})
_NEVER: Final = frozenset((0x90, 0x95, 0x99))
"""Reason codes after which a message need not be tried again: its topic name is invalid, it is too large, its
payload is not of the format it claims (MQTT 5, 3.4.2.1)."""


class MqttSinks:
    """Makes the sinks. Raises ``SettingsError``."""

    def __init__(self, settings: DeliverySettings, guard: AddressGuard, installation: str) -> None:
        self.settings, self.guard, self.installation = settings, guard, installation
        self.trust = Trust(settings)

    def __call__(self, endpoint: Endpoint) -> MqttSink:
        """Raises ``Refused``."""
        return MqttSink(self, endpoint)


class MqttSink:
    """One endpoint, and one connection to the first of its brokers that can be reached."""

    def __init__(self, sinks: MqttSinks, endpoint: Endpoint) -> None:
        self._sinks, self._tenant = sinks, endpoint.tenant
        self._addresses = addresses_of(endpoint, SCHEMES, sinks.guard)
        self._account = account_of(endpoint)
        for address in self._addresses:
            _check_topic(address)
        self._identifier = _identifier(sinks.installation, endpoint, self._addresses)
        self._pace = Pace(MOST)
        self._connecting = asyncio.Lock()
        self._connection: Connection | None = None
        self._address = self._addresses[0]
        self._library: Any = None

    @property
    def limit(self) -> int:
        return self._pace.limit

    async def deliver(self, batch: Sequence[Notice]) -> None:
        """Raises ``Retry`` and ``Refused``."""
        connection = await self._connect()
        messages = [self._message(notice) for notice in batch]
        if not all(connection.takes(*message) for message in messages):
            raise self._pace.refused(batch, f"{self._address}: too large for the broker")
        try:
            async with asyncio.timeout(self._sinks.settings.answer_timeout):
                codes = await asyncio.gather(*[connection.send(*message) for message in messages])
        except TimeoutError:
            connection.drop()
            raise Retry(f"{self._address}: did not acknowledge in time") from None
        except (self._library.MqttError, OSError) as error:
            connection.drop()
            # Perhaps because of one of them: some brokers take offence at what is too large for them.
            self._pace.stumbled()
            raise Retry(f"{self._address}: {error}") from error
        failed = [code for code in codes if code.is_failure]
        if not failed:
            self._pace.delivered(len(batch))
            return
        reason = f"{self._address}: {failed[0]}"
        raise self._pace.refused(batch, reason) if failed[0].value in _NEVER else Retry(reason)

    def _message(self, notice: Notice) -> tuple[str, bytes, Any]:
        """Topic, payload and properties."""
        places = {"tenant": self._tenant, "device": notice.device or NO_DEVICE}
        topic = _PLACE.sub(lambda place: places[place[1]].translate(_NOT_IN_A_LEVEL), self._address.topic)
        named = [("X-M2M-RI", f"{notice.id:x}"), *self._account.headers.items()]
        return topic, notice.body.encode(), self._library.properties_of(named)

    # --- the connection ------------------------------------------------------------------------------

    async def _connect(self) -> Connection:
        """That which is there, or a new one. Raises ``Retry``."""
        if self._library is None:
            self._library = await FOR_MQTT.load("lwm2m_server.sinks.mqtt_client")
        async with self._connecting:
            if self._connection is not None and not self._connection.is_lost:
                return self._connection
            failed = []
            for address in self._addresses:
                try:
                    self._connection = await self._open(address)
                except TimeoutError:
                    failed.append(f"{address}: did not answer in time")
                except (self._library.MqttError, OSError) as error:
                    failed.append(f"{address}: {error}")
                else:
                    self._address = address
                    return self._connection
            raise Retry("; ".join(failed))

    async def _open(self, address: BrokerAddress) -> Connection:
        settings, account = self._sinks.settings, self._account
        ((host, port),) = address.hosts
        connected = await dial(
            host,
            port,
            guard=self._sinks.guard,
            tls=await self._sinks.trust.context() if address.secure else None,
            seconds=settings.connect_timeout,
        )
        user = account.user if account.user is not None else address.user
        password = account.password if account.password is not None else address.password
        connection: Connection = self._library.Connection(
            connected, self._identifier, user, password, settings.answer_timeout
        )
        await connection.open()
        return connection

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _check_topic(address: BrokerAddress) -> None:
    """Raises ``Refused``."""
    if len(address.hosts) > 1:
        raise Refused(f"{address}: one broker an address; further ones are further poa")
    if len(address.topic.encode()) > TOPIC:
        raise Refused(f"poa: a topic has up to {TOPIC} bytes")
    if "+" in address.topic or "#" in address.topic:
        raise Refused(f"{address}: nothing can be published to a topic with + or #")
    unknown = set(_PLACE.findall(address.topic)) - {"tenant", "device"}
    if unknown:
        raise Refused(f"{address}: a topic has {{tenant}} and {{device}}, not {{{min(unknown)}}}")


def _identifier(installation: str, endpoint: Endpoint, addresses: Sequence[BrokerAddress]) -> str:
    """The client's, the same after each start, and another for each endpoint: a broker ends the connection of
    who came before under the same one."""
    names = [line.partition(":")[0] for line in endpoint.headers]
    parts = [installation, endpoint.tenant, *map(repr, addresses), *names, *endpoint.labels]
    return "lwm2m" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:18]
