"""Callers in the tree: by role, within their tenant, as AEs of it; whatever way they ask."""

from itertools import product

import attrs
import pytest

from lwm2m_server.settings import CredentialSettings

AE = {"m2m:ae": {"api": "Nshop"}}
NODE = {"m2m:nod": {"rn": "device001", "ni": "urn:dev:1"}}


async def register(guarded, who="app", origin="CShop", tenant="main"):
    answer = await guarded.call("POST", tenant, who, origin=origin, ty=2, json=AE)
    assert answer.status_code == 201, answer.text
    return answer


def denied(answer):
    return (answer.status_code, answer.headers["x-m2m-rsc"]) == (403, "4103")


# --- roles -------------------------------------------------------------------------------------------


async def test_readers_look_and_no_more(guarded):
    await register(guarded)
    assert (await guarded.call("GET", "main/device-communication", "eye", origin="CShop")).status_code == 200
    for method, ty in (("POST", 14), ("POST", 2), ("PUT", None), ("DELETE", None)):
        answer = await guarded.call(method, "main", "eye", origin="CShop", ty=ty, json=NODE)
        assert denied(answer), (method, ty)
    assert "operate" in answer.json()["m2m:dbg"]


async def test_operators_change_what_is_the_tenants(guarded):
    await register(guarded)
    answer = await guarded.call("POST", "main", "app", origin="CShop", ty=14, json=NODE)
    assert answer.status_code == 201
    assert (await guarded.call("DELETE", "main/device001", "app", origin="CShop")).status_code == 200


async def test_the_system_is_in_no_tenant(guarded):
    for method in ("GET", "POST", "DELETE"):
        assert denied(await guarded.call(method, "main", "root", ty=2 if method == "POST" else None, json=AE))
    assert (await guarded.call("GET", "/api/v1/devices", "root")).status_code == 403
    assert (await guarded.call("GET", "/api/v1/devices?tenant=main", "root")).status_code == 403


async def test_roles_below_api_v1(guarded):
    put = {"json": {"awakeWindow": 5}}
    assert (await guarded.call("GET", "/api/v1/devices", "eye")).status_code == 200
    assert (await guarded.call("PUT", "/api/v1/devices/x/power-saving", "eye", **put)).status_code == 403
    assert (await guarded.call("PUT", "/api/v1/devices/x/power-saving", "app", **put)).status_code == 404
    for path in ("/api/v1/clients", "/api/v1/audit"):
        assert (await guarded.call("GET", path, "app")).status_code == 403
        assert (await guarded.call("GET", path, "boss")).status_code == 200


# --- originators -------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ["CAdmin", "CDevice-Provisioning", None])
async def test_only_administrators_speak_as_the_platform(guarded, origin):
    assert (await guarded.call("GET", "main", "boss", origin=origin)).status_code == 200
    for who in ("app", "eye"):
        assert denied(await guarded.call("GET", "main", who, origin=origin))


async def test_nobody_registers_as_the_platform(guarded):
    for origin in ("CAdmin", "CDevice-Provisioning"):
        answer = await guarded.call("POST", "main", "boss", origin=origin, ty=2, json=AE)
        assert answer.headers["x-m2m-rsc"] == "4117"


async def test_the_originator_is_an_ae_of_the_tenant(guarded):
    await register(guarded, "stranger", "CAlien", "other")
    for origin in ("CShop", "CAlien", "C", "Sshop", "admin", "C\tx", "CShop "):
        assert denied(await guarded.call("GET", "main", "app", origin=origin)), origin
    await register(guarded)
    assert (await guarded.call("GET", "main", "app", origin="CShop")).status_code == 200
    await guarded.call("DELETE", "main/Shop", "app", origin="CShop")
    assert denied(await guarded.call("GET", "main", "app", origin="CShop"))


async def test_a_client_may_be_kept_to_some_aes(guarded):
    await guarded.add("shop", "main", "operate", origins=["CShop"])
    assert denied(await guarded.call("POST", "main", "shop", origin="COther", ty=2, json=AE))
    assert denied(await guarded.call("POST", "main", "shop", origin=None, ty=2, json=AE))
    await register(guarded, "shop")
    await register(guarded, "app", "COther")
    assert (await guarded.call("GET", "main", "shop", origin="CShop")).status_code == 200
    assert denied(await guarded.call("GET", "main", "shop", origin="COther"))
    await guarded.add("deputy", "main", "admin", origins=["CShop"])
    assert denied(await guarded.call("GET", "main", "deputy"))


# --- tenants -----------------------------------------------------------------------------------------


async def test_tenants_are_apart_whatever_the_way(guarded):
    created = await guarded.call("POST", "main", "boss", ty=14, json=NODE)
    ri = created.json()["node"]["resourceID"]
    prefix = "/device-management-orchestrator/v3"
    # By name: refused before anybody looks whether it is there.
    named = [f"{prefix}/main", f"{prefix}/main/device001", f"{prefix}/main/nothing", f"{prefix}/~/main/{ri}"]
    named += [f"/~/main/{ri}", "/~/main/main", "/_/sp/main/main", f"{prefix}/nobody", "/~/main/-/device001"]
    # By id alone: as if it did not exist.
    by_id = [f"/{ri}", "/main", f"/~/other/{ri}", f"{prefix}/~/other/{ri}", f"/{ri}/device-info", f"/-/{ri}"]
    for method, path in product(("GET", "PUT", "DELETE", "POST"), named):
        answer = await guarded.call(method, path, "stranger", ty=2 if method == "POST" else None, json=AE)
        assert denied(answer), (method, path, answer.text)
    for method, path in product(("GET", "PUT", "DELETE", "POST"), by_id):
        answer = await guarded.call(method, path, "stranger", ty=2 if method == "POST" else None, json=AE)
        assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (404, "4004"), (method, path, answer.text)
        assert "main" not in answer.json()["m2m:dbg"].replace(path, "").replace("'main'", "")
    assert (await guarded.call("GET", f"/{ri}", "boss")).status_code == 200


async def test_tricks_with_paths_lead_nowhere(guarded):
    await guarded.call("POST", "main", "boss", ty=14, json=NODE)
    prefix = "/device-management-orchestrator/v3"
    tricks = [
        f"{prefix}/other/../main/device001",
        f"{prefix}/other/%2e%2e/main/device001",
        f"{prefix}/other%2f..%2fmain%2fdevice001",
        f"{prefix}/other/%2F/main",
        f"{prefix}/other/..%252fmain",
        f"{prefix}//main",
        f"{prefix}/./main",
        f"{prefix}/other/~/main/device001",
        f"{prefix}/~/other/main/device001",
        f"{prefix}/~/other/../main",
        "/api/v1/../../device-management-orchestrator/v3/main",
        "/api/v1/devices/..%2f..%2fmain",
        "/healthz/../main",
        "/auth/token/../../main/device001",
        "/auth%2ftoken/main",
    ]
    for path in tricks:
        answer = await guarded.call("GET", path, "stranger")
        assert answer.status_code in (400, 403, 404, 405), (path, answer.text)
        assert "urn:dev:1" not in answer.text
        anonymous = await guarded.call("GET", path)
        assert anonymous.status_code in (401, 404, 405), path
        assert "urn:dev:1" not in anonymous.text


async def test_tenants_are_apart_below_api_v1(guarded):
    await guarded.call("POST", "main", "boss", ty=14, json=NODE)
    own = await guarded.call("GET", "/api/v1/devices", "stranger")
    assert own.json() == {"tenant": "other", "devices": [], "total": 0}
    for path in ("devices", "devices/device001", "credentials", "clients", "audit", "devices/x/credentials"):
        answer = await guarded.call("GET", f"/api/v1/{path}?tenant=main", "stranger")
        assert answer.status_code == 403, path
        # Whether a tenant is there is nobody's business.
        nobody = await guarded.call("GET", f"/api/v1/{path}?tenant=nobody", "stranger")
        assert nobody.json()["detail"] == answer.json()["detail"].replace("main", "nobody")
    assert (await guarded.call("GET", "/api/v1/devices/device001", "stranger")).status_code == 404


async def test_the_placeholder_is_the_callers_own_tenant(guarded):
    answer = await guarded.call("GET", "/-", "stranger")
    assert answer.json()["CSEBase"]["resourceName"] == "other"


# --- secrets -----------------------------------------------------------------------------------------


async def test_readable_secrets_are_for_administrators(guard, settings):
    guarded = await guard(attrs.evolve(settings, credentials=CredentialSettings(readable=True)))
    await guarded.add("boss", "main", "admin")
    await guarded.add("app", "main", "operate")
    await register(guarded)
    await guarded.call("POST", "main", "boss", ty=14, json=NODE)
    key = {"m2m:crds": {"crid": "a@b", "crse": "dGVzdA=="}}
    path = "main/device001/credentials"
    written = await guarded.call("PUT", path, "app", origin="CShop", json=key)
    assert written.json()["credentials"]["credentialSecret"] == "***"
    shown = [await guarded.call("GET", path, who, origin="CShop") for who in ("boss", "app")]
    assert [one.json()["credentials"]["credentialSecret"] for one in shown] == ["dGVzdA==", "***"]
