"""Rules meet the models: what compiles, and what the refusals say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lwm2m_engine import ENDPOINT, Catalog, Mapping, Path, Rule
from lwm2m_engine.errors import MappingConflict, MappingError
from lwm2m_engine.mapping.compiler import compile_rules, resolve
from lwm2m_engine.mapping.rules import Source
from lwm2m_engine.mapping.table import MappingTable


def battery(*rules: Rule, **more: Any) -> Mapping:
    return Mapping("m2m:battery", name="battery", rules=rules, **more)


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("/3/0/9", (3, 0, 9)),
        ("3/0/9", (3, 0, 9)),
        ("/3/0/battery_level", (3, 0, 9)),
        ("/3/7/battery_level/", (3, 7, 9)),
        ("/3/0/error_code/0", (3, 0, 11, 0)),
        ("/3/0/6/1", (3, 0, 6, 1)),
        (Path("/6/0/1"), (6, 0, 1)),
        ("/3336/0/5514", (3336, 0, 5514)),  # the newest version of 3336 has dropped it
    ],
)
def test_sources_resolve_by_id_and_by_name(catalog: Catalog, source: Source, path: tuple[int, ...]) -> None:
    assert resolve(source, catalog) == Path(path)


def test_the_endpoint_is_no_path(catalog: Catalog) -> None:
    assert resolve(ENDPOINT, catalog) is None


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("/3/0/batery_level", "did you mean 'battery_level'"),
        ("/3/0/99", "object 3 has no resource 99; it has 0, 1, 2"),
        ("/60000/0/1", "no model of object 60000 is loaded"),
        ("/3/0", "'/3/0' is no Resource"),
        ("/3", "'/3' is no Resource"),
        ("", "'' is no Resource"),
        ("/3/*/9", "needs {instance} in the name of the mapping"),
        ("/*/0/9", "* stands for an Object Instance or for all Resource Instances"),
        ("/3/0/9/*", "/3/0/9 (Battery Level) has no instances"),
        ("/3/0/11", "has instances: name one, as /3/0/11/0"),
        ("/3/0/9/0", "/3/0/9 (Battery Level) has no instances"),
        ("/3/0/11/x", "'x' is not an id"),
        ("/3/0/reboot", "/3/0/4 (Reboot) is executable and has no value"),
        (9, "9 is neither a path nor ENDPOINT"),
    ],
)
def test_a_wrong_source_is_named_with_plugin_rule_and_reason(
    catalog: Catalog, source: Any, reason: str
) -> None:
    with pytest.raises(MappingError) as refusal:
        compile_rules([("my_plugin", battery(Rule(source, "batteryLevel")))], catalog)
    assert str(refusal.value).startswith(f"my_plugin: battery: rule batteryLevel <- {source}: ")
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (Rule("/3/0/9", ""), "the target must be the name of an attribute"),
        (Rule((), "x"), "needs at least one source"),
        (Rule(("/6/0/0", "/6/0/1"), "location"), "2 sources need a convert function"),
        (Rule("/3/0/9", "x", convert=5), "convert is 5, not a function"),  # type: ignore[arg-type]
        (Rule("/3/0/9", "x", convert=lambda a, b: a), "convert cannot be called with 1 argument"),
        (("/3/0/9", "x"), "('/3/0/9', 'x') is not a Rule"),
    ],
)
def test_a_malformed_rule_is_refused(catalog: Catalog, rule: Any, reason: str) -> None:
    with pytest.raises(MappingError, match=r"^p: battery: ") as refusal:
        compile_rules([("p", battery(rule))], catalog)
    assert reason in str(refusal.value)


@pytest.mark.parametrize("convert", [str, int, round, "{}%".format])
def test_built_in_functions_convert(catalog: Catalog, convert: Callable[..., Any]) -> None:
    assert len(compile_rules([("p", battery(Rule("/3/0/9", "x", convert=convert)))], catalog).rules) == 1


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        (Mapping("m2m:battery", name="", rules=[Rule("/3/0/9", "x")]), "needs a target and a name"),
        (Mapping("", name="battery", rules=[Rule("/3/0/9", "x")]), "needs a target and a name"),
        (Mapping("m2m:battery", name="a/b", rules=[Rule("/3/0/9", "x")]), "a name without a slash"),
        (battery(), "needs at least one rule"),
    ],
)
def test_a_malformed_mapping_is_refused(catalog: Catalog, mapping: Mapping, reason: str) -> None:
    with pytest.raises(MappingError, match=reason):
        compile_rules([("p", mapping)], catalog)


def test_rules_may_come_from_a_generator(catalog: Catalog) -> None:
    mapping = Mapping("m2m:battery", name="battery", rules=(rule for rule in [LEVEL, STATUS]))
    for _ in range(2):
        assert len(compile_rules([("p", mapping)], catalog).rules) == 2


def test_a_mapping_of_wrong_types_is_refused_where_it_is_made() -> None:
    with pytest.raises(TypeError):
        Mapping("m2m:battery", name=5, rules=[])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Mapping("m2m:battery", name="battery", rules=5)  # type: ignore[arg-type]


# --- two plugins, one attribute --------------------------------------------------------------------

LEVEL = Rule("/3/0/9", "batteryLevel")
STATUS = Rule("/3/0/20", "batteryStatus")
OTHER_LEVEL = Rule("/3/0/battery_status", "batteryLevel")


def test_two_writers_of_one_attribute_conflict_and_both_are_named(catalog: Catalog) -> None:
    with pytest.raises(MappingConflict) as conflict:
        compile_rules([("first", battery(LEVEL)), ("second", battery(OTHER_LEVEL))], catalog)
    text = str(conflict.value)
    assert "first" in text
    assert "second" in text
    assert "batteryLevel" in text
    assert "replaces=" in text


def test_different_attributes_of_one_resource_do_not_conflict(catalog: Catalog) -> None:
    assert len(compile_rules([("a", battery(LEVEL)), ("b", battery(STATUS))], catalog).rules) == 2


def test_one_attribute_twice_in_one_mapping_conflicts(catalog: Catalog) -> None:
    with pytest.raises(MappingConflict):
        compile_rules([("p", battery(LEVEL, OTHER_LEVEL))], catalog)


@pytest.mark.parametrize("swap", [False, True])
def test_replaces_decides_whatever_the_order(catalog: Catalog, swap: bool) -> None:
    mappings = [("old", battery(LEVEL, STATUS)), ("new", battery(OTHER_LEVEL, replaces="old"))]
    rules = compile_rules(reversed(mappings) if swap else mappings, catalog).rules
    writers = {rule.rule.target: rule.plugin for rule in rules}
    assert writers == {"batteryLevel": "new", "batteryStatus": "old"}


def test_two_that_replace_the_same_still_conflict(catalog: Catalog) -> None:
    mappings = [
        ("old", battery(LEVEL)),
        ("one", battery(OTHER_LEVEL, replaces="old")),
        ("two", battery(OTHER_LEVEL, replaces="old")),
    ]
    with pytest.raises(MappingConflict, match=r"one .* and two") as conflict:
        compile_rules(mappings, catalog)
    assert "old" not in str(conflict.value)


def test_two_that_replace_each_other_conflict(catalog: Catalog) -> None:
    mappings = [("a", battery(LEVEL, replaces="b")), ("b", battery(OTHER_LEVEL, replaces="a"))]
    with pytest.raises(MappingConflict, match=r"a .* and b"):
        compile_rules(mappings, catalog)


def test_one_name_is_one_kind_of_resource(catalog: Catalog) -> None:
    memory = Mapping("m2m:memory", name="battery", rules=[Rule("/3/0/10", "memAvailable")])
    with pytest.raises(
        MappingConflict, match=r"'battery' is m2m:battery in plugin a and m2m:memory in plugin b"
    ):
        compile_rules([("a", battery(LEVEL)), ("b", memory)], catalog)


# --- what is read at Register ----------------------------------------------------------------------


def test_reads_are_the_objects_of_mappings_that_ask_in_order_and_once(catalog: Catalog) -> None:
    location = Mapping(
        "m2m:deviceInfo",
        name="device-info",
        read_at_register=True,
        rules=[Rule(ENDPOINT, "deviceLabel"), Rule("/6/0/0", "a"), Rule("/3/0/0", "b"), Rule("/6/0/1", "c")],
    )
    quiet = Mapping("m2m:memory", name="memory", rules=[Rule("/4/0/0", "x")])
    table = MappingTable.compile(
        [("p", location), ("q", quiet), ("r", battery(LEVEL, read_at_register=True))], catalog
    )
    assert table.reads == (6, 3)
    assert MappingTable().reads == ()
