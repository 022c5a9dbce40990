"""``lwm2m read``, ``write`` … against a real server with simulated devices."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
from click.testing import CliRunner, Result

from lwm2m_engine.coap import Code
from lwm2m_engine.values import ResourceType
from lwm2m_server.cli.main import lwm2m
from lwm2m_server.coap import wire
from lwm2m_server.simulator.device import SimulatedDevice
from lwm2m_server.simulator.objects import device_object, server_object
from lwm2m_server.simulator.tree import Instance, Resource, SimulatedObject

LWM2M = Path(sys.executable).with_name("lwm2m")
PATIENCE = 20


def firmware() -> SimulatedObject:
    return SimulatedObject(5, {0: {0: Resource(ResourceType.OPAQUE, b"", "RW")}})


def temperature() -> Instance:
    return {
        5700: Resource(ResourceType.FLOAT, 21.5, "RW"),
        5701: Resource(ResourceType.STRING, "Cel", "RW"),
    }


def devices(server: tuple[str, int]) -> list[SimulatedDevice]:
    thermometer = SimulatedObject(3303, {0: temperature()}, template=temperature)
    objects = [server_object(300, "U"), device_object(), firmware(), thermometer]
    return [
        SimulatedDevice("meter", server, version="1.1", objects=objects),
        SimulatedDevice("sleeper", server, version="1.1", queue_mode=True, awake=0.1, sleep=600.0),
    ]


class Site:
    """A server process, its devices in a thread, and a terminal."""

    def __init__(self, url: str, coap: tuple[str, int], fleet: list[SimulatedDevice]) -> None:
        self.url, self.coap = url, coap
        self.devices = {device.endpoint: device for device in fleet}

    def run(self, *words: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(
            lwm2m, [*words, "--url", self.url], input=stdin, default_map={words[0]: {"wait": PATIENCE}}
        )

    def good(self, *words: str, stdin: bytes | None = None) -> str:
        result = self.run(*words, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result.stdout

    def wrong(self, code: int, *words: str) -> str:
        result = self.run(*words)
        assert result.exit_code == code, result.output
        return result.output


def live(fleet: list[SimulatedDevice], there: Event, over: Event) -> None:
    async def main() -> None:
        for device in fleet:
            await device.start()
            await device.registered()
        there.set()
        await asyncio.to_thread(over.wait)
        for device in fleet:
            await device.stop()

    asyncio.run(main())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    command = [
        LWM2M,
        "serve",
        "--coap",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--unknown-devices",
        "create",
    ]
    folder = tmp_path_factory.mktemp("site")
    (folder / "lwm2m.toml").write_text("[devices]\nawake_window = 0.2\n")
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    addresses = json.loads(process.stdout.readline())
    host, _, port = addresses["coap"].rpartition(":")
    fleet = devices((host, int(port)))
    there, over = Event(), Event()
    thread = Thread(target=live, args=(fleet, there, over))
    thread.start()
    try:
        assert there.wait(PATIENCE)
        site = Site(addresses["http"], (host, int(port)), fleet)
        until(lambda: "asleep" in site.good("devices", "list"))
        yield site
    finally:
        over.set()
        thread.join()
        process.terminate()
        process.wait(PATIENCE)
        process.stdout.close()


def until(look: Callable[[], bool]) -> None:
    pause = Event()
    for _ in range(PATIENCE * 10):
        if look():
            return
        pause.wait(0.1)
    raise AssertionError("it did not happen")


def cells(text: str) -> list[list[str]]:
    """The rows of a table below its heading."""
    return [line.split() for line in text.splitlines()[1:]]


# --- read, write, execute --------------------------------------------------------------------------------


def test_a_resource_by_number_and_by_name(site: Site) -> None:
    assert cells(site.good("read", "meter", "/3/0/9")) == [["/3/0/9", "Battery", "Level", "72", "%"]]
    assert site.good("read", "meter", "/3/0/battery_level") == site.good("read", "meter", "3/0/9")


def test_a_time_is_readable_and_exact_in_json(site: Site) -> None:
    assert cells(site.good("read", "meter", "/3/0/13"))[0][3].startswith("20")
    (answer,) = json.loads(site.good("read", "meter", "/3/0/13", "--json"))
    assert answer["dataValue"]["3/0/13"] > 1_700_000_000_000


def test_a_format_is_asked_for(site: Site) -> None:
    assert "21.5" in site.good("read", "meter", "/3303", "--format", "tlv")
    assert "4.06" in site.wrong(1, "read", "meter", "/3303", "--format", "lwm2m-cbor")


def test_everything(site: Site) -> None:
    paths = {row[0].split("/")[1] for row in cells(site.good("read", "meter", "/"))}
    assert {"1", "3", "3303"} <= paths


def test_write_a_value_an_instance_and_part_of_one(site: Site) -> None:
    assert site.good("write", "meter", "/3/0/utc_offset", "+05:00") == "write /3/0/14 -> 2.04\n"
    assert site.devices["meter"].get("/3/0/14").content == "+05:00"
    site.good("write", "meter", "/1/0", '{"lifetime": 600}', "--update")
    assert site.devices["meter"].get("/1/0/1").content == 600
    site.good("write", "meter", "/3/0/14", "@@home")
    assert site.devices["meter"].get("/3/0/14").content == "@home"


def test_an_opaque_value_comes_from_a_file(site: Site, tmp_path: Path) -> None:
    image = bytes(range(256)) * 8
    (tmp_path / "firmware.bin").write_bytes(image)
    site.good("write", "meter", "/5/0/0", f"@{tmp_path}/firmware.bin")
    assert site.devices["meter"].get("/5/0/0").content == image
    site.good("write", "meter", "/5/0/package", "@-", stdin=b"\x00\xff")
    assert site.devices["meter"].get("/5/0/0").content == b"\x00\xff"
    site.good("write", "meter", "/5/0/0", base64.b64encode(b"12").decode())
    assert site.devices["meter"].get("/5/0/0").content == b"12"


def test_a_file_must_fit_its_resource(site: Site, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"\xff")
    assert "is not text" in site.wrong(2, "write", "meter", "/3/0/14", f"@{tmp_path}/blob")
    assert "No such file" in site.wrong(2, "write", "meter", "/3/0/14", f"@{tmp_path}/none")
    assert "no definition" in site.wrong(2, "write", "meter", "/9999/0/0", f"@{tmp_path}/blob")


def test_execute_with_arguments(site: Site) -> None:
    site.good("execute", "meter", "/3/0/reboot")
    site.good("execute", "meter", "/3/0/4", "0='now'")
    assert site.devices["meter"].get("/3/0/4").executed == ["", "0='now'"]


def test_create_and_delete(site: Site) -> None:
    made = site.good("create", "meter", "/3303", '{"sensor_value": 3.5}').split()[-1]
    assert site.devices["meter"].get(f"{made}/5700").content == 3.5
    site.good("create", "meter", "/3303/7", '{"5700": 4.5}')
    assert site.devices["meter"].get("/3303/7/5700").content == 4.5
    assert site.good("delete", "meter", "/3303/7") == "delete /3303/7 -> 2.02\n"
    assert 7 not in site.devices["meter"].tree.objects[3303].instances


def test_discover_shows_attributes(site: Site) -> None:
    site.good("write-attributes", "meter", "/3/0/10", "pmin=10", "pmax=60")
    assert ["/3/0/10", "pmin=10", "pmax=60"] in cells(site.good("discover", "meter", "/3"))
    site.good("write-attributes", "meter", "/3/0/10", "pmin")
    assert ["/3/0/10", "pmax=60"] in cells(site.good("discover", "meter", "/3/0"))


# --- composites and observations -------------------------------------------------------------------------


def test_composites(site: Site) -> None:
    found = cells(site.good("read-composite", "meter", "/3/0/battery_level", "/3303/0/5700"))
    assert [row[0] for row in found] == ["/3/0/9", "/3303/0/5700"]
    site.good("write-composite", "meter", "/3/0/utc_offset=-03:00", "/3303/0/5700=1.5")
    meter = site.devices["meter"]
    assert (meter.get("/3/0/14").content, meter.get("/3303/0/5700").content) == ("-03:00", 1.5)
    site.good("write-composite", "meter", '{"/3/0/14": "+00:00"}')
    assert meter.get("/3/0/14").content == "+00:00"


def test_observe_and_cancel(site: Site) -> None:
    assert "72" in site.good("observe", "meter", "/3/0/9", "pmin=1", "pmax=60")
    assert "/3/0/9 pmin=1&pmax=60" in site.good("devices", "show", "meter").split("observed")[1]
    site.good("cancel", "meter", "/3/0/battery_level")
    assert "observed" not in site.good("devices", "show", "meter")


def test_observe_several_paths_as_one(site: Site) -> None:
    found = cells(site.good("observe-composite", "meter", "/3/0/9", "/3303/0/5700"))
    assert [row[0] for row in found] == ["/3/0/9", "/3303/0/5700"]
    site.good("cancel", "meter", "/3/0/9", "/3303/0/5700")
    assert "two paths" in site.wrong(2, "observe-composite", "meter", "/3/0/9", "pmin=10")


# --- what is wrong, and what waits -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("read", "nobody", "/3"), "no device 'nobody'"),
        (("read", "meter", "/3/0/batery_level"), "did you mean 'battery_level'?"),
        (("read", "meter", "/3/0/9/9/9"), "more than four ids"),
        (("read", "meter", "/3/0/99"), "has no resource 99"),
        (("read", "meter", "/3", "--format", "nope"), "unknown content format 'nope'"),
        (("write", "meter", "/3303/0/5700", "warm"), "warm"),
        (("observe", "meter", "/3/0/9", "pmim=1"), "did you mean 'pmin'?"),
        (("observe", "meter", "/3/0/9", "pmin=1&pmax=2"), "pmin"),
        (("write-composite", "meter", "/3/0/14"), "is not PATH=VALUE"),
        (("write-composite", "meter", "/3/0/14=x", "/3/0/14=y"), "written twice"),
        (("write-composite", "meter", "/gw0/3/0/14=x", "/3/0/15=y"), "several devices"),
        (("create", "meter", "/3303/9", "3"), "object"),
        (("discover", "meter", "/3", "--depth", "9"), "depth"),
    ],
)
def test_misuse(site: Site, words: tuple[str, ...], said: str) -> None:
    result = site.wrong(2, *words)
    assert said in result
    assert "Traceback" not in result


def test_a_refusal_of_the_device(site: Site) -> None:
    assert site.wrong(1, "write", "meter", "/3/0/9", "5") == "write /3/0/9 -> 4.05\n"
    (answer,) = json.loads(site.run("read", "meter", "/3/0/reboot", "--json").stdout)
    assert answer["responseCode"] == "4.05"


def test_what_a_sleeper_is_asked_waits(site: Site) -> None:
    result = site.run("read", "sleeper", "/3/0/9", "--wait", "0.1")
    assert result.exit_code == 3
    assert result.stdout == ""
    number = result.stderr.split("sleeper is asleep; message ")[1].split()[0]
    assert f"no answer within 0.1 s; message {number} is still on its way" in result.stderr

    (waiting,) = json.loads(site.good("queue", "sleeper", "--json"))
    assert (waiting["id"], waiting["state"]) == (number, "waiting")
    assert waiting["until"] - waiting["since"] == 7 * 24 * 3600 * 1000
    assert cells(site.good("queue", "sleeper"))[0][:3] == [number, "GET", "/3/0/9"]
    assert "GET /3/0/9" in site.good("devices", "show", "sleeper")

    assert "no message" in site.wrong(2, "queue", "sleeper", "--cancel", "beef")
    assert site.good("queue", "sleeper", "--cancel", number) == f"{number} taken back\n"
    assert "nothing waits" in site.run("queue", "sleeper").stderr


def test_nobody_waits_for_an_answer(site: Site) -> None:
    number = site.good("read", "sleeper", "/3/0/9", "--no-wait").removeprefix("accepted as ").strip()
    created = json.loads(site.good("execute", "sleeper", "/3/0/4", "--no-wait", "--json"))
    waiting = [message["id"] for message in json.loads(site.good("queue", "sleeper", "--json"))]
    assert waiting == [number, created["resourceID"]]
    site.devices["sleeper"]._loop.call_soon_threadsafe(site.devices["sleeper"].wake)
    until(lambda: not json.loads(site.good("queue", "sleeper", "--json")))
    assert site.devices["sleeper"].get("/3/0/4").executed == [""]


def test_no_server() -> None:
    result = CliRunner().invoke(lwm2m, ["read", "x", "/3", "--url", "http://127.0.0.1:9"])
    assert result.exit_code == 1
    assert "no server answers at http://127.0.0.1:9" in result.stderr


# --- traces ----------------------------------------------------------------------------------------------


def test_a_trace_shows_what_is_said(site: Site) -> None:
    assert "not traced" in site.run("trace", "meter").stderr
    site.good("trace", "meter", "--on")
    site.good("read", "meter", "/3/0/9", "--format", "text")
    site.run("write", "meter", "/3/0/9", "5")
    asked, answered, *_, refused = site.good("trace", "meter").splitlines()
    assert asked.split()[1:] == ["->", "GET", "/3/0/9", "CON"]
    assert answered.split()[1:9] == ["<-", "2.05", "/3/0/9", "text", "2", "B:", "/3/0/9", "="]
    assert refused.split()[1:4] == ["<-", "4.05", "/3/0/9"]
    messages = [json.loads(line) for line in site.good("trace", "meter", "--json").splitlines()]
    assert (messages[0]["message"], messages[1]["values"]) == ("GET", {"3/0/9": 72})
    assert messages[0]["exchange"] == messages[1]["exchange"]
    site.good("trace", "meter", "--off")
    assert "not traced" in site.run("trace", "meter").stderr


def test_a_trace_is_followed_and_ends_with_its_follower(site: Site) -> None:
    command = [LWM2M, "trace", "meter", "--follow", "--json", "--url", site.url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    until(lambda: not site.run("trace", "meter").stderr)
    site.good("observe", "meter", "/3/0/10")
    lines = [json.loads(process.stdout.readline()) for _ in range(2)]
    assert [line["message"] for line in lines] == ["GET", "2.05"]
    meter = site.devices["meter"]
    meter._loop.call_soon_threadsafe(meter.set, "/3/0/10", 75000)
    notified = json.loads(process.stdout.readline())
    assert (notified["direction"], notified["path"]) == ("up", "/3/0/10")
    assert notified["values"] == {"3/0/10": 75000}
    meter._loop.call_soon_threadsafe(meter.wake)
    update, answer = (json.loads(process.stdout.readline()) for _ in range(2))
    assert (update["message"], update["direction"], answer["message"]) == ("POST", "up", "2.04")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0
    process.stdout.close()
    assert "not traced" in site.run("trace", "meter").stderr
    site.good("cancel", "meter", "/3/0/10")


def test_a_device_that_is_refused_can_be_traced(site: Site) -> None:
    """Why it is refused is what one wants to know."""
    site.good("devices", "add", "newcomer")
    site.good("trace", "newcomer", "--on")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        register = wire.Message(
            wire.CON, Code.POST, 7, b"t", ((11, b"rd"), (15, b"ep=newcomer"), (15, b"lwm2m=9.9")), b"</3/0>"
        )
        device.sendto(wire.encode(register), site.coap)
    until(lambda: bool(site.good("trace", "newcomer")))
    asked, answered = site.good("trace", "newcomer").splitlines()
    assert "POST /rd?ep=newcomer&lwm2m=9.9" in asked
    assert "4.12 /rd" in answered
    site.good("devices", "remove", "newcomer")


def test_when_a_device_listens_is_set_shown_and_taken_back(site: Site) -> None:
    power = ("devices", "power", "meter")
    assert site.good(*power) == "as it says itself when it registers\n"
    assert site.good(*power, "--awake-window", "20") == "20 s after each message\n"
    assert "always awake" in site.good("devices", "show", "meter")
    shown = site.good(*power, "--active-timer", "0.1", "--tau", "86400")
    assert shown == "PSM: 0.1 s after each message, and every 86400 s\n"
    shown = site.good("devices", "show", "meter")
    assert "no queue mode: saves power" in shown
    assert "PSM: 0.1 s after each message" in shown
    until(lambda: json.loads(site.good("devices", "show", "meter", "--json"))["awake"] is False)
    assert "meter is asleep" in site.run("read", "meter", "/3/0/9", "--wait", "0.5").output
    assert site.good(*power, "--psm") == "PSM: for a while after each message\n"
    edrx = site.good(*power, "--edrx-cycle", "40.96", "--paging-window", "5.12", "--json")
    assert json.loads(edrx)["edrx"] == {"cycle": 40.96, "pagingTimeWindow": 5.12}
    assert site.good(*power) == "eDRX: for a while after each message, and for 5.12 s every 40.96 s\n"
    until(lambda: "asleep until" in site.good("devices", "show", "meter"))
    assert "edrx.cycle: is missing" in site.wrong(2, *power, "--paging-window", "5")
    assert "--default stands alone" in site.wrong(2, *power, "--default", "--psm")
    assert "nobody" in site.wrong(2, "devices", "power", "nobody", "--psm")
    assert site.good(*power, "--default") == "as it says itself when it registers\n"
    assert "always awake" in site.good("devices", "show", "meter")
