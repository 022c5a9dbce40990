"""Managed resources and the device: what it accepts shows, what is executed tells how it goes."""

from __future__ import annotations

from typing import Any

import pytest

from lwm2m_engine import Action, Catalog, Mapping, Path, PluginManager, Rule, When
from lwm2m_engine.coap import CoapReply, Code
from lwm2m_engine.engine import DeviceRecord, Hooks, Waiting
from lwm2m_engine.engine.events import Failed, InputsChanged, ManagedChanged, Warned
from lwm2m_engine.errors import RequestError, UnknownDevice
from lwm2m_engine.mapping.managed import ManagedCommand
from lwm2m_engine.mapping.table import MappingTable
from lwm2m_engine.messages import Execute, Read, Request

OK, REFUSED = CoapReply(Code.CHANGED), CoapReply(Code.METHOD_NOT_ALLOWED)
LINKS = b"</1/0>,</3/0>,</5>,</4/0>"
UPDATE = "POST /5/0/2"


@pytest.fixture(scope="module")
def table(catalog: Catalog) -> MappingTable:
    firmware = Mapping(
        "m2m:firmware",
        name="firmware",
        rules=[Rule("/5/0/package_uri", "URL", write=True), Rule("/5/0/3", "state")],
        actions=[
            Action(
                "/5/0/update",
                "update",
                status="how",
                tell=lambda outcome: outcome.value,
                when=When(
                    ("/5/0/3", "/5/0/5"),
                    lambda state, result: True if state == 2 else False if result else None,
                ),
            )
        ],
    )
    network = Mapping("dcfg:mnwk", name="mobile-network", rules=[Rule("/4/0/4/*", "ipAddresses")])
    reboot = Mapping("m2m:reboot", name="reboot", actions=[Action("/3/0/4", "reboot")])
    return MappingTable.compile([("p", one) for one in (firmware, network, reboot)], catalog)


@pytest.fixture
def world(make_world: Any, table: MappingTable) -> Any:
    found = make_world(table=table)
    found.register(links=LINKS)
    return found


def how(world: Any) -> list[Any]:
    return [
        event.change.changed["how"] for event in world.told(ManagedChanged) if "how" in event.change.changed
    ]


def told(world: Any, name: str) -> dict[str, Any]:
    changes = [event.change for event in world.told(ManagedChanged) if event.change.name == name]
    return dict(changes[-1].attributes) if changes else {}


def test_what_can_be_executed_is_there_from_the_register_on(world: Any) -> None:
    assert told(world, "firmware") == {"update": False}
    assert told(world, "reboot") == {"reboot": False}
    world.events.clear()
    world.register("dev2", links=b"</1/0>,</3/0>")
    assert {event.change.name for event in world.told(ManagedChanged)} == {"reboot"}


def test_an_object_that_comes_later_brings_it_along(world: Any) -> None:
    location = world.register("dev2", links=b"</1/0>")
    world.events.clear()
    world.update(location, payload=b"</1/0>,</3/0>", peer=world.peer("dev2"))
    assert told(world, "reboot") == {"reboot": False}


def test_what_the_device_accepted_is_what_it_has(world: Any) -> None:
    world.ask("PUT /5/0/1 http://a")
    assert "URL" not in told(world, "firmware")
    world.answer(OK)
    assert told(world, "firmware")["URL"] == "http://a"
    assert world.told(InputsChanged)[-1].inputs == ((Path("/5/0/1"), "http://a"),)
    world.ask("PUT /5/0/1 http://b")
    world.answer(REFUSED)
    assert told(world, "firmware")["URL"] == "http://a"
    world.ask('IPATCH / {"/5/0/1": "http://c"}')
    world.answer(OK)
    assert told(world, "firmware")["URL"] == "http://c"


def test_an_execute_tells_how_it_goes(world: Any) -> None:
    world.ask(UPDATE)
    assert how(world) == ["pending"]
    world.answer(OK)
    assert how(world) == ["pending", "done"]
    world.ask(UPDATE)
    world.answer(REFUSED)
    assert how(world)[2:] == ["pending", "failed"]
    world.ask(UPDATE)
    world.fail("timeout")
    assert how(world)[4:] == ["pending", "failed"]
    world.ask(UPDATE, id=7)
    world.take(world.engine.cancel("dev1", 7, world.now))
    assert how(world)[6:] == ["pending", "cancelled"]


def test_one_that_waits_too_long_has_failed(make_world: Any, table: MappingTable) -> None:
    world = make_world(table=table)
    world.engine.add("dev1")
    world.ask(UPDATE, expires_at=world.now + 10)
    world.pass_time(11)
    assert how(world) == ["pending", "failed"]
    assert world.told(Failed)[0].reason == "expired"


def values(world: Any, **at: int) -> CoapReply:
    ((name, value),) = at.items()
    path = {"state": "/5/0/3", "result": "/5/0/5"}[name]
    return world.content({path: value}, path, observe=1)


def test_a_deferred_one_lets_others_pass_until_it_may_go(world: Any) -> None:
    world.ask(UPDATE, deferred=True, id=1)
    world.ask("GET /3/0/0", id=2)
    assert [one.request.path for one in world.wire] == [("3", "0", "0")]
    world.answer(world.content({"/3/0/0": "x"}, "/3/0/0"))
    world.ask("OBSERVE /5/0/3", id=3)
    world.answer(values(world, state=1))
    assert not world.wire
    assert how(world) == ["pending"]
    world.ask("GET /5/0/3", id=4)
    world.answer(world.content({"/5/0/3": 2}, "/5/0/3"))
    assert [one.request.path for one in world.wire] == [("5", "0", "2")]
    world.answer(OK)
    assert how(world) == ["pending", "done"]
    assert world.engine.presence("dev1").waiting == 0


def test_a_deferred_one_that_never_may_go_is_given_up(world: Any) -> None:
    world.ask(UPDATE, deferred=True, id=1)
    world.ask("GET /5/0/5", id=2)
    world.answer(world.content({"/5/0/5": 7}, "/5/0/5"))
    (failed,) = world.told(Failed)
    assert (failed.message, failed.reason) == (1, "refused")
    assert how(world) == ["pending", "failed"]
    assert not world.wire


def test_functions_of_an_action_that_fail_are_told_and_stop_nothing(
    make_world: Any, catalog: Catalog
) -> None:
    def fail(*values: Any) -> Any:
        raise ArithmeticError("no idea")

    action = Action("/5/0/2", "update", status="how", tell=fail, when=When("/5/0/3", fail))
    mapping = Mapping("m2m:firmware", name="firmware", actions=[action])
    world = make_world(table=MappingTable.compile([("p", mapping)], catalog))
    world.register(links=LINKS)
    world.ask(UPDATE, deferred=True, id=1)
    world.ask("GET /5/0/3", id=2)
    world.answer(world.content({"/5/0/3": 2}, "/5/0/3"))
    (failed,) = world.told(Failed)
    why = "plugin p: firmware: rule update -> /5/0/2: test(None) raised ArithmeticError: no idea"
    assert (failed.message, failed.detail) == (1, why)
    warned = [(one.about, one.place, one.text) for one in world.told(Warned)]
    place = ("p", "firmware", "update -> /5/0/2")
    assert ("mapping", place, why) in warned
    assert why.replace("test(None)", "tell(Outcome.FAILED)") in [text for _, _, text in warned]


def test_what_was_known_before_is_not_what_it_waits_for(world: Any) -> None:
    world.ask("GET /5/0/5", id=1)
    world.answer(world.content({"/5/0/5": 7}, "/5/0/5"))
    world.ask(UPDATE, deferred=True, id=2)
    assert not world.told(Failed)
    assert world.engine.presence("dev1").waiting == 1


def test_a_deferred_one_is_brought_back_and_an_executed_one_has_failed(world: Any) -> None:
    registration, request = world.engine.registration("dev1"), Execute(Path("/5/0/2"))
    liveness = world.engine._state.devices["dev1"].liveness
    deferred = Waiting(5, request, world.now, None, deferred=True)
    in_flight = Waiting(4, request, world.now, None, in_flight=True)
    record = DeviceRecord("dev1", registration, liveness, outbox=(in_flight, deferred))
    world.events.clear()
    world.take(world.engine.restore([record], world.now))
    assert how(world) == ["failed"]
    assert not world.wire
    world.ask("GET /5/0/3", id=6)
    world.answer(world.content({"/5/0/3": 2}, "/5/0/3"))
    assert [one.request.path for one in world.wire] == [("5", "0", "2")]


def test_instances_that_are_gone_are_told(world: Any) -> None:
    world.ask("GET /4/0", id=1)
    world.answer(world.content({"/4/0/4/0": "a", "/4/0/4/1": "b"}, "/4/0"))
    assert told(world, "mobile-network") == {"ipAddresses": ["a", "b"]}
    world.ask("GET /4/0/4", id=2)
    world.answer(world.content({"/4/0/4/1": "c"}, "/4/0/4"))
    assert told(world, "mobile-network") == {"ipAddresses": ["c"]}
    assert dict(world.told(InputsChanged)[-1].inputs) == {Path("/4/0/4/0"): None, Path("/4/0/4/1"): "c"}


# --- commands ----------------------------------------------------------------------------------------


def test_a_command_asks_the_hook_and_then_the_rules(make_world: Any, table: MappingTable) -> None:
    class Own(Hooks):
        def mgmt_command(self, command: ManagedCommand) -> tuple[Request, ...] | None:
            asked.append(command)
            return (Read(Path("/3/0")),) if command.name == "reboot" else None

    asked: list[ManagedCommand] = []
    world = make_world(Own(), table)
    world.engine.add("dev1")
    (order,) = world.engine.command("dev1", "reboot", {"reboot": True})
    assert (order.request, order.deferred) == (Read(Path("/3/0")), False)
    assert asked == [ManagedCommand("dev1", "m2m:reboot", "reboot", {"reboot": True})]
    orders = world.engine.command("dev1", "firmware", {"update": True})
    assert [one.request.operation for one in orders] == ["observe", "observe", "execute"]
    with pytest.raises(UnknownDevice):
        world.engine.command("stranger", "firmware", {})
    assert world.engine.attributes("firmware") == {"URL": True, "state": False, "update": True}
    assert world.engine.attributes("unheard-of") == {}


@pytest.mark.parametrize(
    ("body", "code", "reason"),
    [
        ("raise RequestError(Code.METHOD_NOT_ALLOWED, 'not now')", Code.METHOD_NOT_ALLOWED, "not now"),
        ("raise KeyError", Code.INTERNAL_SERVER_ERROR, "plugin guard failed"),
        ("return ['GET /3']", Code.INTERNAL_SERVER_ERROR, "plugin guard failed"),
        ("return 5", Code.INTERNAL_SERVER_ERROR, "plugin guard failed"),
    ],
)
def test_a_plugin_that_refuses_or_fails_stops_the_command(
    tmp_path: Any, caplog: pytest.LogCaptureFixture, body: str, code: int, reason: str
) -> None:
    source = (
        "from lwm2m_engine import hookimpl\nfrom lwm2m_engine.coap import Code\n"
        "from lwm2m_engine.errors import RequestError\n\n\n"
        f"@hookimpl\ndef lwm2m_mgmt_command(command):\n    {body}\n"
    )
    (tmp_path / "guard.py").write_text(source)
    manager = PluginManager.default([tmp_path])
    with pytest.raises(RequestError) as refusal:
        manager.mgmt_command(ManagedCommand("dev1", "m2m:reboot", "reboot", {"reboot": True}))
    assert (refusal.value.code, refusal.value.reason) == (code, reason)
    failures = next(row for row in manager.report if row.name == "guard").failures
    assert failures == (code == Code.INTERNAL_SERVER_ERROR)
    assert ("plugin guard" in caplog.text) == bool(failures)
    assert PluginManager.default().mgmt_command(ManagedCommand("dev1", "", "reboot", {})) is None
