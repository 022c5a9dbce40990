"""What a message written by a person becomes on the wire."""

import pytest

from lwm2m_engine.coap import Code

CHOSEN = '[{"n": "/3442/7/120", "v": 5}]'


@pytest.fixture
def sent(world):
    """``sent(text)``: the CoAP request of the only message of a registered device."""

    def send(text, version="1.1"):
        world.register(query=f"lt=300&lwm2m={version}&b=U", links=b"</1/0>,</3/0>,</5/0>,</3303/0>,</3442>")
        world.ask(text)
        return world.wire[0].request

    return send


@pytest.mark.parametrize(
    ("text", "code", "path", "content_format", "payload"),
    [
        ("PUT /3/0/14 +02", Code.PUT, "3/0/14", 112, "81a22167 2f332f302f3134 03 632b3032"),
        ("PUT /3/0/14\nContent-Format: tlv\n\n+02", Code.PUT, "3/0/14", 11542, "c30e 2b3032"),
        ("PUT /3/0/14\nContent-Format: text\n\n+02", Code.PUT, "3/0/14", 0, "2b3032"),
        ('PUT /3/0\nContent-Format: tlv\n\n{"utc_offset": "+02"}', Code.PUT, "3/0", 11542, "c30e 2b3032"),
        ('POST /3/0\nContent-Format: tlv\n\n{"14": "+02"}', Code.POST, "3/0", 11542, "c30e 2b3032"),
        ('PUT /3/0/11\nContent-Format: tlv\n\n{"1": 5}', Code.PUT, "3/0/11", 11542, "830b 410105"),
        ("PUT /3/0/11/1\nContent-Format: tlv\n\n5", Code.PUT, "3/0/11/1", 11542, "410105"),
        # only TLV leaves the Instance ID to the device; a chosen one is in the payload
        ('POST /3442 {"120": 5}', Code.POST, "3442", 11542, "c17805"),
        ("POST /3442 {}", Code.POST, "3442", 11542, ""),
        (f"POST /3442\nContent-Format: tlv\n\n{CHOSEN}", Code.POST, "3442", 11542, "0307 c17805"),
        (f"POST /3442 {CHOSEN}", Code.POST, "3442", 112, "81a2216b 2f333434322f372f313230 0205"),
        ("POST /3/0/4", Code.POST, "3/0/4", None, ""),
        ("POST /3/0/4?0='now',1", Code.POST, "3/0/4", 0, "303d276e6f77272c31"),
        ("DELETE /3442/1", Code.DELETE, "3442/1", None, ""),
        ("PUT /3/0/13 1752761133000", Code.PUT, "3/0/13", 112, "81a22167 2f332f302f3133 02 1a 6879032d"),
        ("PUT /3/0/13 1752761133999", Code.PUT, "3/0/13", 112, "81a22167 2f332f302f3133 02 1a 6879032d"),
    ],
)  # fmt: skip
def test_what_is_written(sent, text, code, path, content_format, payload):
    request = sent(text)
    assert (request.code, "/".join(request.path), request.content_format) == (code, path, content_format)
    assert request.payload == bytes.fromhex(payload)


@pytest.mark.parametrize(
    ("text", "accept", "observe"),
    [
        ("GET /3/0/9\nAccept: text\n\n", 0, None),
        ("GET /3/0/9\nAccept: tlv\n\n", 11542, None),
        ("GET /3/0/9", 112, None),
        ("OBSERVE /3/0/9\nAccept: text\n\n", 0, 0),
        ("DISCOVER /3", 40, None),
    ],
)
def test_what_is_asked_for(sent, text, accept, observe):
    request = sent(text)
    assert (request.code, request.accept, request.observe) == (Code.GET, accept, observe)


def test_attributes_are_options_of_their_own(sent):
    request = sent("PUT /3/0/9?pmin=10&pmax")
    assert (request.code, request.query, request.payload) == (Code.PUT, ("pmin=10", "pmax"), b"")


@pytest.mark.parametrize(
    ("text", "code", "observe"),
    [
        ("FETCH /3/0/0,/3/0/9\nAccept: senml-json\n\n", Code.FETCH, None),
        ("OBSERVE /3/0/0,/3/0/9\nAccept: senml-json\n\n", Code.FETCH, 0),
        ('IPATCH\nContent-Format: senml-json\n\n{"/3/0/14": "+02", "/1/0/2": 5}', Code.IPATCH, None),
    ],
)
def test_composites_are_sent_in_the_format_they_name(sent, text, code, observe):
    request = sent(text)
    assert (request.code, request.path, request.content_format, request.observe) == (code, (), 110, observe)
    assert request.payload.startswith(b"[{")
