"""Enrolment rules are made, changed and removed, and given keys; no secret comes back."""

from __future__ import annotations

import pytest

NEW, RULES = "/console/new-enrolment-rule", "/console/enrolment/rules"
MASTER = "000102030405060708090a0b0c0d0e0f"
KEY = "6b6579206f66206d657465722d372121"


@pytest.fixture(scope="module")
def console(own_console):
    return own_console


@pytest.fixture(autouse=True)
def clean(rest):
    for one in rest.get("/enrolments").json()["enrolments"]:
        assert rest.delete(f"/enrolments/{one['name']}").status_code == 204


@pytest.fixture
def batch(rest):
    assert rest.put("/enrolments/batch", json={"by": "keys", "endpoints": ["k-*"]}).status_code == 200


def told(answer):
    import lxml.html

    shown = lxml.html.document_fromstring(answer.text)
    faults = {
        field.xpath("string(.//label)").replace("*", "").strip(): field.xpath("string(.//*[@class='fault'])")
        for field in shown.xpath("//div[contains(@class, 'wrong')]")
    }
    faults[""] = " ".join(shown.xpath("//p[@role='alert']/span/text()"))
    return answer.status_code, faults, shown


def sent(shown):
    """What a form would send as it is."""
    form = next(form for form in shown.xpath("//main//form") if "rule" in form.get("class", ""))
    fields = dict(form.form_values())
    del fields["csrf"]
    return fields


def test_nothing_yet_leads_to_a_form_that_says_what_each_field_means(reader):
    shown = reader.page("/console/enrolment")
    assert shown.xpath("//div[@class='empty']//a/@href") == [NEW]
    form = reader.page(NEW).xpath("//form[contains(@class, 'rule')]")[0]
    fields = form.xpath(".//div[contains(@class, 'field')]")
    assert len(fields) > 10
    for one in fields:
        assert one.xpath("string(.//p[@class='hint'])"), one.xpath("string(.//label)")


def test_a_rule_is_made_changed_and_removed(reader, rest):
    rest.post("/groups", json={"name": "gates"})
    fields = {"name": "gates 1", "by": "certificate", "issuer": "CN=Factory*", "pinned": "true"}
    fields |= {"endpoints": "gw-*\n\n gate-? ", "groups": "gates", "labels": "a\nb", "approval": "auto"}
    shown = reader.done(NEW, **fields)
    assert shown.xpath("string(//h1)") == "gates 1"
    made = rest.get("/enrolments/gates 1").json()
    assert made["certificate"] == {"issuer": "CN=Factory*", "subject": "*", "pinned": True}
    assert (made["endpoints"], made["groups"], made["labels"]) == (["gw-*", "gate-?"], ["gates"], ["a", "b"])
    assert (made["approval"], made["profile"]) == ("auto", None)
    # As it stands in the form it stays.
    reader.done(f"{RULES}/gates 1", **sent(shown))
    assert rest.get("/enrolments/gates 1").json() == made
    shown = reader.done(f"{RULES}/gates 1", **sent(shown) | {"by": "endpoint", "noSec": "true"})
    changed = rest.get("/enrolments/gates 1").json()
    assert (changed["by"], changed["noSec"], "certificate" in changed) == ("endpoint", True, False)
    shown = reader.page("/console/enrolment")
    assert shown.xpath("//tbody/tr/th/a/@href") == [f"{RULES}/gates%201"]
    shown = reader.done(f"{RULES}/gates 1/delete")
    assert "The rule gates 1 is removed." in shown.xpath("string(//div[@id='notices'])")
    assert rest.get("/enrolments/gates 1").status_code == 404


def test_a_master_key_is_set_kept_and_replaced_and_never_shown(reader, rest):
    fields = {"by": "masterKey", "masterKey": MASTER, "identity": "psk.{endpoint}", "approval": "queue"}
    shown = reader.done(NEW, name="cams", **fields)
    assert "It is set." in shown.xpath("string(//input[@name='masterKey']/../p)")
    assert MASTER not in reader.client.get(f"{RULES}/cams").text
    fields = sent(shown) | {"labels": "new"}
    assert "masterKey" not in fields
    reader.done(f"{RULES}/cams", **fields)
    kept = rest.get("/enrolments/cams").json()
    assert (kept["masterKeySet"], kept["labels"], kept["identity"]) == (True, ["new"], "psk.{endpoint}")
    answer = reader.send(f"{RULES}/cams", **fields | {"masterKey": "5ecf" * 3})
    status, faults, _ = told(answer)
    assert (status, list(faults)) == (400, ["Replace the master key", ""])
    assert "5ecf" not in answer.text
    reader.done(f"{RULES}/cams", **fields | {"masterKey": MASTER[::-1]})


@pytest.mark.parametrize(
    ("fields", "label", "words"),
    [
        ({"name": ""}, "Name", "is due"),
        ({"name": "a/b"}, "Name", "no name"),
        ({"name": ".."}, "Name", "no name"),
        ({"name": "there"}, "Name", "already"),
        ({"name": "pending"}, "Name", "no name"),
        ({"name": "n" * 101}, "", "no name for a rule"),
        ({"by": "certificate"}, "Issuer", "authority"),
        ({"by": "endpoint", "noSec": "true"}, "Endpoint names", "proves nothing"),
        ({"by": "masterKey", "masterKey": MASTER, "identity": "x"}, "PSK identity", "{endpoint}"),
        ({"by": "keys", "groups": "nowhere"}, "Device groups", "no group"),
        ({"by": "keys", "profile": "nothing"}, "Profile", "no device profile"),
        ({"by": "keys", "endpoints": "x" * 300}, "Endpoint names", "texts"),
        ({"by": "magic"}, "A device proves who it is by", "one of"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(reader, rest, fields, label, words):
    rest.put("/enrolments/there", json={"by": "keys"})
    given = {"name": "new", "by": "keys", "approval": "queue", "labels": "<b>kept</b>"}
    status, faults, shown = told(reader.send(NEW, **given | fields))
    assert status == 400
    assert words in faults[label]
    assert shown.xpath("//textarea[@name='labels']/text()")[0].strip() == "<b>kept</b>"
    assert rest.get("/enrolments/new").status_code == 404


def test_keys_are_typed_and_come_from_a_file(reader, rest, batch):
    shown = reader.page(f"{RULES}/batch")
    assert "0 wait" in shown.xpath("string(//section[@id='batch'])")
    lines = f"identity,endpoint,key\nid-1,k-1,{KEY}\n\nid-2,,{KEY}\n"
    shown = reader.done(f"{RULES}/batch/keys", keys=lines)
    assert "Keys stored: 2. Waiting for their devices: 2." in shown.xpath("string(//div[@id='notices'])")
    file = "\ufeff" + "".join(f"k-{number},{KEY}\n" for number in range(10, 1300))
    files = {"file": ("keys.csv", file.encode(), "text/csv")}
    shown = reader.done(f"{RULES}/batch/keys", files, keys="")
    assert rest.get("/enrolments/batch").json()["keysWaiting"] == 1292
    assert KEY not in reader.client.get(f"{RULES}/batch").text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Type keys"),
        (f"a,{KEY}\nb", "Line 2: identity, endpoint and key are due"),
        (f"identity,key\na,b,{KEY}", "Line 2: identity"),
        (f"a,{KEY}\n\nb,5ecret", "Line 3: key: an even number of hexadecimal digits is due"),
        (f"a,k-1,{KEY}\nb,k-1,{KEY}", "endpoint name of 'b' is taken"),
    ],
)
def test_keys_that_are_wrong_are_told_by_their_line_and_none_is_kept(reader, rest, batch, text, words):
    answer = reader.send(f"{RULES}/batch/keys", keys=text)
    status, faults, _ = told(answer)
    assert status == 400
    assert words in faults[""]
    assert KEY not in answer.text
    assert "5ecret" not in answer.text
    assert rest.get("/enrolments/batch").json()["keysWaiting"] == 0


def test_files_that_are_no_tables(reader, rest, batch):
    status, faults, _ = told(
        reader.send(f"{RULES}/batch/keys", {"file": ("k.csv", b"a\xff,1", "text/csv")}, keys="")
    )
    assert (status, faults[""]) == (400, "The file is no UTF-8 at byte 1.")
    rows = "".join(f"r-{number},{KEY}\n" for number in range(1000))
    status, faults, _ = told(reader.send(f"{RULES}/batch/keys", keys=f"{rows}z,zz"))
    assert (status, faults[""]) == (
        400,
        "Line 1001: key: an even number of hexadecimal digits is due. Keys before line 1001 are stored.",
    )
    assert rest.get("/enrolments/batch").json()["keysWaiting"] == 1000


def test_only_an_administrator_sees_how_rules_are_made(read_as, rest, batch):
    someone = read_as("operate")
    shown = someone.page("/console/enrolment")
    assert shown.xpath("//a[contains(@href, 'rule')]") == []
    assert shown.xpath("//tbody/tr/th/text()") == ["batch"]
    for path in (NEW, f"{RULES}/batch"):
        someone.page(path, 403)
    for path in (NEW, f"{RULES}/batch", f"{RULES}/batch/keys", f"{RULES}/batch/delete"):
        assert someone.send(path, name="x", by="keys", keys=f"a,{KEY}").status_code == 403
    assert rest.get("/enrolments/batch").json()["keysWaiting"] == 0


def test_a_rule_that_is_not_there(reader):
    reader.page(f"{RULES}/nothing", 404)
    assert reader.send(f"{RULES}/nothing", by="keys").status_code == 404
