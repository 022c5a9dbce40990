"""Examples are tests: the good ones hold, and each way to be wrong is named."""

from __future__ import annotations

from typing import Any

import pytest

from lwm2m_engine import ENDPOINT, Catalog, Mapping, Rule
from lwm2m_engine.errors import MappingError
from lwm2m_engine.mapping.examples import run_examples


def percent(level: int) -> str:
    return f"{100 // level}%"


def mapping(*examples: Any) -> Mapping:
    rules = [
        Rule(ENDPOINT, "label"),
        Rule("/3/0/9", "level"),
        Rule("/3/0/20", "inverse", convert=percent),
        Rule("/6/0/0", "latitude"),
    ]
    return Mapping("m2m:battery", name="battery", rules=rules, examples=examples)


@pytest.mark.parametrize(
    "example",
    [
        ({"/3/0/9": 72}, {"level": 72}),
        ({"/3/0/battery_level": 72, ENDPOINT: "dev1"}, {"level": 72, "label": "dev1"}),
        ({ENDPOINT: "dev1"}, {"label": "dev1"}),
        ({"/6/0/0": 52}, {"latitude": 52.0}),
        ({}, {}),
    ],
)
def test_good_examples_hold(catalog: Catalog, example: Any) -> None:
    run_examples("p", mapping(example), catalog)


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        (({"/3/0/9": 72}, {"level": 71}), "level is 72, expected 71"),
        (({"/3/0/9": 1}, {"level": True}), "level is 1, expected True"),
        (({"/3/0/9": 72}, {}), "level is 72, expected missing"),
        (({"/3/0/9": 72}, {"level": 72, "more": 1}), "more is missing, expected 1"),
        (({ENDPOINT: "dev1"}, {}), "label is 'dev1', expected missing"),
        (({"/3/0/9": "high"}, {}), "/3/0/9: 'high' is not an Integer"),
        (({"/3/0/10": 5}, {}), "/3/0/10 is read by no rule"),
        (({"/3/0/batery_level": 5}, {}), "did you mean 'battery_level'"),
        ({"/3/0/9": 72}, "{'/3/0/9': 72} is no pair ({source: value}, {attribute: value})"),
        (({"/3/0/9": 72},), "is no pair"),
        (({"/3/0/20": 0}, {}), "rule inverse <- /3/0/20: convert(0) raised ZeroDivisionError"),
    ],
)
def test_an_example_that_does_not_hold_is_named(catalog: Catalog, example: Any, reason: str) -> None:
    with pytest.raises(MappingError) as refusal:
        run_examples("my_plugin", mapping(({"/3/0/9": 1}, {"level": 1}), example), catalog)
    assert str(refusal.value).startswith("my_plugin: battery: example 2: ")
    assert reason in str(refusal.value)


def test_a_mapping_without_examples_is_refused(catalog: Catalog) -> None:
    with pytest.raises(MappingError, match="p: battery: a mapping needs at least one example"):
        run_examples("p", mapping(), catalog)
