"""API clients and the audit log, without a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

CLIENTS, AUDIT = "/console/clients", "/console/audit"


@pytest.fixture(autouse=True)
def boss(rest: Any) -> Iterator[None]:
    """Somebody who can add the others has to be first."""
    rest.post("/clients", json={"id": "boss", "role": "admin"})
    yield
    rest.delete("/clients/boss")


def words(element: Any) -> str:
    return re.sub(r"\s+", " ", element.text_content()).strip()


def test_a_secret_is_shown_once_and_good(reader: Any, console: Any) -> None:
    answer = reader.send(CLIENTS, id="shop", role="operate", origins="CShop CStore")
    assert answer.status_code == 201
    (secret,) = re.findall('id="secret">([^<]+)<', answer.text)
    form = {"grant_type": "client_credentials"}
    got = httpx.post(f"{console.server.http}/auth/token", data=form, auth=("shop", secret))
    assert got.status_code == 200
    page = reader.page(CLIENTS)
    assert secret not in page.text_content()
    (row,) = [row for row in page.xpath("//tbody/tr") if words(row).startswith("shop")]
    assert words(row).startswith("shop operate main CShop, CStore")
    page = reader.done(f"{CLIENTS}/shop/revoke")
    assert "shop is revoked" in words(page)
    got = httpx.post(f"{console.server.http}/auth/token", data=form, auth=("shop", secret))
    assert got.status_code == 401


def test_what_is_refused_is_told(reader: Any) -> None:
    answer = reader.send(CLIENTS, id="<i>", role="operate")
    assert answer.status_code == 400
    assert 'value="&lt;i&gt;"' in answer.text


def test_the_system_chooses_the_tenant(read_as: Any, rest: Any) -> None:
    system = read_as("system")
    page = system.page(CLIENTS)
    assert page.xpath("//select[@name='tenant']/option/@value") == ["main"]
    assert "system" in page.xpath("//select[@name='role']/option/@value")
    assert system.send(CLIENTS, id="root2", role="system", tenant="main").status_code == 201
    assert system.send(CLIENTS, id="eye2", role="read", tenant="main").status_code == 201
    ids = {one["id"] for one in rest.get("/clients").json()["clients"]}
    assert "eye2" in ids
    assert "root2" not in ids
    for id in ("root2", "eye2"):
        system.done(f"{CLIENTS}/{id}/revoke")


@pytest.mark.parametrize("role", ["read", "operate"])
def test_others_have_no_such_pages(read_as: Any, role: str) -> None:
    other = read_as(role)
    links = other.page("/console/").xpath("//nav//a/@href")
    assert not {CLIENTS, AUDIT} & set(links)
    other.page(CLIENTS, 403)
    other.page(AUDIT, 403)


def test_the_audit_log_is_filtered_and_paged(reader: Any, rest: Any) -> None:
    for number in range(101):
        rest.delete(f"/groups/nothing{number}")
    rest.post("/groups", json={"name": "audited"})
    rest.delete("/groups/audited")
    done, *_ = reader.page(AUDIT, q="/groups/audited").xpath("//tbody/tr")
    assert "DELETE delete /api/v1/groups/audited 204" in words(done)
    page = reader.page(AUDIT, q="/groups/nothing", refused="true", action="delete", client="key:admin")
    assert len(page.xpath("//tbody/tr")) == 100
    (more,) = page.xpath("//a[@rel='next']/@href")
    (last,) = reader.page(more).xpath("//tbody/tr")
    assert "/api/v1/groups/nothing0" in words(last)
    assert "Nothing like that was noted" in words(reader.page(AUDIT, client="nobody"))
