"""``lwm2m clients``, ``tenants`` and ``audit``: of a folder without a server, and of a running one."""

import json
import stat

import httpx
import pytest
from click.testing import CliRunner

from lwm2m_server.cli.main import lwm2m
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.lock import DataDirectory


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in a folder of its own; it must end with this exit code."""
    monkeypatch.chdir(tmp_path)

    def run(*words, code=0):
        result = CliRunner().invoke(lwm2m, list(words))
        assert result.exit_code == code, result.output
        return result.output

    return run


def lines(text):
    return [line.split() for line in text.splitlines()]


# --- without a server --------------------------------------------------------------------------------


def test_a_client_is_added_shown_and_revoked(run, tmp_path):
    out = run("clients", "add", "boss", "--role", "admin")
    secret = out.split()[-1]
    assert len(secret) > 40
    run("clients", "add", "shop", "--role", "operate", "--origin", "CShop", "--origin", "CTill")
    shown = run("clients", "list")
    assert secret not in shown
    assert [line[:3] for line in lines(shown)[1:]] == [["boss", "main", "admin"], ["shop", "main", "operate"]]
    assert "CShop, CTill" in shown
    run("clients", "revoke", "boss")
    found = json.loads(run("clients", "list", "--json"))
    assert [one["id"] for one in found] == ["shop"]
    assert secret not in (tmp_path / "lwm2m-data/inventory.json").read_text()
    ledger = SqliteLedger(tmp_path / "lwm2m-data/ledger.db")
    noted = [(one.client, one.action, one.target) for one in ledger.reader.audit(None, limit=9)]
    ledger.close()
    assert noted == [
        ("local", "delete", "/api/v1/clients/boss"),
        ("local", "create", "/api/v1/clients/shop"),
        ("local", "create", "/api/v1/clients/boss"),
    ]


def test_the_first_client_can_add_others(run):
    assert "somebody has to add the others" in run("clients", "add", "x", "--role", "read", code=2)
    run("clients", "add", "root", "--role", "system")
    run("clients", "add", "x", "--role", "read")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["a:b", "--role", "admin"], "no client id"),
        (["a", "--role", "admin", "--tenant", "nobody"], "no tenant 'nobody'"),
        (["a", "--role", "system", "--tenant", "main"], "unless its role is 'system'"),
        (["a", "--role", "admin", "--origin", "Sx"], "no AE-ID"),
    ],
)
def test_what_cannot_be_a_client(run, words, reason):
    assert reason in run("clients", "add", *words, code=2)


def test_two_of_one_name(run):
    run("clients", "add", "a", "--role", "admin")
    assert "there is a client 'a'" in run("clients", "add", "a", "--role", "admin", code=1)
    assert "no client 'b'" in run("clients", "revoke", "b", code=2)


def test_id_and_secret_in_a_file(run, tmp_path):
    out = run("clients", "add", "shop", "--role", "admin", "--origin", "CShop", "--save", "shop.json")
    saved = json.loads((tmp_path / "shop.json").read_text())
    assert saved["client_secret"] not in out
    assert (saved["client_id"], saved["origin"]) == ("shop", "CShop")
    assert stat.S_IMODE((tmp_path / "shop.json").stat().st_mode) == 0o600
    assert "exists" in run("clients", "add", "b", "--role", "admin", "--save", "shop.json", code=1)
    assert "b" not in [one["id"] for one in json.loads(run("clients", "list", "--json"))]


def test_tenants_without_a_server(run, tmp_path):
    run("tenants", "add", "acme", "--names", "short")
    assert lines(run("tenants", "list"))[1:] == [["main", "-"], ["acme", "short"]]
    assert "no name of a tenant" in run("tenants", "add", "a/b", code=2)
    assert "no name of a tenant" in run("tenants", "add", "api", code=2)
    assert "there is a tenant 'acme'" in run("tenants", "add", "acme", code=1)
    run("clients", "add", "boss", "--role", "admin", "--tenant", "acme")
    tenants = TinyInventory(tmp_path / "lwm2m-data/inventory.json").tenants()
    assert len({tenant.id for tenant in tenants}) == 2


def test_a_new_signing_key(run, tmp_path):
    run("clients", "rotate-key")
    file = tmp_path / "lwm2m-data/token.keys"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first = set(json.loads(file.read_text())["keys"])
    run("clients", "rotate-key")
    assert first < set(json.loads(file.read_text())["keys"])
    run("clients", "rotate-key", "--at-once")
    assert not first & set(json.loads(file.read_text())["keys"])


def test_a_folder_that_a_server_has_is_not_opened(run, tmp_path):
    with DataDirectory(tmp_path / "lwm2m-data"):
        (tmp_path / "lwm2m.toml").write_text('http = "127.0.0.1:1"\n')
        assert "no server answers at http://127.0.0.1:1" in run("clients", "list", code=1)


# --- of a running server -----------------------------------------------------------------------------


def test_a_running_server(run, serve, tmp_path):
    server = serve("--unknown-devices", "create")
    url = ["--url", server.http]
    check_removal(run, server, url)
    # Open as long as there are no clients; the first one ends that.
    run("clients", "add", "root", "--role", "system", "--save", "root.json", *url)
    assert "token is due" in run("clients", "list", *url, code=1)
    root = [*url, "--token-file", "root.json"]
    run("tenants", "add", "acme", *root)
    run("clients", "add", "boss", "--role", "admin", "--tenant", "acme", "--save", "boss.json", *root)
    boss = [*url, "--token-file", "boss.json"]
    assert "role system" in run("tenants", "add", "more", *boss, code=1)

    # The new tenant is in service: a device in it, and nothing of it elsewhere.
    run("devices", "add", "meter1", "--tenant", "acme", *boss)
    assert "meter1" in run("devices", "list", *boss)
    assert "does not belong" in run("devices", "list", "--tenant", "main", *boss, code=1)
    assert "has devices" in run("tenants", "remove", "acme", *root, code=1)

    # Who did that is in the log, of the tenant and of the system.
    log = run("audit", *boss)
    assert [line[2:5] + line[-1:] for line in lines(log)[1:]] == [
        ["boss", "CAdmin", "create", "201"],
        ["boss", "CAdmin", "create", "403"],
    ]
    system = json.loads(run("audit", "--json", *root))
    assert [(one["client"], one["action"], one["status"]) for one in system] == [
        ("root", "delete", 409),
        ("root", "create", 201),
        ("root", "create", 201),
    ]
    assert system[1]["facts"]["created"] == "/api/v1/clients/boss"

    # Revoked at once, a token that is remembered too.
    form = {"grant_type": "client_credentials"}
    saved = json.loads((tmp_path / "boss.json").read_text())
    with httpx.Client(base_url=server.http) as client:
        auth = saved["client_id"], saved["client_secret"]
        token = client.post("/auth/token", data=form, auth=auth).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        assert client.get("/api/v1/devices").status_code == 200
        run("clients", "revoke", "boss", *root)
        assert client.get("/api/v1/devices").status_code == 401
    assert "wrong client id or secret" in run("devices", "list", *boss, code=1)

    # A restart finds all of it, and is as closed as before.
    server.stop()
    server.restart()
    again = ["--url", server.http, "--token-file", "root.json"]
    assert "acme" in run("tenants", "list", *again)
    assert server.errors().count("Traceback") == 0


def check_removal(run, server, url):
    """A tenant that is gone can be there again."""
    base = f"{server.http}/device-management-orchestrator/v3/acme"

    def status():
        return httpx.get(base, headers={"X-M2M-Origin": "CAdmin"}).status_code

    run("tenants", "add", "acme", *url)
    assert status() == 200
    run("tenants", "remove", "acme", *url)
    assert status() == 404
    assert "default tenant" in run("tenants", "remove", "main", *url, code=1)
    assert "no tenant" in run("tenants", "remove", "acme", *url, code=2)
