"""The OSCORE option, on the vectors of RFC 8613, C.4 and C.6, and against a CBOR library."""

import cbor2
import pytest

from lwm2m_server.coap.oscore_option import unwrapped, with_kid_context, without_kid_context, wrapped

ID = bytes.fromhex("37cbf3210017a2d3")


@pytest.mark.parametrize(
    ("plain", "named"),
    [
        ("0914", "19140837cbf3210017a2d3"),
        ("091400", "19140837cbf3210017a2d300"),
        ("", "100837cbf3210017a2d3"),
        ("0505060708ff", None),
    ],
)
def test_an_id_context_is_put_in_and_taken_out(plain, named):
    plain = bytes.fromhex(plain)
    both = with_kid_context(plain, ID)
    if named is not None:
        assert both == bytes.fromhex(named)
    assert without_kid_context(both) == (plain or b"\0")
    assert without_kid_context(plain) == plain


@pytest.mark.parametrize("length", [0, 1, 8, 23, 24, 40, 253])
def test_it_is_wrapped_as_cbor_has_it(length):
    assert wrapped(bytes(length)) == cbor2.dumps(bytes(length))
    assert unwrapped(cbor2.dumps(bytes(length))) == bytes(length)


@pytest.mark.parametrize(
    "other", [b"", ID, wrapped(ID) + b"x", wrapped(ID)[:-1], b"\x58\x08" + ID, cbor2.dumps("text")]
)
def test_what_is_no_byte_string_is_not_unwrapped(other):
    assert unwrapped(other) is None
