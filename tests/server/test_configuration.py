from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from lwm2m_engine.errors import SettingsError
from lwm2m_server.configuration import KEYS, load, variable
from lwm2m_server.settings import Address, Settings, refuse_exposure


def test_defaults_are_those_of_the_documented_interface(tmp_path: Path) -> None:
    settings = load(environ={}, cwd=tmp_path).settings

    assert settings.coap == (Address("127.0.0.1", 5683),)
    assert settings.http == Address("127.0.0.1", 8080)
    assert settings.data == tmp_path / "lwm2m-data"
    assert (settings.tenant, settings.devices.unknown, settings.names) == ("main", "reject", "long")
    assert settings.models.dirs == (tmp_path / "models/xml",)
    assert settings.plugins.dirs == ()


def test_settings_are_what_their_class_says_without_any_source(tmp_path: Path) -> None:
    loaded = load(environ={}, cwd=tmp_path).settings
    relative = Settings(data=tmp_path / Settings().data, models=loaded.models)
    assert loaded == relative


def test_later_sources_win_and_each_value_knows_its_origin(tmp_path: Path) -> None:
    file = tmp_path / "lwm2m.toml"
    file.write_text('tenant = "file"\nnames = "short"\nstrict = true\n[log]\nlevel = "debug"\n')

    loaded = load(
        environ={"LWM2M_NAMES": "long", "LWM2M_STRICT": "0", "PATH": "/bin"},
        flags={"strict": True},
        cwd=tmp_path,
    )

    assert (loaded.settings.tenant, loaded.settings.names, loaded.settings.strict) == ("file", "long", True)
    assert loaded.settings.log.level == "debug"
    assert loaded.origins["tenant"] == loaded.origins["log.level"] == str(file)
    assert loaded.origins["names"] == "env"
    assert loaded.origins["strict"] == "flag"
    assert loaded.origins["http"] == "default"


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"other\.toml: No such file"):
        load(tmp_path / "other.toml", environ={}, cwd=tmp_path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('tennant = "x"', r"lwm2m\.toml: unknown setting 'tennant'; did you mean 'tenant'\?"),
        ("[devices]\nunknwon = 1", r"unknown setting 'devices\.unknwon'; did you mean 'devices\.unknown'\?"),
        (
            '[devices]\nunknown = "maybe"',
            r"lwm2m\.toml: devices\.unknown: 'maybe' is not one of reject, create",
        ),
        ('http = "8080"', r"lwm2m\.toml: http: '8080' is not HOST:PORT"),
        ('coap = ["::1:5683"]', r"lwm2m\.toml: coap: '::1:5683' is not HOST:PORT"),
        ("[messages]\nttl = 0", r"lwm2m\.toml: messages\.ttl: .*> 0"),
        ("devices = 3", r"unknown setting 'devices'"),
        ("plugins = 3", r"unknown setting 'plugins'"),
        ("tenant = ", r"lwm2m\.toml: Invalid value"),
    ],
)
def test_a_mistake_in_the_file_names_file_and_key(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "lwm2m.toml").write_text(text)
    with pytest.raises(SettingsError, match=complaint):
        load(environ={}, cwd=tmp_path)


def test_a_mistake_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="LWM2M_TENNANT; did you mean LWM2M_TENANT"):
        load(environ={"LWM2M_TENNANT": "x"}, cwd=tmp_path)
    with pytest.raises(SettingsError, match="LWM2M_LOG_FORMAT: 'xml' is not one of console, json"):
        load(environ={"LWM2M_LOG_FORMAT": "xml"}, cwd=tmp_path)


def test_several_listeners_from_every_source(tmp_path: Path) -> None:
    both = (Address("127.0.0.1", 0), Address("::1", 5683))
    from_environment = load(environ={"LWM2M_COAP": "127.0.0.1:0, [::1]:5683"}, cwd=tmp_path)
    from_flags = load(environ={}, flags={"coap": ("127.0.0.1:0", "[::1]:5683")}, cwd=tmp_path)
    (tmp_path / "lwm2m.toml").write_text('coap = ["127.0.0.1:0", "[::1]:5683"]')
    from_file = load(environ={}, cwd=tmp_path)

    assert from_environment.settings.coap == from_flags.settings.coap == from_file.settings.coap == both
    assert [str(address) for address in both] == ["127.0.0.1:0", "[::1]:5683"]


def test_paths_of_a_file_are_relative_to_it_and_folders_of_flags_are_added(tmp_path: Path) -> None:
    etc, here = tmp_path / "etc", tmp_path / "here"
    etc.mkdir()
    here.mkdir()
    (etc / "site.toml").write_text('data = "state"\n[models]\ndirs = ["xml"]\n')

    loaded = load(
        etc / "site.toml",
        environ={},
        flags={"models.dirs": (Path("more"),), "plugins.dirs": (Path("mine"),)},
        cwd=here,
    )

    assert loaded.settings.data == etc / "state"
    assert loaded.settings.models.dirs == (etc / "xml", here / "more")
    assert loaded.settings.plugins.dirs == (etc / "plugins", here / "mine")
    assert loaded.origins["models.dirs"] == f"{etc / 'site.toml'} + flag"


def test_presets_rank_between_defaults_and_file(tmp_path: Path) -> None:
    (tmp_path / "lwm2m.toml").write_text('names = "short"')
    loaded = load(environ={}, presets={"names": "long", "tenant": "demo"}, cwd=tmp_path)
    assert (loaded.settings.names, loaded.settings.tenant) == ("short", "demo")
    assert loaded.origins["tenant"] == "demo"


@pytest.mark.parametrize("http", ["127.0.0.1:8080", "[::1]:0", "localhost:80", "127.9.9.9:1"])
def test_loopback_may_serve_without_clients(http: str) -> None:
    refuse_exposure(Settings(http=Address.parse(http)), has_clients=False)


@pytest.mark.parametrize("http", ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:80", "example.com:80"])
def test_other_addresses_are_refused_without_clients(http: str) -> None:
    with pytest.raises(SettingsError, match="no API clients are configured"):
        refuse_exposure(Settings(http=Address.parse(http)), has_clients=False)


def test_beyond_this_machine_there_is_tls_or_a_proxy(tmp_path: Path) -> None:
    beyond = Settings(http=Address.parse("0.0.0.0:8080"))
    with pytest.raises(SettingsError, match="--http-plain"):
        refuse_exposure(beyond, has_clients=True)
    refuse_exposure(attrs.evolve(beyond, http_plain=True), has_clients=True)
    with pytest.raises(SettingsError, match="no API clients"):
        refuse_exposure(attrs.evolve(beyond, http_plain=True), has_clients=False)
    certified = attrs.evolve(beyond, http_cert=tmp_path, http_key_file=tmp_path)
    refuse_exposure(certified, has_clients=True)
    with pytest.raises(SettingsError, match="belong together"):
        refuse_exposure(attrs.evolve(certified, http_key_file=None), has_clients=True)


@pytest.mark.parametrize(
    "text", ["", "5683", ":5683", "host:", "host:70000", "host:-1", "::1:5683", "host:٣"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        Address.parse(text)


def test_every_setting_has_a_variable_of_its_own() -> None:
    assert len({variable(key) for key in KEYS}) == len(KEYS)


def test_no_setting_holds_a_secret_itself() -> None:
    words = ("secret", "password", "token", "psk", "private")
    apart = ("_file", "_lifetime")
    assert not [key for key in KEYS if any(word in key for word in words) and not key.endswith(apart)]


def test_settings_are_frozen() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Settings().tenant = "x"  # type: ignore[misc]
