"""What the console takes over from others, as ``console/vendor.toml`` lists it: ``python docs/vendor.py``.

Without arguments everything is compared with its recorded checksum. With a name and a version, that release
is fetched by ``npm pack`` (npm checks its integrity), its files replace those of the release before, and the
list is written anew; with ``--tarball`` it is read from a file that was fetched otherwise.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

CONSOLE = Path(__file__).resolve().parents[1] / "server/lwm2m_server/console"
LIST = CONSOLE / "vendor.toml"
FOLDER = CONSOLE / "static/vendor"
HEAD = """\
# Files in `static/vendor`, unchanged from their npm packages. Compare: `python docs/vendor.py`;
# take another release: `python docs/vendor.py htmx.org 4.0.1`.
"""

Package = dict[str, Any]


def packages() -> list[Package]:
    """The list: per package its release, its licence, and what is taken from it."""
    found: list[Package] = tomllib.loads(LIST.read_text(encoding="utf-8"))["package"]
    return found


def problems() -> Iterator[str]:
    """What in the folder is not as the list says."""
    listed = {one["file"]: one["sha256"] for package in packages() for one in package["files"]}
    there = {path.relative_to(FOLDER).as_posix(): path for path in FOLDER.rglob("*") if path.is_file()}
    for name in sorted(listed.keys() | there.keys()):
        if name not in there:
            yield f"{name} is listed, and missing"
        elif name not in listed:
            yield f"{name} is there, and not listed"
        elif _sha256(there[name].read_bytes()) != listed[name]:
            yield f"{name} is not as its package has it"


def update(name: str, version: str, tarball: Path | None) -> None:
    """Take the listed files of a package from this release of it."""
    known = packages()
    package = next((one for one in known if one["name"] == name), None)
    if package is None:
        sys.exit(f"{name} is not in {LIST.name}: add it there, with its licence and files, and repeat")
    with tempfile.TemporaryDirectory() as folder:
        contents = _contents(tarball or _packed(name, version, Path(folder)))
    about = json.loads(contents["package.json"])
    if (about["name"], about["version"]) != (name, version):
        sys.exit(f"{tarball} has {about['name']} {about['version']}")
    package["version"] = version
    for one in package["files"]:
        data = contents[one["source"]]
        if one["source"] == "LICENSE" and one["sha256"] != _sha256(data):
            print(f"{one['file']} is another text now: is it still {package['licence']}?")  # noqa: T201
        (FOLDER / one["file"]).write_bytes(data)
        one["sha256"] = _sha256(data)
    LIST.write_text(HEAD + "".join(map(_written, known)), encoding="utf-8")


def _packed(name: str, version: str, folder: Path) -> Path:
    command = ["npm", "pack", f"{name}@{version}", "--silent", "--pack-destination", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 -- as asked for
    return next(folder.glob("*.tgz"))


def _contents(tarball: Path) -> Mapping[str, bytes]:
    found = {}
    with tarfile.open(tarball) as archive:
        for member in archive:
            if file := archive.extractfile(member):
                found[member.name.removeprefix("package/")] = file.read()
    return found


def _written(package: Package) -> str:
    lines = ["", "[[package]]"]
    lines += [f'{key} = "{package[key]}"' for key in ("name", "version", "licence")]
    for one in package["files"]:
        lines += ["", "[[package.files]]"]
        lines += [f'{key} = "{one[key]}"' for key in ("file", "source", "sha256")]
    return "\n".join([*lines, ""])


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("name", nargs="?", help="of an npm package in the list")
    parser.add_argument("version", nargs="?")
    parser.add_argument("--tarball", type=Path, help="instead of asking npm for it")
    given = parser.parse_args()
    if given.name and not given.version:
        parser.error("a version is missing")
    if given.name:
        update(given.name, given.version, given.tarball)
    if found := list(problems()):
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
