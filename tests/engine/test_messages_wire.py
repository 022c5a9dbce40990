"""Requests to CoAP, registration requests from CoAP."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.coap import CoapRequest, Code
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import RequestError
from lwm2m_engine.messages import (
    Cancel,
    CancelComposite,
    Create,
    Delete,
    Discover,
    Execute,
    Observe,
    ObserveComposite,
    Read,
    ReadComposite,
    Register,
    Update,
    Write,
    WriteAttributes,
    WriteComposite,
)
from lwm2m_engine.messages.wire import coap_request, parse_register, parse_update
from lwm2m_engine.paths import Path

NO_TLV = (Entry(Path("/3/0/15"), "value"),)
TWO = (Path("/3/0/0"), Path("/3/0/9"))


@pytest.mark.parametrize(
    ("request_", "options", "expected"),
    [
        (Read(Path("/3/0")), {}, CoapRequest(Code.GET, ("3", "0"))),
        (Read(Path("/3/0/1")), {"root": "/lwm2m"}, CoapRequest(Code.GET, ("lwm2m", "3", "0", "1"))),
        (Read(Path("/3")), {"root": "/a%20b/"}, CoapRequest(Code.GET, ("a b", "3"))),
        (Read(Path("/3")), {"accept": 112}, CoapRequest(Code.GET, ("3",), accept=112)),
        (Read(Path("/3"), accept=0), {"accept": 112}, CoapRequest(Code.GET, ("3",), accept=0)),
        (Discover(Path("/3/0")), {"accept": 112}, CoapRequest(Code.GET, ("3", "0"), accept=40)),
        (Discover(Path("/3"), 2), {}, CoapRequest(Code.GET, ("3",), ("depth=2",), accept=40)),
        (
            Write(Path("/3/0"), NO_TLV, replace=False),
            {"content_format": 11542, "payload": b"\xc5\x0fvalue", "accept": 112},
            CoapRequest(Code.POST, ("3", "0"), payload=b"\xc5\x0fvalue", content_format=11542),
        ),
        (
            Write(Path("/3/0"), NO_TLV),
            {"content_format": 11542, "payload": b"x"},
            CoapRequest(Code.PUT, ("3", "0"), payload=b"x", content_format=11542),
        ),
        (
            WriteAttributes(Path("/3/0/14"), (("pmin", "10"), ("pmax", "100"))),
            {},
            CoapRequest(Code.PUT, ("3", "0", "14"), ("pmin=10", "pmax=100")),
        ),
        (
            WriteAttributes(Path("/3/0/14"), (("pmin", None), ("pmax", None))),
            {},
            CoapRequest(Code.PUT, ("3", "0", "14"), ("pmin", "pmax")),
        ),
        (
            Execute(Path("/3/0/12"), "0='params'"),
            {},
            CoapRequest(Code.POST, ("3", "0", "12"), payload=b"0='params'", content_format=0),
        ),
        (Execute(Path("/3/0/4")), {}, CoapRequest(Code.POST, ("3", "0", "4"))),
        (
            Create(Path("/12/26"), NO_TLV),
            {"content_format": 11542, "payload": b"x"},
            CoapRequest(Code.POST, ("12",), payload=b"x", content_format=11542),
        ),
        (Delete(Path("/12/0")), {}, CoapRequest(Code.DELETE, ("12", "0"))),
        (Observe(Path("/12/0")), {"accept": 60}, CoapRequest(Code.GET, ("12", "0"), accept=60, observe=0)),
        (Observe(Path("/12/0"), accept=0), {}, CoapRequest(Code.GET, ("12", "0"), accept=0, observe=0)),
        (Cancel(Path("/12/0")), {}, CoapRequest(Code.GET, ("12", "0"), observe=1)),
        (
            ReadComposite(TWO),
            {"content_format": 112, "payload": b"x", "accept": 112, "root": "/r"},
            CoapRequest(Code.FETCH, ("r",), payload=b"x", content_format=112, accept=112),
        ),
        (
            ObserveComposite(TWO),
            {"content_format": 112, "payload": b"x", "accept": 110},
            CoapRequest(Code.FETCH, payload=b"x", content_format=112, accept=110, observe=0),
        ),
        (
            CancelComposite(TWO),
            {"content_format": 112, "payload": b"x"},
            CoapRequest(Code.FETCH, payload=b"x", content_format=112, observe=1),
        ),
        (
            WriteComposite(NO_TLV),
            {"content_format": 110, "payload": b"x", "accept": 110},
            CoapRequest(Code.IPATCH, payload=b"x", content_format=110),
        ),
        (
            Observe(Path("/3/0/9"), (("pmin", "5"), ("pmax", None))),
            {},
            CoapRequest(Code.GET, ("3", "0", "9"), ("pmin=5", "pmax"), observe=0),
        ),
        (
            ObserveComposite(TWO, attributes=(("pmin", "5"),)),
            {"content_format": 112, "payload": b"x"},
            CoapRequest(Code.FETCH, (), ("pmin=5",), payload=b"x", content_format=112, observe=0),
        ),
        # the end device of a gateway: below the root, but composites stay at the root
        (Read(Path("/3303/0"), prefix="dev0"), {}, CoapRequest(Code.GET, ("dev0", "3303", "0"))),
        (
            Create(Path("/12/26"), NO_TLV, prefix="dev0"),
            {"root": "/r", "content_format": 11542, "payload": b"x"},
            CoapRequest(Code.POST, ("r", "dev0", "12"), payload=b"x", content_format=11542),
        ),
        (
            ReadComposite(TWO, prefix="dev0"),
            {"root": "/r", "content_format": 112, "payload": b"x"},
            CoapRequest(Code.FETCH, ("r",), payload=b"x", content_format=112),
        ),
    ],
)
def test_each_request_is_one_exchange(request_, options, expected):
    assert coap_request(request_, **options) == expected


# --- Register and Update ---------------------------------------------------------------------------


def register(
    *query: str, payload: bytes = b"</1/0>,</3/0>", content_format: int | None = 40, strict: bool = False
) -> Register:
    return parse_register(CoapRequest(Code.POST, ("rd",), query, payload, content_format), strict=strict)


def update(*query: str, payload: bytes = b"", version: str = "1.1", strict: bool = False) -> Update:
    request = CoapRequest(Code.POST, ("rd", "5"), query, payload)
    return parse_update(request, version=version, strict=strict)


def test_a_register_with_everything():
    found = register("lwm2m=1.1", "ep=urn:dev:1", "lt=60", "b=UT", "Q", "sms=+49171", "imei=21368", "flag")
    assert (found.endpoint, found.version, found.lifetime, found.binding) == ("urn:dev:1", "1.1", 60, "UT")
    assert found.queue_mode
    assert found.sms == "+49171"
    assert found.attributes == {"imei": "21368", "flag": ""}
    assert [link.target for link in found.links] == ["/1/0", "/3/0"]
    assert found.warnings == ()


def test_a_register_with_the_least():
    found = register("lwm2m=1.0")
    assert found == Register("", "1.0", 86_400, "U", False, None, {}, found.links)


@pytest.mark.parametrize(
    ("query", "binding", "queue_mode"),
    [
        (["lwm2m=1.0", "b=UQ"], "UQ", True),
        (["lwm2m=1.0", "b=UQS"], "UQS", True),
        (["lwm2m=1.0", "b=US"], "US", False),
        (["lwm2m=1.1", "b=UT"], "UT", False),
        (["lwm2m=1.1", "b=N", "Q"], "N", True),
        (["lwm2m=1.2", "b=UMH"], "UMH", False),
        (["lwm2m=1.2", "Q"], "U", True),
        (["lwm2m=1.2", "lt=0"], "U", False),
        (["lwm2m=1.1", "lt=4294967295"], "U", False),
    ],
)
def test_bindings_and_queue_mode(query, binding, queue_mode):
    found = register(*query)
    assert (found.binding, found.queue_mode) == (binding, queue_mode)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ([], Code.BAD_REQUEST),
        (["lwm2m"], Code.BAD_REQUEST),
        (["lwm2m=2.0"], Code.PRECONDITION_FAILED),
        (["lwm2m=1.3"], Code.PRECONDITION_FAILED),
        (["lwm2m="], Code.PRECONDITION_FAILED),
        (["lwm2m=abc"], Code.PRECONDITION_FAILED),
        (["lwm2m=1.0", "b=UT"], Code.BAD_REQUEST),
        (["lwm2m=1.0", "b=UN"], Code.BAD_REQUEST),
        (["lwm2m=1.0", "b=Q"], Code.BAD_REQUEST),
        (["lwm2m=1.1", "b=UQ"], Code.BAD_REQUEST),
        (["lwm2m=1.1", "b=UM"], Code.BAD_REQUEST),
        (["lwm2m=1.1", "b="], Code.BAD_REQUEST),
        (["lwm2m=1.1", "b"], Code.BAD_REQUEST),
        (["lwm2m=1.1", "b=UU"], Code.BAD_REQUEST),
        (["lwm2m=1.1", "b=u"], Code.BAD_REQUEST),
        (["lwm2m=1.0", "Q"], Code.BAD_REQUEST),
        (["lwm2m=1.1", "Q=x"], Code.BAD_REQUEST),
        (["lwm2m=1.1", "lt="], Code.BAD_REQUEST),
        (["lwm2m=1.1", "lt"], Code.BAD_REQUEST),
        (["lwm2m=1.1", "lt=abc"], Code.BAD_REQUEST),
        (["lwm2m=1.1", "lt=-1"], Code.BAD_REQUEST),
        (["lwm2m=1.1", "lt=1.5"], Code.BAD_REQUEST),
        (["lwm2m=1.1", "lt=0"], Code.BAD_REQUEST),
        (["lwm2m=1.1", "lt=4294967296"], Code.BAD_REQUEST),
        (["lwm2m=1.1", f"lt={'9' * 250}"], Code.BAD_REQUEST),
        (["lwm2m=1.1", "ep=a", "ep=b"], Code.BAD_REQUEST),
        (["lwm2m=1.1", f"ep={'x' * 256}"], Code.BAD_REQUEST),
        (["lwm2m=1.1", "ep=a\nb"], Code.BAD_REQUEST),
        (["lwm2m=1.1", *(f"k{number}=1" for number in range(40))], Code.BAD_REQUEST),
    ],
)
def test_bad_registers_are_refused(query, code):
    with pytest.raises(RequestError) as caught:
        register(*query)
    assert caught.value.code == code


@pytest.mark.parametrize("payload", [b"", b"<text>,", b"\xff", b"</text>", b'</>;rt="oma.lwm2m"', b"</3/0"])
def test_a_register_without_a_usable_object_list_is_refused(payload):
    with pytest.raises(RequestError) as caught:
        register("lwm2m=1.1", payload=payload)
    assert caught.value.code == Code.BAD_REQUEST


def test_a_register_must_be_confirmable():
    request = CoapRequest(Code.POST, ("rd",), ("lwm2m=1.1", "ep=a"), b"</1/0>", 40, confirmable=False)
    with pytest.raises(RequestError) as caught:
        parse_register(request)
    assert caught.value.code == Code.BAD_REQUEST


def test_a_payload_without_content_format_is_link_format():
    assert register("lwm2m=1.1", content_format=None).links == register("lwm2m=1.1").links


def test_a_payload_of_another_format_is_refused():
    with pytest.raises(RequestError) as caught:
        register("lwm2m=1.1", content_format=112)
    assert caught.value.code == Code.UNSUPPORTED_CONTENT_FORMAT


def test_a_version_of_three_parts_is_taken_with_a_warning():
    found = register("ep=coap-node", "lt=60", "lwm2m=1.0.0", "mac=00:11", payload=b"</>;ct=11543;hb,</3/0>")
    assert (found.version, found.attributes) == ("1.0", {"mac": "00:11"})
    assert found.warnings == ("lwm2m=1.0.0 taken as 1.0",)
    with pytest.raises(RequestError) as caught:
        register("lwm2m=1.0.0", strict=True)
    assert caught.value.code == Code.PRECONDITION_FAILED


def test_bent_object_lists_warn_or_are_refused_strictly():
    found = register("lwm2m=1.0", payload=b'</1/0>;ver=1.1, </3>;ver="1.0",</text>')
    assert len(found.warnings) == 4
    with pytest.raises(RequestError):
        register("lwm2m=1.0", payload=b"</1/0>, </3/0>", strict=True)
    with pytest.raises(RequestError):
        register("lwm2m=1.0", payload=b"</1/0>;ver=1.1", strict=True)


def test_warnings_are_bounded():
    payload = ",".join(f"</{number}/0>;ver=1.0" for number in range(200)).encode()
    found = register("lwm2m=1.1", payload=payload)
    assert len(found.warnings) == 21
    assert found.warnings[-1] == "and 180 faults more"


def test_an_update_says_only_what_it_mentions():
    assert update() == Update()
    found = update("lt=30", "b=UT", "sms=1", "imei=2", payload=b"</3/1>")
    assert (found.lifetime, found.binding, found.queue_mode, found.sms) == (30, "UT", None, "1")
    assert found.attributes == {"imei": "2"}
    assert [link.target for link in found.links or ()] == ["/3/1"]


def test_the_binding_of_lwm2m_1_0_tells_queue_mode():
    assert update("b=UQ", version="1.0").queue_mode is True
    assert update("b=U", version="1.0").queue_mode is False
    for binding, version in (("UQ", "1.1"), ("UT", "1.0")):
        with pytest.raises(RequestError):
            update(f"b={binding}", version=version)


def test_what_belongs_to_a_register_is_skipped_with_a_warning():
    found = update("ep=a", "lwm2m=1.1", "Q", "lt=5")
    assert (found.lifetime, found.attributes) == (5, {})
    assert len(found.warnings) == 3
    with pytest.raises(RequestError):
        update("ep=a", strict=True)


@pytest.mark.parametrize(
    ("query", "payload"), [(["lt="], b""), (["lt=0"], b""), ([], b"</x"), ([], b"</text>")]
)
def test_bad_updates_are_refused(query, payload):
    with pytest.raises(RequestError) as caught:
        update(*query, payload=payload)
    assert caught.value.code == Code.BAD_REQUEST


OPTIONS = st.text(max_size=12) | st.builds(
    "{}={}".format, st.sampled_from(["ep", "lt", "lwm2m", "b", "Q", "sms"]), st.text(max_size=8)
)


@given(st.lists(OPTIONS | st.just("lwm2m=1.1"), max_size=6), st.binary(max_size=30) | st.just(b"</3/0>"))
def test_any_request_is_parsed_or_refused(query, payload):
    request = CoapRequest(Code.POST, ("rd",), tuple(query), payload)
    for parse in (parse_register, parse_update):
        try:
            parse(request)
        except RequestError as error:
            assert error.code in (0x80, 0x8C, 0x8F)  # noqa: PT017
