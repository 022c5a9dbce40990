"""Object models: uploaded, listed, shown, compared, replaced and taken away, without a browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest


def xml(id: int, version: str = "1.0", name: str = "Tank", type: str = "Float") -> bytes:
    return f"""\
<LWM2M><Object ObjectType="MODefinition">
<Name>{name}</Name><ObjectID>{id}</ObjectID><ObjectURN>urn:oma:lwm2m:x:{id}:{version}</ObjectURN>
<LWM2MVersion>1.0</LWM2MVersion><ObjectVersion>{version}</ObjectVersion>
<MultipleInstances>Single</MultipleInstances><Mandatory>Optional</Mandatory>
<Resources><Item ID="1"><Name>Fill &lt;Level&gt;</Name><Operations>R</Operations>
<MultipleInstances>Single</MultipleInstances><Mandatory>Mandatory</Mandatory>
<Type>{type}</Type><RangeEnumeration>0..1</RangeEnumeration><Units>m3</Units>
<Description>How much.</Description></Item></Resources></Object></LWM2M>
""".encode()


def words(element: Any) -> str:
    return re.sub(r"\s+", " ", element.text_content()).strip()


def rows(page: Any) -> list[list[str]]:
    """Of the first table."""
    (table, *_) = page.xpath("//table")
    return [[words(cell) for cell in row.xpath("./th | ./td")] for row in table.xpath("./tbody/tr")]


@pytest.fixture
def upload(reader: Any, rest: Any) -> Iterator[Callable[..., Any]]:
    """Upload files and see the report; what there is of these Objects goes with the test."""
    seen: set[tuple[int, str]] = set()

    def upload(*files: tuple[str, bytes], level: str = "tenant", who: Any = None, **fields: str) -> Any:
        for _, data in files:
            for id, version in re.findall(rb"<ObjectID>(\d+)<.*?<ObjectVersion>(.*?)<", data, re.DOTALL):
                seen.add((int(id), version.decode()))
        parts = [("file", (name, data, "text/xml")) for name, data in files]
        return (who or reader).done("/console/models/upload", parts, level=level, **fields)

    yield upload
    for id, version in seen:
        rest.delete(f"/models/{id}/{version}", params={"force": "true"})


def test_an_upload_tells_what_became_of_each_file(upload: Any) -> None:
    bad = xml(33700, version="x")
    page = upload(
        ("tank.xml", xml(33700)), ('<b>"quoted".xml', xml(33701, name="&lt;i&gt;Lamp")), ("bad.xml", bad)
    )
    found = {row[3]: row for row in rows(page)}
    assert found["tank.xml"] == ["Tank", "33700", "1.0", "tank.xml", "stored", "none"]
    (lamp,) = [row for row in found.values() if row[1] == "33701"]
    assert lamp[0] == "<i>Lamp"
    assert "quoted" in lamp[3]
    assert found["bad.xml"][4] == "refused"
    assert re.search(r"error line \d+: ", found["bad.xml"][5])
    assert "2 of 3 files are kept" in words(page)


def test_what_is_there_is_replaced_only_if_that_is_said(upload: Any) -> None:
    upload(("tank.xml", xml(33702)))
    other = ("other.xml", xml(33702, name="Other"))
    assert rows(upload(other))[0][4] == "refused"
    assert rows(upload(other, replace="true"))[0][4] == "replaced"
    assert rows(upload(other))[0][4] == "unchanged"


def test_models_are_found_by_id_name_and_urn(upload: Any, reader: Any) -> None:
    upload(("tank.xml", xml(33703, name="Cistern")))
    for text in ("33703", "cister", "urn:oma:lwm2m:x:33703"):
        (row,) = rows(reader.page("/console/models", q=text))
        assert row[:5] == ["Cistern", "33703", "1.0", "Tenant", "tank.xml"]
        assert row[-1] == "in force"
    nothing = reader.page("/console/models", q="no such thing")
    assert "No model is like that" in words(nothing)
    (next_,) = reader.page("/console/models", level="bundled").xpath("//a[@rel='next']/@href")
    page = reader.page(next_)
    assert len(rows(page)) == 50
    assert page.xpath("//a[@rel='prev']/@href") == ["/console/models?level=bundled"]


def test_a_model_shows_its_resources_and_differences(upload: Any, reader: Any) -> None:
    upload(("tank.xml", xml(33704)), ("tank11.xml", xml(33704, "1.1", type="Integer")))
    page = reader.page("/console/models/33704/1.1", level="tenant", compare="tenant:1.0")
    facts = dict(zip(*(map(words, page.xpath(f"//dl[1]/{tag}")) for tag in ("dt", "dd")), strict=True))
    assert (facts["Name"], facts["ObjectID"], facts["ObjectVersion"]) == ("Tank", "33704", "1.1")
    assert facts["File name"] == "tank11.xml"
    assert rows(page) == [
        ["Object", "URN", "changed", "urn:oma:lwm2m:x:33704:1.0", "urn:oma:lwm2m:x:33704:1.1"],
        ["1", "Type", "changed", "Float", "Integer"],
    ]
    (resource,) = page.xpath("//table[last()]//tr[th[@scope='row'][text()='Fill <Level>']]")
    assert words(resource) == "1 Fill <Level> R single mandatory Integer 0..1 m3 fill<level>"
    answer = reader.client.get("/console/models/33704/1.1/file?level=tenant")
    assert answer.content == xml(33704, "1.1", type="Integer")
    assert answer.headers["content-disposition"] == 'attachment; filename="tank11.xml"'


def test_a_model_is_replaced_by_a_file_of_the_same_version(upload: Any, reader: Any) -> None:
    upload(("tank.xml", xml(33705)))
    part = [("file", ("new.xml", xml(33705, name="Newer"), "text/xml"))]
    page = reader.done("/console/models/33705/1.0/replace", part, level="tenant")
    assert rows(page)[0][:5] == ["Newer", "33705", "1.0", "new.xml", "replaced"]
    part = [("file", ("new.xml", xml(33706), "text/xml"))]
    page = reader.done("/console/models/33705/1.0/replace", part, level="tenant")
    assert rows(page)[0][4] == "refused"


def test_deleting_one_that_is_used_tells_by_whom(upload: Any, reader: Any, rest: Any) -> None:
    upload(("tank.xml", xml(33707)))
    observed: dict[str, Any] = {"observe": ["/33707_1.0/0/1"], "attribute": ["/33707_1.0/0/1"]}
    observed["keyName"] = {"/33707_1.0/0/1": "level"}
    profile = {
        "name": "tank-profile",
        "transportType": "LWM2M",
        "profileData": {"transportConfiguration": {"observeAttr": observed}},
    }
    answer = rest.post("/profiles", json=profile)
    assert answer.status_code == 201, answer.text
    refused = reader.send("/console/models/33707/1.0/delete", level="tenant")
    assert refused.status_code == 409
    assert "tank-profile" in refused.text
    page = reader.done("/console/models/33707/1.0/delete", level="tenant", force="true")
    assert "Model 33707/1.0 is deleted." in words(page)
    assert rest.get("/models/33707/1.0").status_code == 404
    rest.delete("/profiles/tank-profile")


def test_who_may_upload(upload: Any, read_as: Any) -> None:
    looking = read_as("read")
    assert not looking.page("/console/models").xpath("//a[contains(@href, 'upload')]")
    part = [("file", ("tank.xml", xml(33708), "text/xml"))]
    assert looking.send("/console/models/upload", part, level="tenant").status_code == 403
    system = read_as("system")
    levels = system.page("/console/models/upload").xpath("//select[@name='level']/option/@value")
    assert levels == ["system"]
    page = upload(("tank.xml", xml(33708)), level="system", who=system)
    assert rows(page)[0][4] == "stored"
    (row,) = rows(looking.page("/console/models", q="33708"))
    assert row[3] == "System"
    page = looking.page("/console/models/33708/1.0", level="system")
    assert not page.xpath("//form[contains(@action, 'delete')]")
    system.done("/console/models/33708/1.0/delete", level="system")


def test_an_upload_without_files_is_told(reader: Any) -> None:
    answer = reader.send("/console/models/upload", level="tenant")
    assert answer.status_code == 400
    assert "Choose one file at least" in answer.text
