"""``/api/v1/problems``: who sees which, filters and pages, advice, and how they are dismissed."""

import pytest

from lwm2m_server.problems.kinds import KINDS, advice
from lwm2m_server.store.problems import Problem


@pytest.fixture
async def found(guarded):
    """One of each: of a device of ``main``, of a stranger there, of ``other``, of no tenant."""
    rows = [
        Problem("undecodable", "odd", 1, "main", "x", 5, "dev-1", {"endpoint": "urn:1", "payload": "c0"}),
        Problem("registration", "who?", 2, "main", "y", facts={"endpoint": "urn:2", "reason": "version"}),
        Problem("update", "no", 3, "other", "z", 6, "dev-1"),
        Problem("plugin", "not used", 4, "", "p", facts={"plugin": "p", "file": "p.py"}),
    ]
    await guarded.ledger.commit(lambda write: write.put_problems(rows))
    return guarded


async def kinds(api, who, query=""):
    answer = await api.call("GET", f"/api/v1/problems{query}", who)
    assert answer.status_code == 200, answer.text
    return [one["kind"] for one in answer.json()["problems"]]


async def test_tenants_are_apart_and_admins_see_what_is_nobodys(found):
    assert await kinds(found, "eye") == ["registration", "undecodable"]
    assert await kinds(found, "app") == ["registration", "undecodable"]
    assert await kinds(found, "boss") == ["plugin", "registration", "undecodable"]
    assert await kinds(found, "stranger") == ["plugin", "update"]
    assert await kinds(found, "root") == ["plugin"]
    assert (await found.call("GET", "/api/v1/problems?tenant=other", "boss")).status_code == 403
    (kept,) = (await found.call("GET", "/api/v1/problems?kind=update", "stranger")).json()["problems"]
    for who, status in (("stranger", 200), ("boss", 404), ("root", 404)):
        assert (await found.call("GET", f"/api/v1/problems/{kept['id']}", who)).status_code == status


async def test_one_in_full(found):
    (one,) = (await found.call("GET", "/api/v1/problems?kind=undecodable", "eye")).json()["problems"]
    assert one == {
        "id": 1,
        "kind": "undecodable",
        "text": "odd",
        "tenant": "main",
        "device": "dev-1",
        "count": 1,
        "firstAt": 1,
        "lastAt": 1,
        "advice": advice("undecodable", {}),
        "facts": {"endpoint": "urn:1", "payload": "c0"},
    }
    assert (await found.call("GET", "/api/v1/problems/1", "eye")).json() == one


async def test_advice_is_about_the_reason():
    assert all(advice(kind, {}) for kind in KINDS)
    assert advice("registration", {"reason": "version"}) != advice("registration", {"reason": "refused"})
    assert advice("message", {"reason": "timeout"}) != advice("message", {"reason": "refused"})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?device=dev-1", ["undecodable"]),
        ("?device=urn:2", ["registration"]),
        ("?since=2", ["plugin", "registration"]),
        ("?q=WHO", ["registration"]),
        ("?kind=plugin&kind=undecodable", ["plugin", "undecodable"]),
        ("?limit=1", ["plugin"]),
    ],
)
async def test_filters(found, query, expected):
    assert await kinds(found, "boss", query) == expected
    if "limit" not in query:
        counted = (await found.call("GET", f"/api/v1/problems/count{query}", "boss")).json()
        assert counted["count"] == len(expected)
        assert counted["kinds"] == dict.fromkeys(expected, 1)


async def test_pages(found):
    page = (await found.call("GET", "/api/v1/problems?limit=2", "boss")).json()
    rest = (await found.call("GET", f"/api/v1/problems?after={page['next']}", "boss")).json()
    assert [one["kind"] for one in rest["problems"]] == ["undecodable"]
    assert "next" not in rest


@pytest.mark.parametrize(
    "query",
    [
        "?kind=none",
        "?since=now",
        "?since=1" + 15 * "0",
        "?since=253402300800000",
        "?limit=x",
        "?after=-1",
        "?limit=²",
    ],
)
async def test_what_is_no_filter(found, query):
    assert (await found.call("GET", f"/api/v1/problems{query}", "boss")).status_code == 400


async def test_to_dismiss_takes_an_operator(found):
    assert (await found.call("DELETE", "/api/v1/problems/1", "eye")).status_code == 403
    assert (await found.call("DELETE", "/api/v1/problems/1", "app")).status_code == 204
    assert (await found.call("DELETE", "/api/v1/problems/1", "app")).status_code == 404
    assert await kinds(found, "eye") == ["registration"]
    for id in ("x", "²", "9" * 40, "0"):
        assert (await found.call("GET", f"/api/v1/problems/{id}", "boss")).status_code == 404
