"""What the console's pages are made of besides HTML: whose it is, and what it weighs."""

from __future__ import annotations

import gzip
import hashlib
import tomllib
from pathlib import Path

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
