"""``SimulatedDevice``: an LwM2M Client on a UDP socket of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, dotted, is_success
from lwm2m_engine.codecs import encode
from lwm2m_engine.errors import RequestError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.links import format_links
from lwm2m_engine.paths import ROOT, Path
from lwm2m_server.coap.timing import Timing
from lwm2m_server.simulator.datagram import LARGEST_BLOCK, Endpoint, ResetReceived
from lwm2m_server.simulator.downloading import Download
from lwm2m_server.simulator.faults import Faults
from lwm2m_server.simulator.firmware import FIRMWARE_VERSION, FirmwareUpdate, firmware_objects
from lwm2m_server.simulator.objects import BATTERY_LEVEL, LIFETIME, UPDATE_TRIGGER, default_objects
from lwm2m_server.simulator.observing import Relations
from lwm2m_server.simulator.service import Service, path_of
from lwm2m_server.simulator.software import SoftwareUpdate, software_object
from lwm2m_server.simulator.tree import Content, Resource, SimulatedObject, Tree
from lwm2m_server.simulator.updating import UpdateFaults, UpdateOptions

log = structlog.get_logger(__name__)

AWAKE = 93.0
"""Seconds a queue-mode device listens after the last datagram (MAX_TRANSMIT_WAIT)."""
MARGIN = 0.8
"""Part of the lifetime after which it is renewed."""
LOWEST_BATTERY, FULL_BATTERY = 20, 100


class RegistrationRefused(Exception):
    """The server answered Register with an error."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{dotted(code)} {reason}".rstrip())
        self.code = code


class SimulatedDevice(Endpoint):
    """Registers, stays registered, and serves what a server asks.

    ``start`` lets it live by itself; for a test that wants each step, ``open`` and then ``register``,
    ``update``, ``deregister``. Times are in seconds. ``sleep`` is how long a queue-mode device sleeps
    between two Updates (by default until its lifetime needs one), ``drift`` how often its battery level
    changes while it is observed (0: never). With ``updating`` it has Firmware Update (5), and what else
    that says; ``update_faults`` is what goes wrong then.
    """

    def __init__(
        self,
        endpoint: str,
        server: tuple[str, int],
        *,
        version: str = "1.0",
        lifetime: int = 300,
        queue_mode: bool = False,
        objects: Sequence[SimulatedObject] | None = None,
        query: Sequence[str] = (),
        awake: float = AWAKE,
        sleep: float | None = None,
        drift: float = 0.0,
        confirmable: bool = True,
        timing: Timing = Timing(),  # noqa: B008 - frozen
        faults: Faults | None = None,
        block_size: int = LARGEST_BLOCK,
        updating: UpdateOptions | None = None,
        update_faults: UpdateFaults | None = None,
    ) -> None:
        super().__init__(server, timing, faults, block_size)
        self.endpoint, self.version = endpoint, version
        self.lifetime, self.queue_mode = lifetime, queue_mode
        self.tree = Tree(objects if objects is not None else default_objects(lifetime, self.binding))
        self.location: tuple[str, ...] | None = None
        self.update_faults = update_faults or UpdateFaults()
        self.registrations = 0
        self.updates = 0
        self.restarts = 0
        self._query = tuple(query)
        self._awake_for, self._sleep_for, self._drift = awake, sleep, drift
        self._confirmable = confirmable
        self._service = Service(self.tree, version, self._changed)
        self._updatable: list[FirmwareUpdate | SoftwareUpdate] = []
        if updating is not None:
            self._add_updates(updating)
        self._tasks: set[asyncio.Task[None]] = set()
        self._power: asyncio.Task[None] | None = None
        self._alive = False
        self._stored: dict[bytes, tuple[CoapReply, bool | None]] = {}

    @property
    def binding(self) -> str:
        """In 1.0 queue mode is part of the binding."""
        return "UQ" if self.queue_mode and self.version == "1.0" else "U"

    @property
    def executed(self) -> list[tuple[Path, str]]:
        """What was executed, and with which arguments."""
        return [
            (Path((id_, number, resource_id)), arguments)
            for id_, thing in self.tree.objects.items()
            for number, instance in thing.instances.items()
            for resource_id, resource in instance.items()
            for arguments in resource.executed
        ]

    # --- life ---

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wish = asyncio.Event()
        self._touched = self._loop.time()
        self._registered = asyncio.Event()
        self._relations = Relations(self.tree, self._service, self._notify)
        await super().open()

    async def start(self) -> None:
        """Open, register, and stay registered until ``stop``."""
        await self.open()
        self._alive = True
        self._resume()

    def _resume(self) -> None:
        self.spawn(self._live())
        if self._drift:
            self.spawn(self._age())

    async def registered(self) -> None:
        """Wait until the server has accepted a Register."""
        await self._registered.wait()

    async def stop(self, *, deregister: bool = False) -> None:
        """Vanish, or say goodbye first."""
        tasks = {*self._tasks, *filter(None, [self._power])}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if deregister and self.location is not None:
            self.deaf = False
            with contextlib.suppress(TimeoutError, ResetReceived):
                await self.deregister()
        self._relations.end_all()
        self.close()

    def restart(self, silence: float | None) -> None:
        """Lose power now, and come back after ``silence`` seconds on another port, or never."""
        self.power_off()
        for task in tuple(self._tasks):
            task.cancel()
        self._relations.end_all()
        self._stored.clear()
        self.location = None
        self._registered.clear()
        self._power = self._loop.create_task(self._come_back(silence)) if silence is not None else None

    async def _come_back(self, silence: float) -> None:
        await asyncio.sleep(silence)
        await self.power_on()
        self.restarts += 1
        self.deaf = False
        for machine in self._updatable:
            machine.booted()
        if self._alive:
            self._resume()

    async def _live(self) -> None:
        pause = self.timing.ack_timeout
        while True:
            try:
                await (self.register() if self.location is None else self.update())
            except (TimeoutError, ResetReceived, RegistrationRefused) as problem:
                log.warning("not registered", device=self.endpoint, reason=str(problem) or "reset")
                self.location = None
                await asyncio.sleep(pause)
                pause = min(2 * pause, 60.0)
                continue
            pause = self.timing.ack_timeout
            if self.location is not None:
                self._notify_stored()
                await self._rest()

    async def _rest(self) -> None:
        """Until it is time for the next Update."""
        self._wish.clear()
        due = self.lifetime * MARGIN if self.lifetime else None
        if self.queue_mode:
            await self._stay_awake()
            due = self._sleep_for if self._sleep_for is not None else due
            self.deaf = not self._wish.is_set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(due):
                await self._wish.wait()
        self.deaf = False

    async def _stay_awake(self) -> None:
        while not self._wish.is_set():
            left = self._touched + self._awake_for - self._loop.time()
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._wish.wait()

    def touched(self) -> None:
        self._touched = self._loop.time()

    def wake(self) -> None:
        """Update now, asleep or not."""
        self._wish.set()

    async def _age(self) -> None:
        while True:
            await asyncio.sleep(self._drift)
            if self._relations.covers(BATTERY_LEVEL):
                level = self.tree.resource(BATTERY_LEVEL).content
                if isinstance(level, int):
                    self.set(BATTERY_LEVEL, level - 1 if level > LOWEST_BATTERY else FULL_BATTERY)

    # --- the registration interface ---

    async def register(self) -> None:
        """Raises ``RegistrationRefused``, or what ``ask`` raises."""
        query = [f"lwm2m={self.version}", f"ep={self.endpoint}", f"lt={self.lifetime}", f"b={self.binding}"]
        if self.queue_mode and self.version != "1.0":
            query.append("Q")
        reply = await self.ask(
            CoapRequest(Code.POST, ("rd",), (*query, *self._query), self._links(), ContentFormat.LINK_FORMAT)
        )
        if not is_success(reply.code):
            raise RegistrationRefused(reply.code, reply.payload.decode("utf-8", "replace"))
        self._relations.end_all()
        self._stored.clear()
        self.location = reply.location
        self.registrations += 1
        self._registered.set()

    async def update(self, *query: str, links: bool = False) -> CoapReply:
        """With 4.04 the server has forgotten us: then ``location`` is ``None``."""
        payload, format_ = (self._links(), ContentFormat.LINK_FORMAT) if links else (b"", None)
        reply = await self.ask(CoapRequest(Code.POST, self.location or (), query, payload, format_))
        self.updates += 1
        if not is_success(reply.code):
            self.location = None
        return reply

    async def deregister(self) -> CoapReply:
        reply = await self.ask(CoapRequest(Code.DELETE, self.location or ()))
        self.location = None
        self._relations.end_all()
        return reply

    async def send(self, *paths: str | Path, content_format: int = ContentFormat.SENML_CBOR) -> CoapReply:
        """Send (LwM2M Core 1.2, 6.4.5) the values at these paths."""
        entries = self._service.collect([Path(path) for path in paths])
        payload = encode(entries, content_format, at=ROOT, types=self.tree.type)
        return await self.ask(CoapRequest(Code.POST, ("dp",), (), payload, content_format))

    def _links(self) -> bytes:
        return format_links(self.tree.links()).encode()

    # --- values ---

    def set(self, path: str | Path, value: Content) -> None:
        """A value changes on the device; observers hear of it."""
        place = Path(path)
        self.tree.resource(place).content = value
        self._relations.changed([place])

    def get(self, path: str | Path) -> Resource:
        return self.tree.resource(Path(path))

    # --- updates ---

    def _add_updates(self, options: UpdateOptions) -> None:
        version = str(self.tree.resource(FIRMWARE_VERSION).content)
        objects, machines = firmware_objects(self, options, self.update_faults, version)
        self._updatable += machines
        if options.software:
            software, instances = software_object(self, options, self.update_faults)
            objects.append(software)
            self._updatable += instances
        self.tree.objects |= {thing.id: thing for thing in objects}

    def download(self, uri: str, progressed: Callable[[int], None]) -> Download:
        """From there, as this device does it."""
        return Download(uri, self, progressed)

    def arriving(self, request: CoapRequest, length: int) -> None:
        path = path_of(request.path)
        if len(path) == 3 and (heard := self.tree.resource(path).on_block) is not None:
            heard(length)

    # --- what the server asks ---

    def serve(self, request: CoapRequest, token: bytes) -> CoapReply:
        if request.observe is None or request.code not in (Code.GET, Code.FETCH):
            return self._service.answer(request)
        if request.observe:
            self._relations.end(token)
            return self._service.answer(request)
        reply = self._service.answer(request)
        if not is_success(reply.code):
            return reply
        try:
            return self._relations.begin(token, request)
        except RequestError as error:
            return CoapReply(error.code)

    def rejected(self, token: bytes) -> None:
        self._relations.end(token)

    def _notify(self, token: bytes, reply: CoapReply, confirmable: bool | None) -> None:
        """A sleeper keeps the newest of each relation until it wakes up."""
        if self.deaf:
            self._stored[token] = reply, confirmable
            return
        confirm = self._confirmable if confirmable is None else confirmable
        self.spawn(self._send_notification(token, reply, confirm))

    def _notify_stored(self) -> None:
        stored, self._stored = self._stored, {}
        for token, (reply, confirmable) in stored.items():
            self._notify(token, reply, confirmable)

    async def _send_notification(self, token: bytes, reply: CoapReply, confirmable: bool) -> None:
        try:
            await self.notify(token, reply, confirmable)
        except (TimeoutError, ResetReceived):
            self.rejected(token)

    def _changed(self, paths: Sequence[Path]) -> None:
        self._relations.changed(paths)
        if UPDATE_TRIGGER in paths:
            self.wake()
        if LIFETIME in paths:
            self.lifetime = int(str(self.get(LIFETIME).content))
            self.spawn(self._tell(f"lt={self.lifetime}"))
        if any(len(path) == 2 for path in paths):
            self.spawn(self._tell(links=True))

    async def _tell(self, *query: str, links: bool = False) -> None:
        """An Update because something the server was told at Register is different now."""
        if self.location is not None:
            with contextlib.suppress(TimeoutError, ResetReceived):
                await self.update(*query, links=links)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Something that goes on until the device stops or restarts."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
