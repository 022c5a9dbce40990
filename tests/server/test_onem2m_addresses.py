"""Address forms: by name, by id, under the prefix of the D2C API and as oneM2M writes them."""

import pytest

from lwm2m_server.onem2m.addresses import Address, parse_address
from lwm2m_server.onem2m.errors import BadRequest

PREFIX = "/api/v3"


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("/api/v3/eos", Address("eos", (), False, PREFIX)),
        ("/api/v3/eos/", Address("eos", (), False, PREFIX)),
        ("/api/v3/eos/dev/logs", Address("eos", ("dev", "logs"), False, PREFIX)),
        ("/api/v3/~/eos/abc", Address("eos", ("abc",), True, PREFIX)),
        ("/api/v3/~/eos/abc/la", Address("eos", ("abc", "la"), True, PREFIX)),
        ("/api/v3/~/eos/eos/dev", Address("eos", ("dev",), False, PREFIX)),
        ("/api/v3x/dev", Address(None, ("api", "v3x", "dev"), True, "")),
        ("/main/dev", Address(None, ("main", "dev"), True, "")),
        ("/-/dev", Address("main", ("dev",), False, "")),
        ("/abc/la", Address(None, ("abc", "la"), True, "")),
        ("/~/main/main/dev", Address("main", ("dev",), False, "")),
        ("/~/main/-/dev", Address("main", ("dev",), False, "")),
        ("/~/main/abc", Address("main", ("abc",), True, "")),
        ("/_/sp.example/main/main/dev", Address("main", ("dev",), False, "")),
    ],
)
def test_forms(path, address):
    assert parse_address(path, PREFIX, "main") == address


@pytest.mark.parametrize(
    "path", ["/", "/api/v3", "/api/v3/", "/~/main", "/~", "/_/sp/main", "/a//b", "/api/v3/~/eos"]
)
def test_no_address(path):
    with pytest.raises(BadRequest, match="names no resource"):
        parse_address(path, PREFIX, "main")


async def test_one_resource_under_all_its_addresses(api):
    node = await api.add_device("dev")
    ri = node["resourceID"]
    plain = {"X-M2M-RVI": "3"}
    paths = [
        "/device-management-orchestrator/v3/main/dev",
        f"/device-management-orchestrator/v3/~/main/{ri}",
        "/main/dev",
        "/-/dev",
        f"/{ri}",
        f"/~/main/{ri}",
        "/~/main/main/dev",
        "/_/sp/main/-/dev",
    ]
    found = [(await api.get(path, base="", headers=plain)).json()["m2m:nod"]["ri"] for path in paths]
    assert found == [ri] * len(paths)


async def test_everything_has_an_address_by_id(api):
    await api.add_device("dev")
    await api.post("/device-communication/dev/received-msg", 4, {"m2m:cin": {"con": "x"}})
    await api.post("", 2, {"m2m:ae": {"rn": "app", "api": "Nx"}}, headers={"X-M2M-Origin": "CApp"})
    for path in ("", "/app", "/dev", "/dev/credentials", "/device-communication/dev/received-msg/la"):
        (by_name,) = (await api.get(path)).json().values()
        answer = await api.get(f"/~/main/{by_name['resourceID']}", base="/device-management-orchestrator/v3")
        assert list(answer.json().values()) == [by_name]
    box = (await api.get("/device-communication/dev/received-msg")).json()["container"]["resourceID"]
    latest = await api.get(f"/~/main/{box}/la", base="/device-management-orchestrator/v3")
    assert latest.json()["contentInstance"]["content"] == "x"


async def test_what_does_not_exist(api):
    ri = (await api.add_device("dev"))["resourceID"]
    # One digit further the id is of another type, which the node is not.
    other = ri[:18] + ("1" if ri[18] == "0" else "0") + ri[19:]
    for path in ("/nobody", "/dev/x/y", f"/~/{ri}", "/~/main/zzz"):
        assert (await api.get(path)).status_code == 404
    for path in (f"/~/main/{other}", f"/~/nobody/{ri}", "/nobody", f"/~/main/{'0' * 24}", f"/~/main/{ri}0"):
        answer = await api.get(path, base="/device-management-orchestrator/v3")
        assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (404, "4004")
