"""A table of devices, without a script: looked at, let in, and what was refused to take home."""

from __future__ import annotations

import csv
import io
import time

import lxml.html
import pytest

FORM = "/console/import-devices"


def table(*lines, headings="name,endpoint,key"):
    text = "\n".join((headings, *lines, ""))
    return {"file": ("devices.csv", text.encode(), "text/csv")}


def ended(reader, path):
    """The page of an import that has come to its end, and its address without what is chosen."""
    deadline = time.monotonic() + 20.0
    while (page := reader.page(path)).xpath("//progress"):
        assert time.monotonic() < deadline, "the import does not end"
        time.sleep(0.05)
    return page


@pytest.fixture
def send(reader):
    """Send a table; the address of what would come of it, and the page there."""

    def send(*lines, **more):
        answer = reader.send(FORM, table(*lines, **more))
        assert answer.status_code == 303, answer.text
        path = answer.headers["location"]
        return path, ended(reader, path)

    return send


def rows(page):
    return [[" ".join(cell.text_content().split()) for cell in row] for row in page.xpath("//tbody/tr")]


def test_a_table_is_looked_at_before_it_is_let_in(send, reader, rest):
    path, page = send("i-one,urn:i-one,", "i-two,,", "i-three,,5e5", "i-two,,")
    assert [(line, name, outcome) for line, name, outcome, _ in rows(page)] == [
        ("4", "–", "refused"),
        ("5", "i-two", "refused"),
    ]
    assert "line 3 has the same name" in rows(page)[1][3]
    assert rest.get("/devices/i-one").status_code == 404
    everything = rows(reader.page(path, outcome="all"))
    assert [one[2] for one in everything] == ["new", "new", "refused", "refused"]
    assert (
        page.xpath(f"//form[@action='{path}/confirm']//button")[0].text_content().strip()
        == "Import 2 devices"
    )
    answer = reader.send(f"{path}/confirm")
    assert answer.status_code == 303, answer.text
    done = ended(reader, answer.headers["location"])
    assert "2 devices were added" in done.xpath("string(//*[@role='status'])")
    made = reader.page(answer.headers["location"], outcome="created")
    assert made.xpath("//tbody//a/@href") == ["/console/devices/i-one", "/console/devices/i-two"]
    assert rest.get("/devices/i-one").json()["name"] == "i-one"
    again = reader.send(f"{path}/confirm")
    assert again.headers["location"] == FORM, "a table is let in once"


def test_what_is_there_already_is_let_be(send, rest):
    assert rest.post("/devices", json={"name": "i-there"}).status_code == 201
    _, page = send("i-there", headings="name")
    assert [one[2] for one in rows(page)] == ["there already"]
    assert "Nothing in this table" in page.xpath("string(//*[@role='status'])")
    assert page.xpath("//form[contains(@action, 'confirm')]") == []


def test_refused_lines_can_be_taken_home(send, reader):
    path, _ = send("=1+2|0,,", "i-fine,,", "i-wrong,,z")
    answer = reader.client.get(f"{path}/refused.csv")
    assert answer.headers["content-disposition"].startswith("attachment")
    found = [list(one.values()) for one in csv.DictReader(io.StringIO(answer.text))]
    assert [one[:2] for one in found] == [["2", "'=1+2|0"], ["4", ""]], "no formula for a spreadsheet"
    assert "hexadecimal" in found[1][2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,colour\nx,red\n", "no column 'colour'"),
        ("endpoint\nx\n", "no column 'name'"),
        (b"name\n\xff", "UTF-8"),
    ],
)
def test_a_table_that_cannot_be_used(reader, text, words):
    answer = reader.send(FORM, {"file": ("t.csv", text, "text/csv")})
    page = lxml.html.document_fromstring(answer.text)
    assert (answer.status_code, words in page.xpath("string(//p[@class='fault'])")) == (400, True)


def test_no_table_at_all(reader):
    answer = reader.send(FORM, {"file": ("", b"", "application/octet-stream")})
    assert (answer.status_code, "Choose the file" in answer.text) == (400, True)


def test_only_who_sent_a_table_lets_it_in(send, read_as, rest):
    path, _ = send("i-mine,,")
    answer = read_as("operate").send(f"{path}/confirm")
    assert answer.headers["location"] == FORM
    assert rest.get("/devices/i-mine").status_code == 404
    someone = read_as("read")
    assert someone.send(FORM, table("i-read,,")).status_code == 403
    someone.page(FORM, status=403)


def test_the_template_has_headings_that_are_known(reader, send):
    answer = reader.client.get(f"{FORM}/template.csv")
    headings = answer.text.strip()
    _, page = send("i-template" + "," * headings.count(","), headings=headings)
    assert [one[2] for one in rows(page)] == ["new"]


def test_an_import_that_there_is_not(reader):
    reader.page("/console/imports/99999", status=404)
