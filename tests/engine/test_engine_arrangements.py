"""Setting up devices: what is asked of them, in which order, and what is not asked again."""

from __future__ import annotations

import attrs
import pytest

from lwm2m_engine.coap import CoapReply, Code
from lwm2m_engine.engine import Arrangement, DeviceRecord, Group
from lwm2m_engine.engine.events import ObservationEnded, Observed, Warned
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import Path

LINKS = b"</1/0>,</3/0>,</6/0>,</3303/0>"
BATTERY, VOLTAGE, HEAT = Path("/3/0/9"), Path("/3/0/7"), Path("/3303/0/5700")


def single(*paths):
    return tuple(Group((path,)) for path in paths)


def composite(*paths):
    return (Group(paths, True),)


def asked(world):
    """What is on the wire, in words."""
    return [words(one.request) for one in world.wire]


def words(request):
    verb = {Code.GET: "read", Code.PUT: "write", Code.FETCH: "fetch"}[request.code]
    if request.observe is not None:
        verb = "observe" if request.observe == 0 else "cancel"
    query = "?" + "&".join(request.query) if request.query else ""
    return f"{verb} /{'/'.join(request.path)}{query}"


def reply_to(request, code=None):
    if request.code == Code.PUT:
        return CoapReply(code or Code.CHANGED)
    if request.code == Code.FETCH:
        return CoapReply(code or Code.CONTENT, b"\x80", ContentFormat.SENML_CBOR, observe=request.observe)
    observe = 5 if request.observe == 0 else None
    path = "/" + "/".join(request.path)
    if code is not None:
        return CoapReply(code)
    if path.count("/") < 3:
        return CoapReply(Code.CONTENT, b"", ContentFormat.TLV, observe=observe)
    return CoapReply(Code.CONTENT, b"7", ContentFormat.TEXT, observe=observe)


def answer(world, code=None):
    return world.answer(reply_to(world.wire[0].request, code))


def serve(world, codes=None, limit=200):
    """Answer until nothing is asked any more; what was asked."""
    heard = []
    while world.wire:
        assert len(world.wire) == 1, "more than one exchange in flight"
        said = words(world.wire[0].request)
        heard.append(said)
        answer(world, (codes or {}).get(said))
        assert len(heard) < limit
    return heard


def arrange(world, arrangement, endpoint="dev1"):
    return world.take(world.engine.arrange(endpoint, arrangement, world.now))


def live(world, endpoint="dev1"):
    """Paths of the observations a store would hold as alive, after all events."""
    registration = world.engine.registration(endpoint)
    rows = {}
    for event in world.events:
        if isinstance(event, Observed):
            rows[event.observation.token] = event.observation
        elif isinstance(event, ObservationEnded) and event.reason != "registration":
            rows.pop(event.observation.token, None)
    return sorted(
        [str(path) for path in one.paths] if one.composite else str(one.paths[0])
        for one in rows.values()
        if one.registration == registration.id
    )


def restarted(world, make_world, endpoint="dev1"):
    """The same device in another engine, from what a store would have kept."""
    rows = {}
    registration = liveness = None
    for event in world.events:
        registration = getattr(event, "registration", registration)
        liveness = getattr(event, "liveness", liveness)
        if isinstance(event, Observed) or getattr(event, "reason", "") == "suspended":
            rows[event.observation.token] = event.observation
        elif isinstance(event, ObservationEnded) and event.reason != "registration":
            rows.pop(event.observation.token, None)
    other = make_world()
    other.events = list(world.events)
    other.now = world.now
    record = DeviceRecord(endpoint, registration, liveness, tuple(rows.values()))
    other.take(other.engine.restore([record], other.now))
    return other


WANTED = Arrangement(
    attributes=((Path("/3"), (("pmin", "10"),)), (BATTERY, (("pmax", "60"), ("gt", "80")))),
    observations=single(BATTERY, HEAT),
    reads=single(VOLTAGE),
)


def test_attributes_then_observations_then_reads(world):
    world.register(links=LINKS)
    arrange(world, WANTED)
    assert serve(world) == [
        "write /3?pmin=10",
        "write /3/0/9?pmax=60&gt=80",
        "observe /3/0/9",
        "observe /3303/0/5700",
        "read /3/0/7",
    ]
    assert live(world) == ["/3/0/9", "/3303/0/5700"]
    assert world.engine.registration("dev1").arranged.complete


def test_reads_may_come_first(world):
    world.register(links=LINKS)
    arrange(world, attrs.evolve(WANTED, attributes=(), reads_first=True))
    assert serve(world) == ["read /3/0/7", "observe /3/0/9", "observe /3303/0/5700"]


def test_a_new_registration_has_everything_again(world):
    world.register(links=LINKS)
    arrange(world, WANTED)
    first = serve(world)
    world.register(links=LINKS)
    assert serve(world) == first
    assert live(world) == ["/3/0/9", "/3303/0/5700"]
    location = world.register(links=LINKS)
    serve(world)
    world.update(location)
    assert serve(world) == []


def test_a_change_asks_for_nothing_but_the_difference(world):
    world.register(links=LINKS)
    arrange(world, WANTED)
    serve(world)
    changed = Arrangement(
        attributes=((BATTERY, (("pmax", "30"),)),),
        observations=single(HEAT, VOLTAGE),
        reads=single(BATTERY),
    )
    arrange(world, changed)
    assert sorted(serve(world)) == sorted(
        [
            "cancel /3/0/9",
            "write /3?pmin",
            "write /3/0/9?pmax=30&gt",
            "observe /3/0/7",
            "read /3/0/9",
        ]
    )
    assert live(world) == ["/3/0/7", "/3303/0/5700"]
    arrange(world, None)
    assert serve(world) == ["cancel /3303/0/5700", "cancel /3/0/7", "write /3/0/9?pmax"]
    assert live(world) == []
    assert not world.engine.registration("dev1").arranged.attributes
    arrange(world, None)
    assert not world.wire


def test_what_a_device_tells_that_it_has_is_not_written(world):
    world.register(links=b"</1/0>,</3>;pmin=10,</3/0>,</3303/0>")
    arrange(world, WANTED)
    assert serve(world)[0] == "write /3/0/9?pmax=60&gt=80"


@pytest.mark.parametrize(
    ("query", "links"),
    [
        ("lt=300&lwm2m=1.0&b=U", LINKS),
        ("lt=300&lwm2m=1.1&b=U", b'</>;rt="oma.lwm2m";ct="11542",</1/0>,</3/0>,</3303/0>'),
    ],
)
def test_who_lacks_composites_is_not_asked_for_one(world, query, links):
    world.register(query=query, links=links)
    arrange(
        world, Arrangement(observations=composite(BATTERY, HEAT), reads=composite(BATTERY, VOLTAGE, HEAT))
    )
    assert serve(world) == ["observe /3/0/9", "observe /3303/0/5700", "read /3/0", "read /3303/0/5700"]


@pytest.mark.parametrize(
    "code", [Code.METHOD_NOT_ALLOWED, Code.NOT_IMPLEMENTED, Code.UNSUPPORTED_CONTENT_FORMAT]
)
def test_who_refuses_one_composite_is_not_asked_for_another(world, code):
    world.register(links=LINKS)
    groups = (*composite(BATTERY, VOLTAGE), *composite(HEAT, Path("/3303/0/5601")))
    arrange(world, Arrangement(observations=groups))
    heard = serve(world, {"observe /": code})
    # Another content format is tried before that.
    assert set(heard[: heard.index("observe /3/0/9")]) == {"observe /"}
    assert heard[heard.index("observe /3/0/9") :] == [
        "observe /3/0/9",
        "observe /3/0/7",
        "observe /3303/0/5700",
        "observe /3303/0/5601",
    ]
    arrange(world, Arrangement(observations=(*groups, *composite(Path("/3/0/13"), Path("/3/0/14")))))
    assert serve(world) == ["observe /3/0/13", "observe /3/0/14"]


def test_a_composite_with_a_path_that_is_not_there_is_asked_for_one_by_one(world):
    world.register(links=LINKS)
    arrange(world, Arrangement(observations=composite(BATTERY, HEAT)))
    assert serve(world, {"observe /": Code.NOT_FOUND, "observe /3/0/9": Code.NOT_FOUND}) == [
        "observe /",
        "observe /3/0/9",
        "observe /3303/0/5700",
    ]
    assert live(world) == ["/3303/0/5700"]
    [warned] = world.told(Warned)
    assert warned.text == "device profile: no observe of /3/0/9: the device answered 4.04"


def test_a_composite_takes_the_place_of_single_ones(world):
    world.register(links=LINKS)
    arrange(world, Arrangement(observations=single(BATTERY, HEAT)))
    serve(world)
    arrange(world, Arrangement(observations=composite(BATTERY, HEAT)))
    assert serve(world) == ["cancel /3/0/9", "cancel /3303/0/5700", "observe /"]
    assert live(world) == [["/3/0/9", "/3303/0/5700"]]


def test_messages_and_a_set_up_take_turns(world):
    world.register(links=LINKS)
    many = tuple(Group((Path(f"/3/0/{number}"),)) for number in range(1, 21))
    arrange(world, Arrangement(reads=many))
    for _ in range(3):
        world.ask("GET /3303/0/5700")
    assert serve(world)[:7] == [
        "read /3/0/1",
        "read /3303/0/5700",
        "read /3/0/2",
        "read /3303/0/5700",
        "read /3/0/3",
        "read /3303/0/5700",
        "read /3/0/4",
    ]


def test_an_observation_of_an_application_is_shared_and_stays(world):
    world.register(links=LINKS)
    world.ask("OBSERVE /3/0/9")
    serve(world)
    arrange(world, Arrangement(observations=single(BATTERY, HEAT)))
    assert serve(world) == ["observe /3303/0/5700"]
    arrange(world, Arrangement(observations=single(BATTERY)))
    assert serve(world) == ["cancel /3303/0/5700"]
    world.ask("CANCEL /3/0/9")
    assert serve(world) == ["cancel /3/0/9", "observe /3/0/9"], "the profile wants it still"
    world.ask("OBSERVE /3/0/9")
    serve(world)
    arrange(world, None)
    assert serve(world) == []
    assert live(world) == ["/3/0/9"]


def test_what_is_cancelled_by_hand_stays_so_until_the_device_registers_again(world):
    location = world.register(links=LINKS)
    arrange(world, Arrangement(observations=single(BATTERY)))
    serve(world)
    world.ask("CANCEL /3/0/9")
    world.update(location)
    assert serve(world) == ["cancel /3/0/9"]
    world.register(links=LINKS)
    assert serve(world) == ["observe /3/0/9"]


def test_what_a_device_cannot_do_now_is_asked_for_at_the_next_update(world):
    location = world.register(links=LINKS)
    arrange(world, WANTED)
    serve(world, {"observe /3/0/9": Code.SERVICE_UNAVAILABLE})
    assert live(world) == ["/3303/0/5700"]
    world.update(location)
    assert serve(world) == ["observe /3/0/9"]
    assert live(world) == ["/3/0/9", "/3303/0/5700"]


def test_a_sleeper_is_set_up_when_it_wakes(world):
    location = world.register(query="lt=300&lwm2m=1.1&b=U&Q", links=LINKS)
    serve(world)
    world.pass_time(100)
    arrange(world, WANTED)
    assert not world.wire
    world.update(location)
    answer(world)
    world.fail()
    arrange(world, attrs.evolve(WANTED, attributes=()))
    assert not world.wire, "it sleeps"
    world.update(location)
    assert serve(world) == ["write /3?pmin", "observe /3/0/9", "observe /3303/0/5700", "read /3/0/7"]


def test_who_never_answers_a_composite_is_asked_otherwise(world):
    location = world.register(links=LINKS)
    arrange(world, Arrangement(observations=composite(BATTERY, HEAT)))
    world.take(world.engine.acknowledged(world.wire[0].exchange, world.now))
    world.fail()
    world.update(location)
    assert serve(world) == ["observe /3/0/9", "observe /3303/0/5700"]


def test_what_is_never_answered_does_not_hold_up_the_rest(world):
    location = world.register(links=LINKS)
    arrange(world, WANTED)
    for _ in range(3):
        assert asked(world) == ["write /3?pmin=10"]
        world.fail()
        assert not world.wire
        world.update(location)
    assert serve(world)[0] == "write /3/0/9?pmax=60&gt=80"
    assert "no pmin=10 on /3" in world.told(Warned)[0].text


def test_a_set_up_goes_on_after_a_restart_and_a_finished_one_is_not_repeated(world, make_world):
    world.register(links=LINKS)
    arrange(world, WANTED)
    answer(world)
    answer(world)
    answer(world)
    other = restarted(world, make_world)
    assert not other.wire
    arrange(other, WANTED)
    assert serve(other) == ["observe /3303/0/5700", "read /3/0/7"]
    third = restarted(other, make_world)
    arrange(third, WANTED)
    assert not third.wire
    arrange(third, attrs.evolve(WANTED, observations=single(HEAT)))
    assert serve(third) == ["cancel /3/0/9"]


def test_a_change_while_a_request_is_under_way(world):
    world.register(links=LINKS)
    arrange(world, WANTED)
    arrange(world, Arrangement(observations=single(HEAT)))
    assert asked(world) == ["write /3?pmin=10"]
    assert serve(world)[1:] == ["write /3?pmin", "observe /3303/0/5700"]
    arrange(world, Arrangement(observations=single(HEAT, BATTERY)))
    arrange(world, Arrangement(observations=single(HEAT)))
    assert serve(world) == ["observe /3/0/9", "cancel /3/0/9"]
    assert live(world) == ["/3303/0/5700"]


def test_what_is_under_way_and_part_of_a_composite_now_is_taken_back(world):
    world.register(links=LINKS)
    arrange(world, Arrangement(observations=single(BATTERY, HEAT)))
    arrange(
        world, Arrangement(observations=composite(BATTERY, HEAT), reads=single(VOLTAGE), reads_first=True)
    )
    assert serve(world) == ["observe /3/0/9", "cancel /3/0/9", "read /3/0/7", "observe /"]
    assert live(world) == [["/3/0/9", "/3303/0/5700"]]


def test_what_the_model_does_not_have_is_told(world):
    world.register(links=LINKS)
    arrange(world, Arrangement(observations=single(Path("/3/0/99"), HEAT)))
    assert serve(world) == ["observe /3303/0/5700"]
    assert "no observe of /3/0/99" in world.told(Warned)[0].text


def test_pacing_leaves_time_between_the_requests_of_a_set_up(make_world):
    world = make_world(read_pacing=1.0)
    world.register(links=LINKS)
    arrange(world, WANTED)
    for _ in range(5):
        assert len(world.wire) == 1
        answer(world)
        assert not world.wire
        world.pass_time(1.0)
    assert world.engine.registration("dev1").arranged.complete


def test_a_commit_that_fails_leaves_the_arrangement_known(world):
    world.register(links=LINKS)
    arrange(world, WANTED)
    serve(world)
    registration = world.engine.registration("dev1")
    liveness = next(event.liveness for event in world.events if hasattr(event, "liveness"))
    rows = [event.observation for event in world.told(Observed)]
    # The store does not have the second observation, nor what came after it.
    was = attrs.evolve(registration, arranged=attrs.evolve(registration.arranged, complete=False, reads=0))
    record = DeviceRecord("dev1", was, liveness, tuple(rows[:1]))
    world.take(world.engine.restore([record], world.now, resume=False))
    world.pass_time(10)
    assert serve(world) == ["observe /3303/0/5700", "read /3/0/7"]
