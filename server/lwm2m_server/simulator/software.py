"""Software Management (9) of a simulated device: Instances that are installed one by one."""

from __future__ import annotations

import asyncio
from enum import IntEnum

from lwm2m_engine.coap import Code
from lwm2m_engine.errors import RequestError
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ResourceType
from lwm2m_server.simulator.downloading import ConnectionLost, Download, InvalidUri, UnsupportedProtocol
from lwm2m_server.simulator.images import Fault, Image, ImageRejected, Reception
from lwm2m_server.simulator.tree import Content, Instance, Resource, SimulatedObject
from lwm2m_server.simulator.updating import Delivery, Host, UpdateFaults, UpdateOptions, fetched

SOFTWARE = 9
FOR_UPDATE = "1"
"""The argument of Uninstall when another version is to come."""


class State(IntEnum):
    """Update State (/9/x/7)."""

    INITIAL, DOWNLOAD_STARTED, DOWNLOADED, DELIVERED, INSTALLED = range(5)


class Result(IntEnum):
    """Update Result (/9/x/9)."""

    INITIAL = 0
    DOWNLOADING = 1
    INSTALLED = 2
    DELIVERED = 3
    NO_STORAGE = 50
    NO_MEMORY = 51
    CONNECTION_LOST = 52
    INTEGRITY = 53
    UNSUPPORTED_TYPE = 54
    INVALID_URI = 56
    DEVICE_ERROR = 57
    INSTALLATION_FAILED = 58
    UNINSTALLATION_FAILED = 59


WHILE_DOWNLOADING = tuple(Result)[4:11]
FAILURES: dict[Fault | type[Exception], Result] = {
    Fault.UNSUPPORTED: Result.UNSUPPORTED_TYPE,
    Fault.CORRUPT: Result.INTEGRITY,
    InvalidUri: Result.INVALID_URI,
    UnsupportedProtocol: Result.INVALID_URI,
    ConnectionLost: Result.CONNECTION_LOST,
}


class SoftwareUpdate:
    """One Instance: its state machine, and the Resources a server sees of it."""

    def __init__(self, host: Host, options: UpdateOptions, faults: UpdateFaults, number: int) -> None:
        self._host, self._options, self._faults = host, options, faults
        self._at = Path((SOFTWARE, number))
        self._download: Download | None = None
        self._started = 0

    def resources(self) -> Instance:
        none, string, boolean = ResourceType.NONE, ResourceType.STRING, ResourceType.BOOLEAN
        return {
            0: Resource(string, ""),
            1: Resource(string, ""),
            2: Resource(
                ResourceType.OPAQUE, operations="W", on_write=self._write_package, on_block=self._arriving
            ),
            3: Resource(string, "", "W", on_write=self._write_uri),
            4: Resource(none, operations="E", on_execute=self._install),
            6: Resource(none, operations="E", on_execute=self._uninstall),
            7: Resource(ResourceType.INTEGER, int(State.INITIAL)),
            9: Resource(ResourceType.INTEGER, int(Result.INITIAL)),
            10: Resource(none, operations="E", on_execute=lambda _: self._activate(True)),
            11: Resource(none, operations="E", on_execute=lambda _: self._activate(False)),
            12: Resource(boolean, False),
        }

    # --- state ---

    @property
    def _state(self) -> int:
        return int(str(self._host.get(self._at / 7).content))

    def _become(self, state: State, result: Result) -> None:
        self._host.set(self._at / 9, int(result))
        if state != self._state:
            self._host.set(self._at / 7, int(state))

    def _expect(self, *states: State) -> None:
        if self._state not in states:
            raise RequestError(Code.METHOD_NOT_ALLOWED, f"not in state {self._state}")

    def _fail(self, result: Result) -> None:
        self._download = None
        self._started += 1
        self._become(State.INITIAL, result)

    def _activate(self, active: bool) -> None:
        self._expect(State.INSTALLED)
        self._host.set(self._at / 12, active)

    # --- the image ---

    def _arriving(self, length: int) -> None:
        if self._options.delivery == Delivery.PULL or self._download is not None:
            raise RequestError(Code.METHOD_NOT_ALLOWED, "it is to be fetched")
        self._expect(State.INITIAL, State.DOWNLOAD_STARTED)
        self._become(State.DOWNLOAD_STARTED, Result.DOWNLOADING)
        self._progressed(length)

    def _progressed(self, length: int) -> None:
        self._faults.lose_power(self._host, self._options.reboot, length)

    def _write_package(self, content: Content) -> Content:
        data = content if isinstance(content, bytes) else b""
        self._arriving(len(data))
        reception = Reception()
        try:
            reception.feed(data)
            self._received(reception.finish())
        except ImageRejected as rejected:
            self._fail(FAILURES[rejected.fault])
        return None

    def _write_uri(self, content: Content) -> Content:
        if self._options.delivery == Delivery.PUSH:
            raise RequestError(Code.METHOD_NOT_ALLOWED, "it is to be written")
        self._expect(State.INITIAL)
        self._download = self._host.download(str(content), self._progressed)
        self._fetch(self._download)
        return content

    def _fetch(self, download: Download) -> None:
        self._started += 1
        self._become(State.DOWNLOAD_STARTED, Result.DOWNLOADING)
        self._host.spawn(self._run(download, self._started))

    async def _run(self, download: Download, run: int) -> None:
        found = await fetched(download, FAILURES)
        if found is None or run != self._started:
            return
        if isinstance(found, Image):
            self._received(found)
        else:
            self._fail(found)

    def _received(self, image: Image) -> None:
        self._download = None
        due = self._faults.take_result(*WHILE_DOWNLOADING)
        if due is not None:
            self._fail(Result(due))
            return
        self._host.set(self._at / 0, image.name)
        self._host.set(self._at / 1, image.version)
        self._become(State.DELIVERED, Result.DELIVERED)

    # --- the installation ---

    def _install(self, arguments: str) -> None:
        self._expect(State.DELIVERED)
        self._host.spawn(self._installing())

    async def _installing(self) -> None:
        await asyncio.sleep(self._options.install)
        if self._faults.take_result(Result.INSTALLATION_FAILED) is not None:
            self._become(State.DELIVERED, Result.INSTALLATION_FAILED)
            return
        self._become(State.INSTALLED, Result.INSTALLED)

    def _uninstall(self, arguments: str) -> None:
        self._expect(State.INSTALLED, State.DELIVERED)
        if self._faults.take_result(Result.UNINSTALLATION_FAILED) is not None:
            self._become(State.INSTALLED, Result.UNINSTALLATION_FAILED)
            return
        if arguments.strip("'\"") != FOR_UPDATE:
            self._host.set(self._at / 0, "")
            self._host.set(self._at / 1, "")
            self._host.set(self._at / 12, False)
        self._become(State.INITIAL, Result.INITIAL)

    def booted(self) -> None:
        """The device is back, before it registers."""
        if self._state != State.DOWNLOAD_STARTED:
            return
        if self._download is not None and not self._faults.forgetful:
            self._fetch(self._download)
        else:
            self._fail(Result.INITIAL)


def software_object(
    host: Host, options: UpdateOptions, faults: UpdateFaults
) -> tuple[SimulatedObject, list[SoftwareUpdate]]:
    """Object 9 with as many Instances as the options say, and their machines."""
    machines = [SoftwareUpdate(host, options, faults, number) for number in range(options.software)]
    instances = {number: machine.resources() for number, machine in enumerate(machines)}
    return SimulatedObject(SOFTWARE, instances), machines
