"""Tables of devices below ``/api/v1/imports``, and their headings."""

import asyncio
import base64
import gc
import time

import pytest

from lwm2m_server.enrolment.columns import Table, document
from lwm2m_server.enrolment.reading import Faulty
from lwm2m_server.security.credentials import NoSec, Psk, Removed
from lwm2m_server.store.definitions import DeviceProfile

KEY = "5e" * 16
TABLE = f"""name,endpoint,profile,labels,groups,identity,key
one,,meter,a;b,group1,id-1,{KEY}
two,urn:two,,,group1,id-2,{KEY}
three,,,,,,
"""


async def ask(api, method, path, text=None, media_type="text/csv"):
    headers = {"content-type": media_type}
    return await api.client.request(method, f"/api/v1{path}", content=text, headers=headers)


@pytest.fixture
def imported(api, eventually):
    """Import a table; what came of it."""

    async def imported(text, query=""):
        return await _imported(eventually, api, text, query)

    return imported


async def _imported(eventually, api, text, query):
    answer = await ask(api, "POST", f"/imports{query}", text)
    assert answer.status_code == 202, answer.text
    path = f"/imports/{answer.json()['id']}"

    async def over():
        found = (await ask(api, "GET", path)).json()
        return found if found["state"] != "running" else None

    return await eventually(over, 60)


def counts(found):
    return found["created"], found["unchanged"], found["refused"]


@pytest.fixture
async def ready(api):
    await api.inventory.profiles.add(DeviceProfile("main", "meter", {}))
    await api.post("/device-group", 28, {"dtiot:devGr": {"rn": "group1"}})
    return api


async def test_a_look_changes_nothing_and_says_what_would_come(ready, imported):
    found = await imported(TABLE, "?dryRun=true")
    assert (found["state"], found["dryRun"], counts(found)) == ("done", True, (3, 0, 0))
    assert (await ask(ready, "GET", "/devices")).json()["devices"] == []


async def test_lines_are_let_in_and_the_same_table_again_is_no_error(ready, imported):
    found = await imported(TABLE)
    assert (found["state"], counts(found)) == ("done", (3, 0, 0))
    assert [line["line"] for line in found["report"]] == [2, 3, 4]
    device = ready.ledger.reader.device_named("main", "two")
    assert ready.credentials.find(device.node, "management") == Psk(
        "id-2", base64.b64encode(bytes.fromhex(KEY)).decode()
    )
    assert device.endpoint == device.node_id == "urn:two"
    assert '["one","two"]' in (await ready.get("/device-group/group1")).text
    # Half of it was there before.
    found = await imported(f"{TABLE}four,,,,,,\n")
    assert counts(found) == (1, 3, 0)
    changed = TABLE.replace(KEY, "6f" * 16, 1).replace("three,,,", "three,,meter,")
    for query in ("?dryRun=true", ""):
        found = await imported(changed, query)
        assert counts(found) == (0, 1, 2)
        reasons = [line["reason"] for line in found["report"] if line["outcome"] == "refused"]
        assert reasons == [
            "there is a device of this name with another client",
            "there is a device of this name with another profile",
        ]
    only = await ask(ready, "GET", f"/imports/{found['id']}?outcome=refused&limit=2")
    assert ([line["name"] for line in only.json()["report"]], only.json()["next"]) == (["one"], 2)


async def test_each_line_is_all_or_nothing(ready, imported):
    rows = [
        f"one,,,,,id-1,{KEY}",
        f"two,,,,,id-1,{KEY}",
        f"three,one,,,,id-3,{KEY}",
        "four,,none,,,,",
        "five,,,,none,,",
        f"six,,,,,id-6,{KEY[:-1]}",
        "seven words,,,,,,",
        "eight,,",
        "",
        f"nine,,,,,id-9,{KEY}",
        f"nine,,,,,id-9,{KEY}",
    ]
    text = TABLE.splitlines()[0] + "\n" + "\n".join(rows)
    look = await imported(text, "?dryRun=true")
    found = await imported(text)
    reasons = [line["reason"] for line in found["report"]]
    expected = [
        None,
        "the security identity is taken",
        "the endpoint name is taken",
        "profile: there is no device profile 'none'",
        "groups: there is no group 'none'",
        "client.key: an even number of hexadecimal digits is due",
        "name: 'seven words' is no resource name: 1 to 255 letters, digits and '_', '.', ':', '-' are",
        "line: it has 3 cells, the first line 7",
        None,
    ]
    assert reasons[3:8] == expected[3:8]
    assert [line["outcome"] for line in found["report"]][:2] == ["created", "refused"]
    assert [line["outcome"] for line in look["report"]][:8] == ["created"] + ["refused"] * 7
    assert look["report"][1]["reason"] == "line 2 has the same identity for management"
    names = [one["name"] for one in (await ask(ready, "GET", "/devices")).json()["devices"]]
    assert names == ["one", "nine"]
    assert KEY not in str(found) + str(look)


@pytest.fixture
def no_collector():
    """What the tests before have left is not this one's to wait for."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
async def test_thousands_of_lines_leave_room_for_others(imported, ready):
    lines = "".join(f"d{n},,meter,,group1,id-{n},{n:032x}\n" for n in range(2000))
    longest, running = 0.0, True

    async def watch():
        nonlocal longest
        while running:
            # Of this thread: what else the machine does is not counted.
            began = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - began)

    watching = asyncio.ensure_future(watch())
    found = await imported(TABLE.splitlines()[0] + "\n" + lines)
    again = await imported(TABLE.splitlines()[0] + "\n" + lines)
    running = False
    await watching
    assert (counts(found), counts(again)) == ((2000, 0, 0), (0, 2000, 0))
    assert longest < 0.1


@pytest.mark.parametrize(
    ("text", "media_type", "status", "words"),
    [
        ("name\none\n", "application/json", 415, "text/csv"),
        ("endpoint\none\n", "text/csv", 400, "no column 'name'"),
        ("name,size\none,1\n", "text/csv", 400, "no column 'size' is known; columns are name,"),
        ("name,label,labels\n", "text/csv", 400, "two columns say the same"),
        (b"name\n\xff\n", "text/csv", 400, "not UTF-8 at byte 5"),
        ("", "text/csv", 400, "no column 'name'"),
        ("name\n" + "\n" * 20_001, "text/csv", 400, "more than 10000"),
    ],
)
async def test_tables_that_cannot_be_used(api, text, media_type, status, words):
    answer = await ask(api, "POST", "/imports", text, media_type)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text


async def test_what_is_not_there(api, imported):
    for path in ("/imports/99", "/imports/x"):
        assert (await ask(api, "GET", path)).status_code == 404
    assert (await ask(api, "POST", "/imports?dryRun=perhaps", "name\n")).status_code == 400
    found = await imported("name\none\n")
    assert (await ask(api, "GET", f"/imports/{found['id']}?outcome=x")).status_code == 400


def test_headings_of_others():
    table = (
        "Name;Type;LWM2M Client endpoint;Client security mode;Identity;Key;"
        "Bootstrap server security mode;Bootstrap server public key or id;Bootstrap server secret;"
        "LwM2M server security mode;LwM2M server public key or id;LwM2M server secret\n"
        f"one;meter;ep1;psk;id;{KEY};PSK;bs;{'aa' * 16};PSK;id;{KEY}\n"
        "two;meter;ep2;NoSec;;;NO_SEC;;;NO_SEC;;\n"
    )
    (_, one), (_, two) = list(Table(table))
    assert (one.profile, one.credentials.endpoint, one.credentials.bootstrap.psk_identity) == (
        "meter",
        "ep1",
        "bs",
    )
    assert (two.credentials.management, two.credentials.bootstrap) == (NoSec(), NoSec())
    assert next(iter(Table("name\nx\n")))[1].credentials.bootstrap == Removed()
    assert (
        document({"name": "a", "key": KEY, "identity": "i"})["credentials"]["credentialsValue"]["client"][
            "securityConfigClientMode"
        ]
        == "PSK"
    )
    with pytest.raises(Faulty, match="line 2"):
        list(Table('name\n"' + "x" * 200_000 + '"\n'))
