"""What RPCs ask, without a device: any params have a described answer; what is said of calls."""

from __future__ import annotations

import json
from pathlib import Path as File

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwm2m_engine import Catalog
from lwm2m_engine.engine.records import Observation, Registration
from lwm2m_engine.errors import RequestError
from lwm2m_engine.messages import parse_json
from lwm2m_engine.paths import Path
from lwm2m_server.profiles.keys import Keys
from lwm2m_server.rpc.call import read_call
from lwm2m_server.rpc.methods import METHODS, Scene, method_named
from lwm2m_server.rpc.progress import merged, pause
from lwm2m_server.settings import RpcSettings

MODELS = Catalog.bundled().view("1.2", {1: "1.2", 3: "1.2", 3442: "1.0"})
REGISTRATION = Registration(
    "r",
    "e",
    "1.2",
    300,
    "U",
    False,
    "/",
    {1: "1.2", 3: "1.2", 3442: "1.0"},
    (Path("/1/0"), Path("/3/0"), Path("/3442/0")),
    (),
    (),
    None,
    {},
    0.0,
)
LIVE = Observation(b"t", "e", "r", (Path("/3/0/9"),), False, None, 0.0)
BOTH = Observation(b"u", "e", "r", (Path("/3/0/9"), Path("/1/0/1")), True, None, 0.0)


def scene():
    keys = Keys(MODELS, objects=REGISTRATION.objects, instances=REGISTRATION.instances)
    return Scene.of("meter", REGISTRATION, MODELS, keys, (LIVE, BOTH))


PATHS = ["/3", "3/0/9", "/3_1.2/0/14", "/3442/0/150", "/3442/0/1120/3", "/1/0/1", "/", "/5/0", "/3/0/99"]
paths = st.sampled_from(["", *PATHS])
names = st.sampled_from(["batteryLevel", "utcOffset", "lifetime", "14", "0", "utc_offset", "none", ""])
numbers = st.integers(-(2**65), 2**65) | st.floats(allow_nan=False)
scalars = st.none() | st.booleans() | numbers | st.text(max_size=5)
keys = names | paths | st.text(max_size=3)
values = st.recursive(
    scalars | st.just({"hex": "00ad"}) | st.just("+02"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)
attributes = st.dictionaries(st.sampled_from(["pmin", "pmax", "gt", "lt", "st", "x"]), scalars)
params = st.fixed_dictionaries(
    {},
    optional={
        "id": paths | values,
        "key": names | values,
        "ids": st.lists(paths, max_size=3) | values,
        "keys": st.lists(names, max_size=3) | values,
        "value": values,
        "nodes": st.dictionaries(paths | names, values, max_size=3) | values,
        "attributes": attributes | values,
        "contentFormat": st.sampled_from([110, "senml-cbor", "tlv", 7]) | values,
        "depth": values,
        "passive": values,
    },
)


def refusal(work):
    """What was said, or nothing."""
    try:
        work()
    except RequestError as error:
        return error.reason
    return None


@settings(max_examples=60)
@given(st.sampled_from(sorted(METHODS)), params)
def test_any_params_are_a_request_or_refused_in_words(name, given_params):
    method = METHODS[name]
    mine = {key: value for key, value in given_params.items() if key in method.params}
    made = []
    said = refusal(lambda: made.append(method(scene(), mine)))
    assert bool(said) is not bool(made)
    for plan in made:
        assert (plan.known is None) is bool(plan.messages)
    for message in [message for plan in made for message in plan.messages]:
        # As it is stored, and read again when the server comes back.
        assert parse_json(orjson.loads(orjson.dumps(message)), MODELS) == parse_json(message, MODELS)


@given(st.dictionaries(st.sampled_from(["method", "params", "timeout", "retries", "oneway", "x"]), values))
def test_any_call_is_read_or_refused_in_words(document):
    made = []
    said = refusal(lambda: made.append(read_call(document, RpcSettings(), 1000.0)))
    assert bool(said) is not bool(made)
    assert all(1.0 <= call.timeout <= 120.0 for call in made)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_the_reference_describes_each_method(name):
    page = (File(__file__).parents[2] / "docs/reference/rpc.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
    assert len(rows) == 1
    for param in METHODS[name].params:
        assert f"`{param}`" in rows[0], param
    examples = json.loads(page.partition("```json\n")[2].partition("```")[0])
    method_named(name)(scene(), examples[name])


def test_a_composite_is_cancelled_by_its_paths_in_any_order():
    plan = METHODS["ObserveCompositeCancel"](scene(), {"ids": ["/1/0/1", "/3/0/9"]})
    assert plan.messages == ({"method": "CANCEL", "path": "/3/0/9,/1/0/1"},)


def test_all_observations_are_cancelled_without_the_device():
    plan = METHODS["ObserveCancelAll"](scene(), {})
    assert [message["path"] for message in plan.messages] == ["/3/0/9?passive", "/3/0/9,/1/0/1?passive"]
    assert plan.is_quiet


def test_several_cancels_are_one_number_and_the_first_error():
    assert merged(merged({}, {"value": 1}), {"value": 1}) == {"value": 2}
    assert merged({"error": "a"}, {"error": "b", "code": "4.04"}) == {"error": "a", "code": "4.04"}


def test_pauses_double():
    settings = RpcSettings(first_retry=2.0, longest_retry=15.0)
    assert [pause(attempt, settings) for attempt in (1, 2, 3, 4, 5, 99)] == [2, 4, 8, 15, 15, 15]
