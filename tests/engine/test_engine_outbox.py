"""Messages to devices: one in flight, queued while nobody listens, never lost, never sent twice."""

from __future__ import annotations

import attrs
import pytest

from lwm2m_engine import Catalog, Entry, PluginManager
from lwm2m_engine.coap import CoapReply, Code
from lwm2m_engine.engine import Hooks
from lwm2m_engine.engine.events import (
    Answered,
    Asleep,
    Awake,
    Failed,
    Held,
    Progressed,
    Queued,
    Received,
    Registered,
    Sent,
    Started,
    Warned,
)
from lwm2m_engine.errors import RequestError, UnknownDevice
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.mapping.table import MappingTable
from lwm2m_engine.paths import Path

OK = CoapReply(Code.CHANGED)


def test_a_read_is_sent_answered_and_typed(world):
    world.register()
    world.ask("GET /3", id=7)
    request = world.wire[0].request
    assert (request.code, request.path, request.accept) == (Code.GET, ("3",), ContentFormat.SENML_CBOR)
    world.answer(world.content({"/3/0/0": "ACME", "/3/0/9": 72}, "/3"))
    assert world.names()[-4:] == ["Queued", "Started", "Sent", "Received"]
    received = world.told(Received)[0]
    assert (received.kind, received.message, received.operation) == ("response", 7, "read")
    assert {entry.path: entry.value for entry in received.entries} == {
        Path("/3/0/0"): "ACME",
        Path("/3/0/9"): 72,
    }


def test_one_exchange_is_in_flight_and_order_is_kept(world):
    world.register()
    for number, text in enumerate(("GET /3", "GET /6", "GET /1")):
        world.ask(text, id=number)
    assert [one.request.path for one in world.wire] == [("3",)]
    world.answer(CoapReply(Code.CONTENT, b"", ContentFormat.TLV))
    assert [one.request.path for one in world.wire] == [("6",)]
    world.answer(CoapReply(Code.NOT_FOUND))
    assert [one.request.path for one in world.wire] == [("1",)]
    assert [event.message for event in world.told(Sent)] == [0, 1]
    assert world.told(Received)[1].code == Code.NOT_FOUND


def test_a_message_waits_until_the_device_registers(world):
    world.engine.add("dev1")
    world.ask("GET /3")
    assert not world.wire
    world.register()
    assert world.wire[0].request.path == ("3",)


def test_nothing_is_asked_of_an_unknown_device(world):
    with pytest.raises(UnknownDevice):
        world.ask("GET /3", "stranger")


@pytest.mark.parametrize("text", ["GET /50", "GET /3/1", "GET /3/0/999", "GET /3303/0/4999"])
def test_what_the_device_does_not_have_is_refused_at_once(world, text):
    world.register()
    with pytest.raises(RequestError):
        world.ask(text)
    assert not world.told(Queued)


def test_a_sleeper_is_left_alone_until_its_update(world):
    location = world.register(query="lt=3000&lwm2m=1.1&b=U&Q")
    assert [type(event) for event in world.events if isinstance(event, (Awake, Asleep))] == [Awake]
    world.pass_time(93.5)
    assert len(world.told(Asleep)) == 1
    for text in ("GET /3", "GET /6"):
        world.ask(text)
    assert not world.wire
    world.update(location)
    assert [one.request.path for one in world.wire] == [("3",)]
    assert len(world.told(Awake)) == 2


def test_queue_mode_of_lwm2m_1_0_is_in_the_binding(world):
    world.register(query="lt=3000&lwm2m=1.0&b=UQ")
    world.pass_time(94)
    world.ask("GET /3")
    assert not world.wire


def test_each_contact_restarts_the_awake_window_and_it_ends_once(world):
    location = world.register(query="lt=3000&lwm2m=1.1&Q")
    for _ in range(3):
        world.pass_time(60)
        world.update(location)
    assert not world.told(Asleep)
    world.pass_time(500)
    assert len(world.told(Asleep)) == 1


def test_a_timeout_puts_a_queue_mode_device_to_sleep_and_keeps_the_message(world):
    location = world.register(query="lt=3000&lwm2m=1.1&Q")
    world.ask("GET /3", id=1)
    world.ask("GET /6", id=2)
    world.fail("timeout")
    assert [event.message for event in world.told(Held)] == [1]
    assert len(world.told(Asleep)) == 1
    assert not world.wire
    world.update(location)
    assert world.wire[0].request.path == ("3",)


def test_a_timeout_of_a_listening_device_fails_the_message(world):
    world.register()
    world.ask("GET /3", id=1)
    world.ask("GET /6", id=2)
    world.fail("timeout")
    failed = world.told(Failed)[0]
    assert (failed.message, failed.reason) == (1, "timeout")
    assert world.wire[0].request.path == ("6",)


def test_a_separate_response_counts_as_sent_at_the_acknowledgement(world):
    world.register(query="lt=3000&lwm2m=1.1&Q")
    world.ask("GET /3", id=1)
    world.take(world.engine.acknowledged(world.wire[0].exchange, world.now))
    assert [event.message for event in world.told(Sent)] == [1]
    world.fail("timeout")
    assert [event.reason for event in world.told(Failed)] == ["timeout"]
    assert not world.told(Held)


def test_a_message_expires(world):
    world.engine.add("dev1")
    world.ask("GET /3", id=1, expires_at=world.now + 60)
    world.pass_time(61)
    assert [(event.message, event.reason) for event in world.told(Failed)] == [(1, "expired")]
    world.register()
    assert not world.wire


def test_a_message_in_flight_expires_only_when_its_exchange_ends(world):
    world.register(query="lt=3000&lwm2m=1.1&Q")
    world.ask("GET /3", id=1, expires_at=world.now + 60)
    world.pass_time(70)
    assert not world.told(Failed)
    deadline = world.engine.next_deadline()
    assert deadline is not None
    assert deadline > world.now, "nothing is due that a tick could do"
    world.fail("timeout")
    world.pass_time(1)
    assert [(event.message, event.reason) for event in world.told(Failed)] == [(1, "expired")]


def test_a_waiting_message_can_be_cancelled(world):
    world.engine.add("dev1")
    world.ask("GET /3", id=1)
    world.ask("GET /6", id=2)
    world.take(world.engine.cancel("dev1", 1, world.now))
    assert [(event.message, event.reason) for event in world.told(Failed)] == [(1, "cancelled")]
    world.register()
    assert world.wire[0].request.path == ("6",)
    world.take(world.engine.cancel("dev1", 99, world.now))
    assert len(world.told(Failed)) == 1


def test_a_message_in_flight_can_be_cancelled(world):
    world.register()
    world.ask("GET /3", id=1)
    exchange = world.wire[0].exchange
    world.ask("GET /6", id=2)
    world.take(world.engine.cancel("dev1", 1, world.now))
    assert world.aborted == [exchange]
    assert world.wire[0].request.path == ("6",)


def test_what_waits_survives_a_new_registration_but_execute_is_not_repeated(world):
    world.register()
    world.ask("POST /3/0/4", id=1)
    world.ask("GET /3", id=2)
    world.register()
    assert [(event.message, event.reason) for event in world.told(Failed)] == [(1, "unknown-outcome")]
    assert world.wire[0].request.path == ("3",)
    world.register()
    assert [event.message for event in world.told(Held)] == [2]
    assert world.wire[-1].request.path == ("3",)


def test_a_late_answer_is_ignored(world):
    world.register()
    world.ask("GET /3", id=1)
    exchange = world.wire[0].exchange
    world.fail("timeout")
    step = world.engine.answered(exchange, OK, world.now)
    assert not step.events
    assert not step.effects


def test_a_path_is_checked_again_when_its_turn_comes(world):
    world.engine.add("dev1")
    world.ask("GET /5", id=1)
    world.register()
    assert [(event.message, event.reason) for event in world.told(Failed)] == [(1, "refused")]
    assert "/5" in world.told(Failed)[0].detail


def test_writes_carry_the_right_method_format_and_bytes(world):
    world.register(query="lt=300&lwm2m=1.0")
    world.ask("PUT /3/0/14 +02:00")
    request = world.wire[0].request
    assert (request.code, request.path, request.content_format) == (
        Code.PUT,
        ("3", "0", "14"),
        ContentFormat.TLV,
    )
    assert request.payload == bytes.fromhex("c60e2b30323a3030")
    world.answer(OK)
    world.ask('POST /3/0\n{"14": "+03:00"}')
    assert (world.wire[0].request.code, world.wire[0].request.path) == (Code.POST, ("3", "0"))


def test_create_without_an_instance_id_writes_bare_resources(world):
    world.register(query="lt=300&lwm2m=1.0", links=b"</3/0>,</2>")
    world.ask('POST /2\n{"3": 33}')
    assert world.wire[0].request.payload == bytes.fromhex("c10321")
    world.answer(CoapReply(Code.CREATED, location=("2", "0")))
    registration = world.engine.registration("dev1")
    assert Path("/2/0") in registration.instances


def test_execute_sends_its_arguments(world):
    world.register()
    world.ask("POST /3/0/4?0='now',1")
    request = world.wire[0].request
    assert (request.code, request.payload, request.content_format) == (Code.POST, b"0='now',1", 0)


def test_a_whole_object_is_written_instance_by_instance(world):
    world.register(links=b"</1/0>,</1/1>,</3/0>")
    world.ask('PUT /1\n{"0": {"1": 60}, "1": {"1": 90}}', id=5)
    assert world.wire[0].request.path == ("1", "0")
    world.answer(OK)
    assert not world.told(Sent)
    assert world.wire[0].request.path == ("1", "1")
    world.answer(OK)
    assert [event.message for event in world.told(Sent)] == [5]
    assert len(world.told(Received)) == 2


def test_read_all_reads_every_announced_instance_but_the_secret_ones(world):
    world.register(links=b"</0/0>,</1/0>,</3/0>,</3303/0>,</3303/1>,</21/0>")
    world.ask("GET /")
    seen = []
    while world.wire:
        seen.append("/".join(world.wire[0].request.path))
        world.answer(CoapReply(Code.CONTENT, b"", ContentFormat.TLV))
    assert seen == ["1/0", "3/0", "3303/0", "3303/1"]


def test_discover_keeps_the_links(world):
    world.register()
    world.ask("DISCOVER /3")
    assert world.wire[0].request.accept == ContentFormat.LINK_FORMAT
    world.answer(CoapReply(Code.CONTENT, b"</3>,</3/0>", ContentFormat.LINK_FORMAT))
    received = world.told(Received)[0]
    assert (received.payload, received.error) == (b"</3>,</3/0>", None)


def test_an_alternate_root_path_is_used(world):
    world.register(links=b'</lwm2m>;rt="oma.lwm2m",</lwm2m/3/0>')
    world.ask("GET /3/0/0")
    assert world.wire[0].request.path == ("lwm2m", "3", "0", "0")


def test_undecodable_answers_are_kept_raw(world):
    world.register()
    world.ask("GET /3/0/9")
    world.answer(CoapReply(Code.CONTENT, b"\xc0\x09", ContentFormat.TLV))
    received = world.told(Received)[0]
    assert received.payload == b"\xc0\x09"
    assert received.error


def test_an_answer_in_an_unknown_format_is_kept_raw(world):
    world.register()
    world.ask("GET /3/0/9")
    world.answer(CoapReply(Code.CONTENT, b"?", 666))
    assert "666" in world.told(Received)[0].error


def test_formats_are_negotiated_and_remembered(world):
    world.register()
    world.ask("GET /3/0")
    world.answer(CoapReply(Code.NOT_ACCEPTABLE))
    assert world.wire[0].request.accept == ContentFormat.TLV
    world.answer(CoapReply(Code.CONTENT, b"", ContentFormat.TLV))
    assert len(world.told(Received)) == 1
    world.ask("GET /3/0")
    assert world.wire[0].request.accept == ContentFormat.TLV


def test_announced_formats_come_first(world):
    world.register(query="lt=60&lwm2m=1.0", links=b"</>;ct=11543,</3/0>")
    world.ask("GET /3")
    assert world.wire[0].request.accept == ContentFormat.OMA_JSON


def test_a_write_is_tried_in_another_format(world):
    world.register()
    world.ask("PUT /3/0/14 +02:00")
    assert world.wire[0].request.content_format == ContentFormat.SENML_CBOR
    world.answer(CoapReply(Code.UNSUPPORTED_CONTENT_FORMAT))
    assert world.wire[0].request.content_format == ContentFormat.TLV


def test_a_read_ends_without_accept_when_all_formats_are_refused(world):
    world.register(query="lt=60&lwm2m=1.0")
    world.ask("GET /3/0/9")
    for _ in range(2):
        world.answer(CoapReply(Code.NOT_ACCEPTABLE))
    assert world.wire[0].request.accept is None
    world.answer(CoapReply(Code.CONTENT, b"72", ContentFormat.TEXT))
    assert [entry.value for entry in world.told(Received)[0].entries] == [72]


def test_a_forgotten_device_leaves_nothing(world):
    location = world.register()
    world.ask("GET /3", id=1)
    world.ask("GET /6", id=2)
    world.take(world.engine.forget("dev1", world.now))
    assert {event.message for event in world.told(Failed)} == {1, 2}
    assert world.aborted
    assert world.update(location).code == Code.NOT_FOUND
    with pytest.raises(UnknownDevice):
        world.ask("GET /3")


def test_started_is_told_before_the_first_datagram(world):
    world.register()
    step = world.ask("GET /3", id=3)
    kinds = [type(event) for event in step.events]
    assert kinds.index(Queued) < kinds.index(Started)
    assert step.effects
    assert world.told(Registered)


def test_the_instance_a_create_made_is_told(world):
    world.register(query="lt=300&lwm2m=1.0", links=b"</3/0>,</2>")
    world.ask('POST /2\n{"3": 33}')
    world.answer(CoapReply(Code.CREATED, location=("2", "7")))
    assert world.told(Received)[0].created == Path("/2/7")


def test_registering_again_while_awake_is_no_second_awakening(world):
    world.register(query="lt=3000&lwm2m=1.1&Q")
    world.register(query="lt=3000&lwm2m=1.1&Q")
    assert len(world.told(Awake)) == 1
    world.register(query="lt=3000&lwm2m=1.1")
    assert world.engine.presence("dev1").awake is None


@pytest.mark.parametrize(("reason", "told"), [("reset", "refused"), ("undecodable", "decode")])
def test_other_failures_have_their_own_reason(world, reason, told):
    world.register()
    world.ask("GET /3", id=1)
    world.fail(reason)
    assert [(event.message, event.reason) for event in world.told(Failed)] == [(1, told)]


def test_composite_reads_and_writes(world):
    world.register()
    world.ask("FETCH /3/0/0,/3/0/9")
    request = world.wire[0].request
    assert (request.code, request.path, request.content_format) == (Code.FETCH, (), ContentFormat.SENML_CBOR)
    values = {"/3/0/0": "ACME", "/3/0/9": 72}
    world.answer(world.content(values, "/", ContentFormat.SENML_CBOR))
    assert world.told(Received)[0].paths == (Path("/3/0/0"), Path("/3/0/9"))
    assert len(world.told(Received)[0].entries) == 2
    world.ask('IPATCH\n{"/3/0/14": "+02", "/1/0/1": 60}')
    request = world.wire[0].request
    assert (request.code, request.content_format) == (Code.IPATCH, ContentFormat.SENML_CBOR)
    world.answer(CoapReply(Code.UNSUPPORTED_CONTENT_FORMAT))
    assert world.wire[0].request.content_format == ContentFormat.SENML_JSON


def test_a_write_that_no_format_suits_is_refused(world):
    world.register(query="lt=60&lwm2m=1.0")
    world.ask('PUT /3/0\n{"14": "+02"}', id=1)
    while world.wire:
        world.answer(CoapReply(Code.UNSUPPORTED_CONTENT_FORMAT))
    assert world.told(Received)[-1].code == Code.UNSUPPORTED_CONTENT_FORMAT
    world.ask('PUT /3/0\n{"14": "+02"}', id=2)
    assert [(event.message, event.reason) for event in world.told(Failed)] == [(2, "refused")]


def test_hooks_may_rewrite_requests_and_rescue_payloads(make_world):
    class Helpful(Hooks):
        def outgoing(self, endpoint, request):
            return attrs.evolve(request, accept=ContentFormat.TEXT)

        def rescue_payload(self, endpoint, path, content_format, payload, error):
            return [Entry(path, int(payload.removeprefix(b"about ")))]

    world = make_world(hooks=Helpful())
    world.register()
    world.ask("GET /3/0/9")
    assert world.wire[0].request.accept == ContentFormat.TEXT
    world.answer(CoapReply(Code.CONTENT, b"about 72", ContentFormat.TEXT))
    assert [entry.value for entry in world.told(Received)[0].entries] == [72]
    assert "rescued" in world.told(Warned)[0].text


def test_an_automatic_read_that_gets_no_answer_is_told_and_not_repeated(make_world, catalog):
    world = make_world(table=PluginManager.default().table(catalog))
    world.register()
    world.fail("timeout")
    assert "/3" in world.told(Warned)[0].text
    assert [one.request.path for one in world.wire] == [("6", "0")]
    assert world.engine.registration("dev1").unread == (Path("/6/0"),)


def test_an_update_may_change_binding_queue_mode_and_more(world):
    location = world.register(query="lt=3000&lwm2m=1.0&b=U&imei=1")
    world.update(location, "b=UQ&sms=0123&imei=2")
    registration = world.engine.registration("dev1")
    assert (registration.binding, registration.queue_mode, registration.sms) == ("UQ", True, "0123")
    assert registration.attributes == {"imei": "2"}
    assert world.engine.presence("dev1").awake is True


def test_other_models_hold_from_the_next_input_on(world):
    world.register()
    assert world.engine.models("dev1").object(3) is not None
    world.engine.swap(Catalog(), MappingTable())
    assert world.engine.models("dev1").object(3) is None
    world.ask("GET /3/0/9")
    world.answer(CoapReply(Code.CONTENT, b"\xc1\x09\x48", ContentFormat.TLV))
    assert [entry.value for entry in world.told(Received)[0].entries] == [b"\x48"]


def test_each_device_has_its_versions_of_swapped_models(world):
    for name, links in (("dev1", b"</3>;ver=1.1,</3/0>"), ("dev2", b"</3>;ver=1.0,</3/0>")):
        world.register(name, links=links)
    world.register("dev3", links=b"</3>;ver=1.0,</3/0>")
    world.engine.add("dev4")
    catalog = Catalog.bundled()
    world.engine.swap(catalog, MappingTable())
    models = [world.engine.models(name) for name in ("dev1", "dev2", "dev3", "dev4")]
    wanted = [catalog[3, "1.1"], catalog[3, "1.0"], catalog[3, "1.0"], catalog[3, "1.2"]]
    assert all(one.object(3) is spec for one, spec in zip(models, wanted, strict=True))
    assert models[1] is models[2]


def test_a_long_request_tells_how_far_it_is_and_keeps_the_device_awake(world):
    world.register(query="lt=300&lwm2m=1.1&b=U&Q", links=b"</1/0>,</3/0>,</5/0>")
    world.ask("PUT /5/0/0 " + "QUJD" * 1000, id=7)
    exchange = world.wire[0].exchange
    before = world.engine.presence("dev1")
    assert (before.in_flight, before.transferred) == (True, None)
    world.now += 50
    world.take(world.engine.progressed(exchange, 1024, 3000, world.now))
    after = world.engine.presence("dev1")
    assert after.transferred == (1024, 3000)
    assert after.awake_until > before.awake_until
    told = world.told(Progressed)[-1]
    assert (told.message, told.transferred, told.total) == (7, 1024, 3000)
    world.answer(OK)
    assert world.engine.presence("dev1").transferred is None
    assert world.engine.progressed(exchange, 2048, 3000, world.now).events == ()


def test_what_is_acknowledged_and_not_answered_is_told_so_that_a_restart_knows(world):
    world.register()
    world.ask("GET /3", id=7)
    exchange = world.wire[0].exchange
    world.take(world.engine.acknowledged(exchange, world.now))
    assert [(event.message, event.answered) for event in world.told(Sent)] == [(7, False)]
    assert world.told(Answered) == []
    world.answer(world.content({"/3/0/9": 72}, "/3"))
    assert [event.message for event in world.told(Answered)] == [7]
    world.ask("GET /3", id=8)
    world.answer(world.content({"/3/0/9": 72}, "/3"))
    assert [event.message for event in world.told(Answered)] == [7]
    assert [(event.message, event.answered) for event in world.told(Sent)] == [(7, False), (8, True)]
