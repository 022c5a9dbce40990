"""``complaints.toml`` names tests that are there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.native_stack("applications only: nothing here depends on the CoAP stack")

TESTS = Path(__file__).parents[1]
LIST = tomllib.loads(Path(__file__).with_name("complaints.toml").read_text(encoding="utf-8"))["complaint"]


def test_each_is_there_once() -> None:
    assert [one["number"] for one in LIST] == list(range(1, 35))


@pytest.mark.parametrize("complaint", LIST, ids=lambda one: f"{one['number']:02}")
def test_what_shows_it_exists(complaint: dict[str, list[str]]) -> None:
    assert complaint["tests"]
    for test in complaint["tests"]:
        file, _, name = test.partition("::")
        source = (TESTS / file).read_text(encoding="utf-8")
        assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE), test
