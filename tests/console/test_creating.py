"""A device is added with its credentials, changed and removed, without a script."""

from __future__ import annotations

import re

import pytest

NEW = "/console/new-device"
KEY, OTHER = "5e" * 16, "7a" * 16


def faults(page):
    """By field what is said to be wrong."""
    return {
        field.xpath("string(.//input/@name | .//select/@name | .//textarea/@name)"): field.xpath(
            "string(p[@class='fault'])"
        )
        for field in page.xpath("//div[contains(@class, 'wrong')]")
    }


def psk(name, **more):
    return {
        "name": name,
        "credential": "true",
        "credentialsType": "LWM2M_CREDENTIALS",
        "client.securityConfigClientMode": "PSK",
        "client.PSK.identity": f"id-{name}",
        "client.PSK.key": KEY,
        **more,
    }


def test_the_form_has_the_words_of_the_reference_page(reader):
    shown = reader.page(NEW)
    said = {" ".join(label.text_content().split()) for label in shown.xpath("//label | //legend")}
    assert said >= {
        "Name *",
        "Transport type",
        "Device profile",
        "Add credential",
        "Credentials type",
        "LwM2M Security config key",
        "LwM2M Security config",
        "Client Security Config",
        "Bootstrap Client",
        "BOOTSTRAP SERVER",
        "LWM2M SERVER",
    }
    modes = shown.xpath("//select[@name='client.securityConfigClientMode']/option/@value")
    assert modes == ["NO_SEC", "PSK", "RPK", "X509", "OSCORE"]


def test_a_device_without_security(reader, rest):
    shown = reader.done(NEW, name="c-plain", profile="", labels="red\n\n blue ")
    assert "c-plain was added." in shown.xpath("string(//div[@id='notices'])")
    device = rest.get("/devices/c-plain").json()
    assert (device["security"], device["labels"]) == ("nosec", ["red", "blue"])


def test_every_part_of_the_credentials_gets_where_it_belongs(reader, rest):
    reader.done(
        NEW,
        **psk("c-psk"),
        **{
            "bootstraps": "true",
            "bootstrapServer.securityMode": "PSK",
            "bootstrapServer.PSK.clientPublicKeyOrId": "bs-c",
            "bootstrapServer.PSK.clientSecretKey": OTHER,
            "lwm2mServer.securityMode": "NO_SEC",
        },
    )
    found = rest.get("/devices/c-psk/credentials", params={"form": "lwm2m"}).json()
    value = found["credentialsValue"]
    assert found["credentialsId"] == "id-c-psk"
    assert value["client"].items() >= {"identity": "id-c-psk", "keySet": True}.items()
    assert (
        value["bootstrap"]["bootstrapServer"].items()
        >= {
            "securityMode": "PSK",
            "clientPublicKeyOrId": "bs-c",
            "keySet": True,
        }.items()
    )


def test_what_is_of_another_mode_is_not_sent(reader, rest):
    more = {"client.RPK.key": "nonsense", "client.X509.cert": "nonsense", "client.endpoint": "urn:c-mode"}
    reader.done(NEW, **psk("c-mode", **more))
    assert rest.get("/devices/c-mode").json()["security"] == "psk"


def test_a_key_that_was_made_is_shown_once(reader):
    fields = psk("c-made") | {"client.PSK.key": "", "client.PSK.generate": "true"}
    answer = reader.send(NEW, **fields)
    assert answer.status_code == 200
    (key,) = re.findall(r'id="key-1">([0-9a-f]{32})<', answer.text)
    assert answer.headers["cache-control"] == "no-store"
    assert key not in reader.client.get("/console/devices/c-made").text


def test_what_is_wrong_is_said_at_its_field(reader):
    answer = reader.send(NEW, **psk("", **{"client.PSK.key": "5e5", "client.endpoint": "kept"}))
    import lxml.html

    shown = lxml.html.document_fromstring(answer.text)
    assert answer.status_code == 400
    found = faults(shown)
    assert found["name"] == "the name of the device is due"
    assert "hexadecimal digits" in found["client.PSK.key"]
    assert shown.xpath("//input[@name='client.endpoint']/@value") == ["kept"]
    assert shown.xpath("//input[@name='part'][@checked]/@value") == ["client"]
    assert "5e5" not in answer.text, "a secret came back"
    wrong = {"lwm2mServer.securityMode": "RPK", "bootstraps": "true"}
    shown = lxml.html.document_fromstring(reader.send(NEW, **psk("c-tab", **wrong)).text)
    assert "lwm2mServer.RPK.clientPublicKeyOrId" in faults(shown)
    assert shown.xpath("//input[@name='part'][@checked]/@value") == ["bootstrap"]
    assert shown.xpath("//input[@name='server'][@checked]/@value") == ["lwm2mServer"]


def test_a_name_that_is_taken(reader):
    reader.done(NEW, name="c-twice")
    answer = reader.send(NEW, name="c-twice")
    assert answer.status_code == 409
    assert "is taken" in answer.text


def test_save_looks_and_keeps_nothing(reader, rest):
    answer = reader.send(f"{NEW}/check", **psk("c-look"))
    assert "can be added like this" in answer.text
    assert rest.get("/devices/c-look").status_code == 404
    token = reader.page("/console/").xpath("//input[@name='csrf']/@value")[0]
    for key, words in ((KEY, "is good"), ("x", "hexadecimal digits")):
        body = {"csrf": token, **psk("c-look", **{"client.PSK.key": key})}
        part = reader.client.post(f"{NEW}/check", data=body, headers={"hx-request": "true"})
        assert (words in part.text, "<html" in part.text) == (True, False)


@pytest.fixture
def edited(reader, rest):
    for name in ("ed-one", "ed-two"):
        profile = {"name": name, "transportType": "LWM2M"}
        rest.post("/profiles", json=profile | {"profileData": {"transportConfiguration": {}}})
    rest.post("/groups", json={"name": "ed-group"})
    body = {"name": "c-edit", "profile": "ed-one", "labels": ["old"]}
    assert rest.post("/devices", json=body).status_code in (201, 409)
    return "/console/devices/c-edit"


def test_a_device_is_changed(edited, reader, rest):
    shown = reader.page(f"{edited}/edit")
    assert shown.xpath("//select[@name='profile']/option[@selected]/@value") == ["ed-one"]
    assert shown.xpath("string(//textarea)").strip() == "old"
    reader.done(f"{edited}/edit", profile="ed-two", labels="new\nmore", groups="ed-group")
    device = rest.get("/devices/c-edit").json()
    assert (device["profile"], device["labels"]) == ("ed-two", ["new", "more"])
    assert [one["name"] for one in rest.get("/groups/ed-group/devices").json()["devices"]] == ["c-edit"]
    answer = reader.send(f"{edited}/edit", profile="none", labels="kept")
    assert (answer.status_code, "there is no device profile" in answer.text, "kept" in answer.text) == (
        400,
        True,
        True,
    )


def test_a_device_is_removed(reader, rest):
    reader.done(NEW, name="c-gone")
    shown = reader.done("/console/devices/c-gone/delete")
    assert "c-gone was removed." in shown.xpath("string(//div[@id='notices'])")
    assert rest.get("/devices/c-gone").status_code == 404


def test_who_only_reads_adds_nothing(read_as, rest):
    someone = read_as("read")
    assert someone.send(NEW, name="c-never").status_code == 403
    assert "takes the role operate" in someone.page(NEW, status=403).xpath("string(//main)")
    assert rest.get("/devices/c-never").status_code == 404
