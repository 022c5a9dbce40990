"""Firmware Update (5) and Advanced Firmware Update (33629) of a simulated device (LwM2M Core 1.2, E.6)."""

from __future__ import annotations

import asyncio
import time
from enum import IntEnum

from lwm2m_engine.coap import Code
from lwm2m_engine.errors import RequestError
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ResourceType
from lwm2m_server.simulator.downloading import ConnectionLost, Download, InvalidUri, UnsupportedProtocol
from lwm2m_server.simulator.images import Fault, Image, ImageRejected, Reception
from lwm2m_server.simulator.tree import Content, Instance, Resource, SimulatedObject
from lwm2m_server.simulator.updating import Delivery, Host, Protocols, UpdateFaults, UpdateOptions, fetched

FIRMWARE, ADVANCED_FIRMWARE = 5, 33629
ONLY = Path((FIRMWARE, 0))
FIRMWARE_VERSION = Path((3, 0, 3))
NOTHING = (b"", b"\x00")
"""Written to Package: begin anew."""
SCHEMES = {
    "coap": Protocols.COAP,
    "coaps": Protocols.COAPS,
    "http": Protocols.HTTP,
    "https": Protocols.HTTPS,
}


class State(IntEnum):
    """/5/0/3."""

    IDLE, DOWNLOADING, DOWNLOADED, UPDATING = range(4)


class Result(IntEnum):
    """/5/0/5; the last two only of Object 33629."""

    INITIAL = 0
    SUCCESS = 1
    NO_STORAGE = 2
    NO_MEMORY = 3
    CONNECTION_LOST = 4
    INTEGRITY = 5
    UNSUPPORTED_TYPE = 6
    INVALID_URI = 7
    UPDATE_FAILED = 8
    UNSUPPORTED_PROTOCOL = 9
    CANCELLED = 10
    DEFERRED = 11
    CONFLICTING = 12
    DEPENDENCY = 13


WHILE_DOWNLOADING = (
    Result.NO_STORAGE,
    Result.NO_MEMORY,
    Result.CONNECTION_LOST,
    Result.INTEGRITY,
    Result.UNSUPPORTED_TYPE,
    Result.INVALID_URI,
    Result.UNSUPPORTED_PROTOCOL,
)
BEFORE_INSTALLING = (Result.DEFERRED, Result.CONFLICTING, Result.DEPENDENCY)
FAILURES: dict[Fault | type[Exception], Result] = {
    Fault.UNSUPPORTED: Result.UNSUPPORTED_TYPE,
    Fault.CORRUPT: Result.INTEGRITY,
    InvalidUri: Result.INVALID_URI,
    UnsupportedProtocol: Result.UNSUPPORTED_PROTOCOL,
    ConnectionLost: Result.CONNECTION_LOST,
}


class FirmwareUpdate:
    """One Instance: its state machine, and the Resources a server sees of it."""

    def __init__(self, host: Host, options: UpdateOptions, faults: UpdateFaults, at: Path = ONLY) -> None:
        self._host, self._options, self._faults, self._at = host, options, faults, at
        self._image: Image | None = None
        self._installed = options.name, ""
        self._download: Download | None = None
        self._started = 0

    def resources(self, component: str | None = None, version: str = "") -> Instance:
        """``component`` and ``version`` are of an Instance of 33629."""
        integer, string = ResourceType.INTEGER, ResourceType.STRING
        self._installed = component or self._options.name, version
        made: Instance = {
            0: Resource(
                ResourceType.OPAQUE, operations="W", on_write=self._write_package, on_block=self._arriving
            ),
            1: Resource(string, "", "RW", on_write=self._write_uri),
            2: Resource(ResourceType.NONE, operations="E", on_execute=self._update),
            3: Resource(integer, int(State.IDLE)),
            5: Resource(integer, int(Result.INITIAL)),
            6: Resource(string, self._installed[0]),
            7: Resource(string, version),
            8: Resource(integer, {i: int(one) for i, one in enumerate(self._options.protocols)}),
            9: Resource(integer, int(self._options.delivery)),
        }
        if self._host.version != "1.0" or component is not None:
            made |= {
                10: Resource(ResourceType.NONE, operations="E", on_execute=self._cancel),
                11: Resource(integer, 1, "RW"),
                12: Resource(ResourceType.TIME, int(time.time())),
                13: Resource(ResourceType.UNSIGNED_INTEGER, 0, "RW"),
            }
        if component is not None:
            made |= {14: Resource(string, component), 15: Resource(string, version)}
        return made

    # --- state ---

    @property
    def _state(self) -> int:
        return int(str(self._host.get(self._at / 3).content))

    def _become(self, state: State, result: Result | None = None) -> None:
        if result is not None:
            self._host.set(self._at / 5, int(result))
        if state != self._state:
            self._host.set(self._at / 3, int(state))
            if self._host.version != "1.0" or self._at[0] == ADVANCED_FIRMWARE:
                self._host.set(self._at / 12, int(time.time()))

    def _name(self, name: str, version: str) -> None:
        self._host.set(self._at / 6, name)
        self._host.set(self._at / 7, version)

    def _reset(self, result: Result = Result.INITIAL) -> None:
        """What was there of an image is gone."""
        self._image = self._download = None
        self._started += 1
        self._name(*self._installed)
        self._host.get(self._at / 1).content = ""
        self._become(State.IDLE, result)

    def _expect(self, *states: State) -> None:
        if self._state not in states:
            raise RequestError(Code.METHOD_NOT_ALLOWED, f"not in state {self._state}")

    # --- the image ---

    def _arriving(self, length: int) -> None:
        """A Write of Package in blocks: ``length`` bytes are there."""
        if self._options.delivery == Delivery.PULL or self._download is not None:
            raise RequestError(Code.METHOD_NOT_ALLOWED, "it is to be fetched")
        self._expect(State.IDLE, State.DOWNLOADING)
        self._become(State.DOWNLOADING, Result.INITIAL)
        self._progressed(length)

    def _progressed(self, length: int) -> None:
        self._faults.lose_power(self._host, self._options.reboot, length)

    def _write_package(self, content: Content) -> Content:
        data = content if isinstance(content, bytes) else b""
        if data in NOTHING:
            self._expect(State.IDLE, State.DOWNLOADING, State.DOWNLOADED)
            self._reset()
            return None
        self._arriving(len(data))
        reception = Reception()
        try:
            reception.feed(data)
            self._received(reception.finish())
        except ImageRejected as rejected:
            self._reset(FAILURES[rejected.fault])
        return None

    def _write_uri(self, content: Content) -> Content:
        uri = str(content)
        if not uri:
            self._expect(State.IDLE, State.DOWNLOADING, State.DOWNLOADED)
            self._reset()
            return ""
        if self._options.delivery == Delivery.PUSH:
            raise RequestError(Code.METHOD_NOT_ALLOWED, "it is to be written")
        self._expect(State.IDLE)
        self._become(State.IDLE, Result.INITIAL)
        scheme = SCHEMES.get(uri.partition(":")[0])
        if scheme is None or scheme not in self._options.protocols:
            self._host.set(self._at / 5, int(Result.UNSUPPORTED_PROTOCOL))
            return uri
        self._download = self._host.download(uri, self._progressed)
        self._fetch(self._download)
        return uri

    def _fetch(self, download: Download) -> None:
        self._started += 1
        self._become(State.DOWNLOADING)
        self._host.spawn(self._run(download, self._started))

    async def _run(self, download: Download, run: int) -> None:
        found = await fetched(download, FAILURES)
        if found is None or run != self._started:
            return
        if isinstance(found, Image):
            self._received(found)
        else:
            self._reset(found)

    def _received(self, image: Image) -> None:
        self._download = None
        due = self._faults.take_result(*WHILE_DOWNLOADING)
        if due is not None:
            self._reset(Result(due))
            return
        self._image = image
        self._name(image.name, image.version)
        self._become(State.DOWNLOADED, Result.INITIAL)

    # --- the installation ---

    def _cancel(self, arguments: str) -> None:
        self._expect(State.DOWNLOADING, State.DOWNLOADED)
        self._reset(Result.CANCELLED)

    def _update(self, arguments: str) -> None:
        self._expect(State.DOWNLOADED)
        if self._faults.take_result(Result.CANCELLED) is not None:
            self._reset(Result.CANCELLED)
            return
        due = self._faults.take_result(*BEFORE_INSTALLING)
        if due is not None:
            self._become(State.DOWNLOADED, Result(due))
            return
        self._become(State.UPDATING, Result.INITIAL)
        self._host.spawn(self._install())

    async def _install(self) -> None:
        await asyncio.sleep(self._options.install)
        self._host.restart(None if self._faults.lost else self._options.reboot)

    def booted(self) -> None:
        """The device is back, before it registers."""
        if self._state == State.UPDATING and self._image is not None:
            self._installed_or_not(self._image)
        elif self._state == State.DOWNLOADING and self._download is not None and not self._faults.forgetful:
            self._fetch(self._download)
        elif self._state == State.DOWNLOADING:
            self._reset()

    def _installed_or_not(self, image: Image) -> None:
        if self._faults.power_loss_installing:
            self._faults.power_loss_installing = False
            self._reset()
        elif self._faults.take_result(Result.UPDATE_FAILED) is not None:
            # In LwM2M 1.0 the image stays, and the server may try again (E.6.1).
            if self._host.version == "1.0":
                self._become(State.DOWNLOADED, Result.UPDATE_FAILED)
            else:
                self._reset(Result.UPDATE_FAILED)
        else:
            if not self._faults.lying:
                self._run_now(image)
            self._reset(Result.SUCCESS)

    def _run_now(self, image: Image) -> None:
        self._installed = image.name, image.version
        if self._at[0] == FIRMWARE:
            self._host.set(FIRMWARE_VERSION, image.version)
        else:
            self._host.set(self._at / 15, image.version)


def firmware_objects(
    host: Host, options: UpdateOptions, faults: UpdateFaults, version: str
) -> tuple[list[SimulatedObject], list[FirmwareUpdate]]:
    """Object 5, an Instance of 33629 for each component, and their machines; ``version`` is what runs."""
    only = FirmwareUpdate(host, options, faults)
    objects = [
        SimulatedObject(
            FIRMWARE,
            {0: only.resources(version=version)},
            None if host.version == "1.0" else "1.1",
        )
    ]
    machines = [only]
    if options.components:
        instances = {}
        for number, component in enumerate(options.components):
            machine = FirmwareUpdate(host, options, faults, Path((ADVANCED_FIRMWARE, number)))
            instances[number] = machine.resources(component, version)
            machines.append(machine)
        objects.append(SimulatedObject(ADVANCED_FIRMWARE, instances, "1.0"))
    return objects, machines
