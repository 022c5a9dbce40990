"""The plugin host: what is found, what counts, and that no plugin harms another."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path as FilePath
from textwrap import dedent

import pytest

from lwm2m_engine import Catalog, ContentFormat, Engine, Entry, Path, PluginManager, Verdict
from lwm2m_engine.coap import CoapRequest, Code, Peer
from lwm2m_engine.codecs import Codecs
from lwm2m_engine.engine.events import Awake
from lwm2m_engine.engine.hooks import Hooks
from lwm2m_engine.errors import DecodeError, EncodeError, PluginError, RequestError
from lwm2m_engine.mapping.managed import ManagedCommand
from lwm2m_engine.messages.uplink import Register
from lwm2m_engine.plugins import loading
from lwm2m_engine.plugins.registry import PluginRow

BATTERY = """
from lwm2m_engine import Mapping, Rule, hookimpl

@hookimpl
def lwm2m_mappings(catalog):
    yield Mapping("m2m:battery", name="battery", rules=[Rule("/3/0/9", "batteryLevel")])
"""

Write = Callable[..., FilePath]


@pytest.fixture
def write(tmp_path: FilePath) -> Write:
    """Write plugins into a directory: ``write(name=source, …)``."""

    def write_plugins(directory: str = "mine", **sources: str) -> FilePath:
        place = tmp_path / directory
        place.mkdir(exist_ok=True)
        for name, source in sources.items():
            (place / f"{name}.py").write_text(dedent(source))
        return place

    return write_plugins


def row(manager: PluginManager, name: str) -> PluginRow:
    """The last row of that name: the one that counts."""
    return [row for row in manager.report if row.name == name][-1]


def hook(body: str) -> str:
    return f"from lwm2m_engine import hookimpl, Verdict, Entry, Path\n@hookimpl\n{dedent(body)}"


PEER = Peer("10.0.0.1", 5683)
REGISTER = Register("dev1", "1.1", 300, "U", False, None, {}, ())
REQUEST = CoapRequest(Code.GET, ("3",))
EVENT = Awake("dev1", 0.0)


# --- discovery -------------------------------------------------------------------------------------


def test_the_bundled_plugins_are_there() -> None:
    manager = PluginManager.default()
    device = row(manager, "onem2m_device")
    assert (device.origin, device.status) == ("bundled", "loaded")
    assert device.file.endswith("onem2m_device.py")
    more = row(manager, "onem2m_device_more")
    assert (more.status, more.reason) == ("off", "off by default; enable it by name")


def test_plugins_have_a_version_and_hooks(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write(own='__version__ = "2.5"' + BATTERY, odd="__version__ = 3" + BATTERY)
    manager = PluginManager.default([place])
    assert row(manager, "onem2m_device").version == version("lwm2m-engine")
    assert (row(manager, "own").version, row(manager, "own").hooks) == ("2.5", ("lwm2m_mappings",))
    assert row(manager, "odd").version == ""

    def unknown(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(loading, "version", unknown)
    used = row(PluginManager.default(), "onem2m_device")
    assert (used.version, used.status) == ("", "loaded")


def test_a_plugin_that_is_off_runs_when_enabled_by_name(catalog: Catalog) -> None:
    manager = PluginManager.default(enabled=["onem2m_device_more"])
    assert row(manager, "onem2m_device_more").status == "loaded"
    assert manager.table(catalog).sources("device-info", "manufacturer") == (Path("/3/0/0"),)


def test_an_unknown_name_to_enable_is_a_failed_row_with_the_nearest() -> None:
    failed = row(PluginManager.default(enabled=["onem2m_device_mor"]), "onem2m_device_mor")
    assert failed.status == "failed"
    assert failed.reason == "there is no plugin onem2m_device_mor; did you mean onem2m_device_more?"


def test_loose_files_are_loaded_and_nothing_is_written_beside_them(write: Write, catalog: Catalog) -> None:
    place = write(battery=BATTERY, _helper="raise RuntimeError")
    manager = PluginManager.default([place])
    table = manager.table(catalog)
    assert table.is_mapped(Path("/3/0/9"))
    found = row(manager, "battery")
    assert found == PluginRow(
        "battery",
        str(place),
        str(place / "battery.py"),
        "loaded",
        "",
        ("battery",),
        hooks=("lwm2m_mappings",),
    )
    assert sorted(file.name for file in place.iterdir()) == ["_helper.py", "battery.py"]
    assert "_helper" not in {row.name for row in manager.report}


def test_an_edited_file_counts_at_once(write: Write) -> None:
    place = write(one=hook("def lwm2m_models():\n    return ['aaa']"))
    assert PluginManager.default([place]).models() == (FilePath("aaa"),)
    write(one=hook("def lwm2m_models():\n    return ['bbb']"))
    assert PluginManager.default([place]).models() == (FilePath("bbb"),)


def test_an_entry_point_is_a_plugin(write: Write, monkeypatch: pytest.MonkeyPatch, catalog: Catalog) -> None:
    site = write("site", installed_battery=BATTERY)
    metadata = site / "battery-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: battery\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[lwm2m.plugins]\nbat = installed_battery\n")
    monkeypatch.syspath_prepend(str(site))
    manager = PluginManager.default()
    manager.table(catalog)
    found = row(manager, "bat")
    assert (found.origin, found.file, found.status) == ("entry point", "installed_battery", "loaded")
    assert found.mappings == ("battery",)
    del sys.modules["installed_battery"]


def test_of_two_with_one_name_the_later_counts(write: Write) -> None:
    first = write("first", same=hook("def lwm2m_models():\n    return ['first']"))
    second = write("second", same=hook("def lwm2m_models():\n    return ['second']"))
    manager = PluginManager.default([first, second])
    assert manager.models() == (FilePath("second"),)
    former, later = (row for row in manager.report if row.name == "same")
    assert (former.status, former.reason) == ("off", f"replaced by {second / 'same.py'}")
    assert later.status == "loaded"


def test_a_broken_one_replaces_nothing(write: Write) -> None:
    first = write("first", same=hook("def lwm2m_models():\n    return ['first']"))
    second = write("second", same=hook("def lwm2m_modells():\n    return ['second']"))
    manager = PluginManager.default([first, second])
    assert manager.models() == (FilePath("first"),)
    former, later = (row for row in manager.report if row.name == "same")
    assert former.status == "loaded"
    assert later.status == "failed"
    assert later.reason.endswith("there is no hook lwm2m_modells; did you mean lwm2m_models?")


def test_files_in_plugins_are_mentioned_and_never_run_unasked(
    write: Write, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("plugins", battery="open('ran', 'w').close()\n" + BATTERY)
    monkeypatch.chdir(tmp_path)
    found = row(PluginManager.default(), "battery")
    assert (found.status, found.file) == ("not loaded", "plugins/battery.py")
    assert "--plugins-dir plugins" in found.reason
    assert not (tmp_path / "ran").exists()
    assert row(PluginManager.default(["plugins"]), "battery").status == "loaded"
    assert (tmp_path / "ran").exists()


def test_a_directory_that_is_not_there_is_a_row(tmp_path: FilePath) -> None:
    found = row(PluginManager.default([tmp_path / "nowhere"], strict=True), "nowhere")
    assert (found.status, found.reason) == ("not loaded", "no such directory")


# --- failures --------------------------------------------------------------------------------------

BROKEN = {
    "syntax": ("def", "invalid syntax in line 1"),
    "raises": ("x = 1\ny = x / 0", "ZeroDivisionError: division by zero in line 2"),
    "imports": ("import no_such_module_at_all", "No module named 'no_such_module_at_all'"),
    "exits": ("import sys\nsys.exit(3)", "SystemExit: 3 in line 2"),
    "empty": ("", "it has no hook; mark its functions with @hookimpl"),
    "misspelt": (hook("def lwm2m_mapping(catalog): ..."), "did you mean lwm2m_mappings?"),
    "argument": (hook("def lwm2m_mappings(catalogue): ..."), "catalogue"),
    "wrapper": (
        "from lwm2m_engine import hookimpl\n@hookimpl(wrapper=True)\ndef lwm2m_admit():\n    return (yield)",
        "lwm2m_admit: hook wrappers are not supported",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_plugin_that_cannot_be_loaded_is_a_row_with_file_and_reason(
    write: Write, catalog: Catalog, name: str
) -> None:
    source, reason = BROKEN[name]
    place = write(battery=BATTERY, **{name: source})
    manager = PluginManager.default([place])
    failed = row(manager, name)
    assert failed.status == "failed"
    assert failed.reason.startswith(f"{place / name}.py: ")
    assert reason in failed.reason
    assert manager.table(catalog).is_mapped(Path("/3/0/9"))


UNUSABLE = {
    "typo": (BATTERY.replace("/3/0/9", "/3/0/batery_level"), "did you mean 'battery_level'"),
    "stranger": (hook("def lwm2m_mappings():\n    return [5]"), "lwm2m_mappings gave 5, not Mapping"),
    "number": (hook("def lwm2m_mappings():\n    return 5"), "'int' object is not iterable"),
    "halfway": (BATTERY + "    raise KeyError('late')", "lwm2m_mappings raised KeyError: 'late'"),
    "rival": (
        BATTERY.replace("m2m:battery", "m2m:deviceInfo")
        .replace('"battery"', '"device-info"')
        .replace("batteryLevel", "deviceName"),
        "deviceName of 'device-info' is written by onem2m_device (deviceName <- /3/0/manufacturer) and rival",
    ),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_mapping_that_cannot_be_used_is_a_row_and_the_others_work(
    write: Write, catalog: Catalog, name: str
) -> None:
    source, reason = UNUSABLE[name]
    place = write(zz_later=BATTERY, **{name: source})
    manager = PluginManager.default([place])
    table = manager.table(catalog)
    failed = row(manager, name)
    assert (failed.status, failed.mappings) == ("failed", ())
    assert failed.reason.startswith(f"{place / name}.py: ")
    assert reason in failed.reason
    assert table.sources("battery", "batteryLevel") == (Path("/3/0/9"),)
    assert table.sources("device-info", "deviceName") == (Path("/3/0/0"),)


def test_a_rival_that_says_replaces_wins(write: Write, catalog: Catalog) -> None:
    source = UNUSABLE["rival"][0].replace("rules=", 'replaces="onem2m_device", rules=')
    manager = PluginManager.default([write(rival=source)])
    assert manager.table(catalog).sources("device-info", "deviceName") == (Path("/3/0/9"),)
    assert row(manager, "rival").status == "loaded"


def test_a_failed_mapping_recovers_with_another_catalog(write: Write, catalog: Catalog) -> None:
    manager = PluginManager.default([write(battery=BATTERY)])
    manager.table(Catalog())
    assert "no model of object 3" in row(manager, "battery").reason
    manager.table(catalog)
    assert row(manager, "battery").status == "loaded"
    assert {plugin for plugin, _ in manager.mappings} >= {"onem2m_device", "battery"}


def test_strict_raises_with_every_fault(write: Write) -> None:
    place = write(one="def", two="1/0", good=BATTERY)
    with pytest.raises(PluginError) as refusal:
        PluginManager.default([place], strict=True)
    assert [line.split(":")[0] for line in str(refusal.value).splitlines()] == [
        str(place / "one.py"),
        str(place / "two.py"),
    ]
    assert isinstance(refusal.value.__cause__, ExceptionGroup)
    assert len(refusal.value.__cause__.exceptions) == 2


def test_strict_raises_when_the_table_is_compiled(write: Write, catalog: Catalog) -> None:
    manager = PluginManager.default([write(typo=UNUSABLE["typo"][0])], strict=True)
    with pytest.raises(PluginError, match="did you mean 'battery_level'"):
        manager.table(catalog)


# --- start-up hooks --------------------------------------------------------------------------------


def test_models_are_collected_and_a_bad_one_is_a_row(write: Write) -> None:
    place = write(
        good="from pathlib import Path\n"
        + hook("def lwm2m_models():\n    return ['a.xml', Path('b')]").replace(", Path\n", "\n"),
        bad=hook("def lwm2m_models():\n    return [5]"),
    )
    manager = PluginManager.default([place])
    assert manager.models() == (FilePath("a.xml"), FilePath("b"))
    assert row(manager, "bad").reason.endswith("lwm2m_models gave 5, not str or Path")


CODEC = """
from lwm2m_engine import Entry, hookimpl
from lwm2m_engine.codecs import Codec
from lwm2m_engine.errors import DecodeError

def decode(payload, scope):
    if payload == b"bad":
        raise DecodeError("this one is bad")
    return [Entry(scope.at, int(payload))]

def encode(entries, scope):
    return str(entries[0].value + 0).encode()

@hookimpl
def lwm2m_codecs():
    return [Codec(65000, decode, encode)]
"""


def test_a_codec_of_a_plugin_works_and_raises_nothing_unexpected(write: Write) -> None:
    codecs = Codecs().extended(PluginManager.default([write(number=CODEC)]).codecs())
    at = Path("/3/0/9")
    assert codecs.decode(b"72", 65000, at=at) == [Entry(at, 72)]
    assert codecs.encode([Entry(at, 72)], 65000, at=at) == b"72"
    assert codecs.decode(b"72", ContentFormat.TEXT, at=at) == [Entry(at, "72")]
    with pytest.raises(DecodeError, match="this one is bad"):
        codecs.decode(b"bad", 65000, at=at)
    with pytest.raises(DecodeError, match="plugin number raised ValueError"):
        codecs.decode(b"x", 65000, at=at)
    with pytest.raises(EncodeError, match="plugin number raised TypeError"):
        codecs.encode([Entry(at, "x")], 65000, at=at)


# --- what the engine asks --------------------------------------------------------------------------


def test_without_plugins_nothing_is_said(tmp_path: FilePath) -> None:
    for hooks in (Hooks(), PluginManager.default()):
        assert hooks.admit(REGISTER, PEER, True) is None
        assert hooks.outgoing("dev1", REQUEST) is None
        assert hooks.rescue_payload("dev1", Path("/3"), 0, b"", DecodeError("x")) is None
        hooks.event(EVENT)


def test_the_plugin_discovered_last_is_asked_first(write: Write) -> None:
    refuse = (
        "def lwm2m_admit(register):\n    if register.endpoint == '{}': return Verdict(False, reason='{}')"
    )
    place = write(
        a=hook(refuse.format("dev1", "a")),
        b=hook(refuse.format("dev1", "b")),
        c=hook(refuse.format("dev2", "c")),
    )
    assert PluginManager.default([place]).admit(REGISTER, PEER, True) == Verdict(False, Code.FORBIDDEN, "b")


@pytest.mark.parametrize("body", ["raise KeyError", "return True", "return 'yes'"])
def test_a_gate_that_fails_stays_closed(write: Write, caplog: pytest.LogCaptureFixture, body: str) -> None:
    manager = PluginManager.default([write(gate=hook(f"def lwm2m_admit(peer, known):\n    {body}"))])
    with caplog.at_level(logging.ERROR):
        verdict = manager.admit(REGISTER, PEER, True)
    assert verdict == Verdict(False, Code.SERVICE_UNAVAILABLE, "plugin gate failed")
    assert row(manager, "gate").failures == 1
    assert "plugin gate: lwm2m_admit failed" in caplog.text


def test_outgoing_rewrites_and_a_failure_is_passed_over(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    rewrite = """
    def lwm2m_outgoing(endpoint, request):
        import attrs
        return attrs.evolve(request, accept=11542) if endpoint == "dev1" else None
    """
    place = write(rewrite=hook(rewrite), zz_bad=hook("def lwm2m_outgoing(): return 'GET'"))
    manager = PluginManager.default([place])
    assert manager.outgoing("dev1", REQUEST) == CoapRequest(Code.GET, ("3",), accept=11542)
    assert manager.outgoing("dev2", REQUEST) is None
    assert row(manager, "zz_bad").failures == 2
    assert "gave 'GET', not CoapRequest" in caplog.text


@pytest.mark.parametrize("bad", ["return 5", "return [5]", "yield 5", "raise RuntimeError"])
def test_rescued_entries_are_entries(write: Write, caplog: pytest.LogCaptureFixture, bad: str) -> None:
    rescue = "def lwm2m_rescue_payload(path, payload):\n    yield Entry(path, len(payload))"
    place = write(rescue=hook(rescue), zz_bad=hook(f"def lwm2m_rescue_payload(error):\n    {bad}"))
    manager = PluginManager.default([place])
    path = Path("/3/0/9")
    assert manager.rescue_payload("dev1", path, 0, b"abc", DecodeError("x")) == (Entry(path, 3),)
    assert row(manager, "zz_bad").failures == 1
    assert "plugin zz_bad: lwm2m_rescue_payload failed" in caplog.text


def test_every_listener_hears_every_event(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    hear = "from pathlib import Path as P\n" + hook(
        "def lwm2m_event(event):\n    P(__file__ + '.heard').write_text(event.{})"
    )
    place = write(a=hear.format("endpoint"), b=hear.format("no_such"), c=hear.format("endpoint"))
    manager = PluginManager.default([place])
    manager.event(EVENT)
    assert {file.name: file.read_text() for file in place.glob("*.heard")} == {
        "a.py.heard": "dev1",
        "c.py.heard": "dev1",
    }
    with caplog.at_level(logging.ERROR):
        manager.event(EVENT)
    assert [one.message for one in caplog.records] == ["plugin b: lwm2m_event failed"]
    assert row(manager, "b").failures == 2


def test_who_listens_hears_which_hook_failed_at_which_device(write: Write) -> None:
    place = write(
        gate=hook("def lwm2m_admit(peer): raise KeyError('gate')"),
        out=hook("def lwm2m_outgoing(): return 'GET'"),
        rescue=hook("def lwm2m_rescue_payload(error): raise ValueError"),
        ear=hook("def lwm2m_event(event): return event.no_such"),
        rule=hook("def lwm2m_mgmt_command(command): raise LookupError"),
    )
    manager, heard = PluginManager.default([place]), []
    manager.on_failure = lambda failure: heard.append(
        (failure.plugin, failure.hook, type(failure.error), failure.endpoint)
    )
    manager.admit(REGISTER, PEER, True)
    manager.outgoing("dev2", REQUEST)
    manager.rescue_payload("dev3", Path("/3/0/9"), 0, b"", DecodeError("x"))
    manager.event(EVENT)
    with pytest.raises(RequestError, match="plugin rule failed"):
        manager.mgmt_command(ManagedCommand("dev4", "m2m:battery", "battery", {}))
    assert heard == [
        ("gate", "lwm2m_admit", KeyError, "dev1"),
        ("out", "lwm2m_outgoing", PluginError, "dev2"),
        ("rescue", "lwm2m_rescue_payload", ValueError, "dev3"),
        ("ear", "lwm2m_event", AttributeError, "dev1"),
        ("rule", "lwm2m_mgmt_command", LookupError, "dev4"),
    ]


def test_the_engine_takes_a_manager_for_its_hooks(write: Write, catalog: Catalog) -> None:
    gate = "def lwm2m_admit(register):\n    return Verdict(register.endpoint == 'dev1', reason='no')"
    manager = PluginManager.default([write(gate=hook(gate))])
    engine = Engine(catalog, manager, table=manager.table(catalog))
    for endpoint, code in (("dev1", Code.CREATED), ("dev2", Code.FORBIDDEN)):
        query = (f"ep={endpoint}", "lt=300", "lwm2m=1.1", "b=U")
        step = engine.receive(CoapRequest(Code.POST, ("rd",), query, b"</3/0>", 40), PEER, 0.0)
        assert step.reply is not None
        assert step.reply.code == code


SINK = """
def server_sinks():
    return [("Journal", dict), ("Paper", dict)]
"""


def test_sinks_are_collected_by_kind(write: Write) -> None:
    manager = PluginManager.default([write(journal=hook(SINK))])
    assert manager.sinks(["WebHook"]) == {"Journal": dict, "Paper": dict}
    assert row(manager, "journal").status == "loaded"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ('[("WebHook", dict)]', "EndpointType:WebHook is there already, of the server"),
        ('[("Journal", list)]', "EndpointType:Journal is there already, of plugin first"),
        ('[("Other", list), ("Other", dict)]', "EndpointType:Other is there already, of this plugin"),
        ('[("Other", "list")]', "not an EndpointType and what makes its sinks"),
        ('[("", list)]', "not an EndpointType and what makes its sinks"),
        ('[("Other", list, 1)]', "not an EndpointType and what makes its sinks"),
        ('["Other"]', "not tuple"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_sink_that_cannot_be_used_is_a_row_and_the_others_work(
    write: Write, given: str, reason: str
) -> None:
    second = hook(f"def server_sinks():\n    return {given}\n")
    manager = PluginManager.default([write(first=hook(SINK), second=second)])
    assert manager.sinks(["WebHook"]) == {"Journal": dict, "Paper": dict}
    assert row(manager, "first").status == "loaded"
    assert row(manager, "second").status == "failed"
    assert reason in row(manager, "second").reason
    with pytest.raises(PluginError, match=r"second\.py"):
        PluginManager.default([write(second=second)], strict=True).sinks(["WebHook", "Journal"])


def test_a_misspelt_hook_of_the_server_is_refused_with_the_nearest(write: Write) -> None:
    manager = PluginManager.default([write(journal=hook(SINK.replace("server_sinks", "server_sink")))])
    assert "did you mean server_sinks?" in row(manager, "journal").reason
