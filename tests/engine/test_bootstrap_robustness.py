"""Whatever clients say, and whatever configurations say: an answer, or a fault that is told."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from lwm2m_engine import Catalog
from lwm2m_engine.bootstrap import Bootstrap, BootstrapConfig
from lwm2m_engine.bootstrap.checks import check
from lwm2m_engine.bootstrap.der import CERTIFICATE, PRIVATE_KEY, PUBLIC_KEY, mismatch
from lwm2m_engine.bootstrap.preview import preview
from lwm2m_engine.bootstrap.secrets import hidden, restored
from lwm2m_engine.bootstrap.template import MEMBERS, config_of
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.effects import Perform
from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.messages.requests import Write

CATALOG = Catalog.bundled()
PEER = Peer("10.0.0.1", 1, "coap-bs")
DOCUMENT = {
    "noSec": True,
    "read": ["/1", "/2"],
    "write": {"/0/0": {"0": "coap://bs", "1": True, "2": 3}, "/1/0": {"0": 1, "1": 300, "6": True, "7": "U"}},
}

formats = st.none() | st.sampled_from([0, 40, 60, 110, 112, 11542, 11544]) | st.integers(0, 65535)
payloads = st.binary(max_size=60) | st.sampled_from([b"</>;lwm2m=1.1,</0/0>", b"</0/65534>;ssid=x", b"</0"])
replies = st.builds(
    CoapReply, st.sampled_from(list(Code)) | st.integers(0x40, 0xBF), payloads, content_format=formats
)
parameters = st.sampled_from(["ep=dev1", "ep", "pct=112", "pct=", "x=1", "ep=a\nb", "\ud800"]) | st.text(
    max_size=9
)
requests = st.builds(
    CoapRequest,
    st.integers(1, 7),
    st.sampled_from([("bs",), ("bspack",), ("rd",), ()]),
    st.lists(parameters, max_size=4).map(tuple),
    payloads,
    accept=formats,
)


class Configs:
    def config(self, request, peer) -> BootstrapConfig:
        return config_of(DOCUMENT, request.endpoint, lambda name: b"k" * 16, CATALOG)


@given(st.lists(requests, max_size=5))
@example([CoapRequest(Code.POST, ("bs",), ("\ud800", "\ud800"))])
def test_every_request_is_answered(asked):
    bootstrap = Bootstrap(Configs(), CATALOG)
    for now, request in enumerate(asked):
        assert bootstrap.receive(request, PEER, float(now)).reply is not None


@given(st.lists(replies, min_size=1, max_size=12))
def test_every_answer_leads_somewhere(answers):
    bootstrap = Bootstrap(Configs(), CATALOG)
    step = bootstrap.receive(CoapRequest(Code.POST, ("bs",), ("ep=dev1",)), PEER, 0.0)
    for answer in answers:
        asked = [effect for effect in step.effects if isinstance(effect, Perform)]
        assert bool(asked) == bool(bootstrap.under_way)
        if not asked:
            break
        step = bootstrap.answered(asked[0].exchange, answer, 1.0)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
keys = st.sampled_from(["0", "1", "2", "3", "5", "10", "17", "text", "hex", "key", "secret_key"]) | st.text(
    max_size=4
)
bodies = st.recursive(
    scalars | st.sampled_from(["{endpoint}", "{", "***", "coap://dm", "0:0", "AAEC"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=8,
)
places = st.sampled_from(["/0/1", "/1/0", "0", "/21/0", "/11/0", "/1/0/10", "/", "/9999/0", "x"])
documents = st.fixed_dictionaries(
    {},
    optional={
        "write": st.dictionaries(places, bodies, max_size=4) | bodies,
        **dict.fromkeys(MEMBERS - {"write"} | {"?"}, bodies),
    },
)


@given(documents)
def test_every_document_is_a_configuration_or_is_refused(document):
    config = None
    try:
        config = config_of(document, "dev1", lambda name: b"k" * 16, CATALOG)
        check(config, CATALOG)
    except* ValueRejected:
        config = None
    assert config is None or any(isinstance(step, Write) for step in preview(config).steps)


@given(documents)
def test_a_document_that_is_shown_can_be_written_back(document):
    shown = hidden(document, CATALOG)
    assert hidden(shown, CATALOG) == shown
    assert repr(restored(shown, document, CATALOG)) == repr(restored(document, document, CATALOG))


@given(st.binary(max_size=40), st.sampled_from([CERTIFICATE, PRIVATE_KEY, PUBLIC_KEY]))
def test_no_bytes_confuse_the_look_at_keys(data, what):
    assert isinstance(mismatch(data, what), str)
