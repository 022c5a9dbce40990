from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from lwm2m_server.cli.demo import with_free_ports
from lwm2m_server.cli.main import lwm2m
from lwm2m_server.cli.serve import taken_listeners
from lwm2m_server.configuration import KEYS
from lwm2m_server.settings import Address, Settings


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LWM2M_TENANT", "acme")
    (tmp_path / "lwm2m.toml").write_text('names = "short"\n')
    return tmp_path


def test_show_prints_every_setting_with_value_and_origin(here: Path) -> None:
    done = CliRunner().invoke(
        lwm2m, ["config", "show", "--strict", "--coap", "[::1]:0", "--coap", "127.0.0.1:0"]
    )
    assert done.exit_code == 0, done.output
    heading, *lines = done.output.splitlines()
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in lines}
    assert heading.split() == ["setting", "value", "origin"]
    assert list(rows) == list(KEYS)
    assert rows["tenant"] == "acme env"
    assert rows["names"] == f"short {here / 'lwm2m.toml'}"
    assert rows["strict"] == "true flag"
    assert rows["coap"] == "[::1]:0, 127.0.0.1:0 flag"
    assert rows["http"] == "127.0.0.1:8080 default"


def test_show_as_json(here: Path) -> None:
    done = CliRunner().invoke(lwm2m, ["config", "show", "--json", "--models", "more"])
    shown = json.loads(done.output)
    assert list(shown) == list(KEYS)
    assert shown["messages.ttl"] == {"value": 604800, "origin": "default"}
    assert shown["coap"]["value"] == ["127.0.0.1:5683"]
    assert shown["models.dirs"]["value"] == [str(here / "models/xml"), str(here / "more")]
    assert shown["models.dirs"]["origin"] == "default + flag"


def test_a_mistake_is_one_sentence_and_exit_code_1(here: Path) -> None:
    (here / "other.toml").write_text("[log]\nlevle = 'info'\n")
    done = CliRunner().invoke(lwm2m, ["config", "show", "--config", "other.toml"])
    assert (done.exit_code, done.stderr) == (
        1,
        "Error: other.toml: unknown setting 'log.levle'; did you mean 'log.level'?\n",
    )


def test_the_demo_takes_other_ports_where_the_usual_ones_are_busy() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as coap,
        socket.create_server(("127.0.0.1", 0)) as http,
    ):
        coap.bind(("127.0.0.1", 0))
        busy = Address("127.0.0.1", coap.getsockname()[1])
        free = Address("127.0.0.1", 0)
        settings = Settings(coap=(busy, free), http=Address("127.0.0.1", http.getsockname()[1]))
        assert [name for name, _ in taken_listeners(settings)] == ["coap", "http"]
        changed = with_free_ports(settings)
    assert (changed.coap, changed.http) == ((free, free), free)
    assert with_free_ports(Settings(coap=(free,), http=free)) == Settings(coap=(free,), http=free)
