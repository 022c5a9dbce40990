"""What the console's pages are made of besides HTML: whose it is, and what it weighs."""

from __future__ import annotations

import gzip
import hashlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

CONSOLE = Path(__file__).parents[2] / "server/lwm2m_server/console"
VENDORED = CONSOLE / "static/vendor"
PACKAGES = tomllib.loads((CONSOLE / "vendor.toml").read_text(encoding="utf-8"))["package"]


def test_what_others_wrote_is_listed_and_unchanged() -> None:
    listed = {one["file"]: one["sha256"] for package in PACKAGES for one in package["files"]}
    there = {
        path.relative_to(VENDORED).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDORED.rglob("*")
        if path.is_file()
    }
    assert there == listed


def test_each_package_has_its_release_and_its_licence() -> None:
    assert {package["name"] for package in PACKAGES} == {"htmx.org", "uplot"}
    for package in PACKAGES:
        assert package["version"]
        assert package["licence"] in {"0BSD", "MIT"}
        assert [one["file"] for one in package["files"] if one["source"] == "LICENSE"]


def test_all_of_it_weighs_at_most_150_kilobytes() -> None:
    files = [path for path in (CONSOLE / "static").rglob("*") if path.is_file()]
    assert sum(len(gzip.compress(path.read_bytes(), mtime=0)) for path in files) <= 150_000


# What is JSON is not run.
SCRIPTS = r"\son\w+=|\bhx-on|<script(?![^>]*\b(?:src=|type=.application/json))|javascript:"
STYLES = r"\bstyle=|<style"
# The drawings of icons are the templates' own.
RAW = r"(?<!drawings\[name\])\|\s*safe\b"
MAKES_HTML = (
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|parseFromString"
)
FORBIDDEN = {
    "templates/**/*.html": rf"{RAW}|{SCRIPTS}|{STYLES}|//[a-z-]+\.[a-z]",
    "static/*.css": r"@import|url\((?!\s*[\"']?data:)",
    "static/*.js": rf"{MAKES_HTML}|\beval\(|new Function|https?:",
}
"""What would be HTML or a script made of words, or would come from elsewhere."""


@pytest.mark.parametrize("files", FORBIDDEN)
def test_nothing_is_made_of_words_or_comes_from_elsewhere(files: str) -> None:
    assert list(found(files, FORBIDDEN[files])) == []


def found(files: str, pattern: str) -> Iterator[str]:
    for path in sorted(CONSOLE.glob(files)):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(pattern, line):
                yield f"{path.relative_to(CONSOLE)}:{number}: {line.strip()}"
