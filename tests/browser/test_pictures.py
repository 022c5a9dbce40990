"""Each picture of the device API's reference page is a flow that a test here walks (``pictures.toml``)."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WALKED = tomllib.loads((HERE / "pictures.toml").read_text(encoding="utf-8"))
ASKED = tomllib.loads((ROOT / "tests/journeys/seed_b.toml").read_text(encoding="utf-8"))["picture"]


def test_every_picture_is_in_the_table_once() -> None:
    listed = [(key, int(number)) for key, tests in WALKED.items() for number in tests]
    assert listed == [(one["key"], one["number"]) for one in ASKED]


def test_every_picture_has_its_test_or_its_page() -> None:
    pages = WALKED["started"].values()
    assert [page for page in pages if not (ROOT / page).is_file()] == []
    named = {
        f"{key}.{number}": test
        for key, tests in WALKED.items()
        if key != "started"
        for number, test in tests.items()
    }
    assert {key: test for key, test in named.items() if not exists(test)} == {}


def exists(test: str) -> bool:
    """Without importing it: browsers may be missing."""
    file, _, name = test.partition("::")
    return (HERE / file).is_file() and name.startswith("test_") and name in names_in(file)


@cache
def names_in(file: str) -> frozenset[str]:
    module = ast.parse((HERE / file).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(one.name for one in module.body if isinstance(one, kinds))
