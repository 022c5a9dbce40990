"""Fuzzing of the decoders with atheris (``pip install lwm2m-engine[fuzz]``)::

    python tests/fuzz/codecs.py --seconds 60                    # all decoders, one after the other
    python tests/fuzz/codecs.py --seconds 60 --codec tlv
    python tests/fuzz/codecs.py --codec tlv --replay crash-…    # what a finding does

Whatever the bytes: a decoder gives entries at or below the path of the request, or raises ``CodecError``;
what it gave can be encoded, or ``EncodeError`` says why not, and comes back the same. Both hold the same for
types that are looked up by Object, with which codecs take short ways. A finding ends the run with its
traceback, and its bytes are kept in the current directory. The seeds are the vectors.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path as File

import atheris

with atheris.instrument_imports(include=["lwm2m_engine"]):
    from lwm2m_engine.codecs import Codecs, decode, decode_each, decode_paths, encode
    from lwm2m_engine.entries import Entry
    from lwm2m_engine.errors import CodecError, EncodeError
    from lwm2m_engine.formats import ContentFormat
    from lwm2m_engine.paths import Path
    from lwm2m_engine.type_lookup import ObjectTypes, TypeLookup
    from lwm2m_engine.values import ResourceType

VECTORS = File(__file__).parents[1] / "vectors"
PLACES = [
    Path(text) for text in ("/3/0", "/", "/3", "/3/0/9", "/3/0/6", "/3/0/6/0", "/1024/0", "/3303/0/5700")
]
TYPES = list(ResourceType)
SECONDS_PER_INPUT = 5


def types(path: Path) -> ResourceType | None:
    """Every type somewhere, and no type for some."""
    return TYPES[path[2] % len(TYPES)] if path[0] != 3303 else None


_BY_ID = ObjectTypes((id_, TYPES[id_ % len(TYPES)]) for id_ in range(65536))
LOOKUP = TypeLookup(lambda object_id: None if object_id == 3303 else _BY_ID)


def check(data: bytes, content_format: int) -> None:
    """The first byte says where the payload came from and whether to be strict; the rest is the payload."""
    if not data:
        return
    at, strict, payload = PLACES[data[0] & 7], bool(data[0] & 8), data[1:]
    if Codecs()[content_format].decode_paths is not None:
        with suppress(CodecError):
            decode_paths(payload, content_format)
    if Codecs()[content_format].decode_each is not None:
        with suppress(CodecError):
            decode_each(payload, content_format, strict=strict)
    try:
        entries = decode(payload, content_format, at=at, types=types, strict=strict)
    except CodecError as error:
        if error.content_format != content_format:
            raise AssertionError(f"the error is of {error.content_format}") from error
        with suppress(CodecError):
            decode(payload, content_format, at=at, types=LOOKUP, strict=strict)
            raise AssertionError("not refused where types are looked up by Object") from error
        return
    if exactly(decode(payload, content_format, at=at, types=LOOKUP, strict=strict)) != exactly(entries):
        raise AssertionError("another result where types are looked up by Object")
    if not all(entry.path.startswith(at) for entry in entries):
        raise AssertionError("a path outside that of the request")
    try:
        again = encode(entries, content_format, at=at, types=types)
    except EncodeError:
        return
    if encode(entries, content_format, at=at, types=LOOKUP) != again:
        raise AssertionError("another payload where types are looked up by Object")
    if shown(decode(again, content_format, at=at, types=types)) != shown(entries):
        raise AssertionError(f"{entries} came back changed")


def exactly(entries: list[Entry]) -> list[str]:
    return [f"{entry!r} {type(entry.value)}" for entry in entries]


def shown(entries: list[Entry]) -> list[str]:
    """Comparable, whatever is in it: NaN is not equal to itself."""
    return sorted(
        f"{path} {same(value)!r} {None if time is None else float(time)}" for path, value, time in entries
    )


def same(value: object) -> object:
    """JSON does not tell a whole number from a Float. Beyond 2^53, where the Float has fewer digits, a number
    is read as an exact integer; without a model a Float comes back as the integer it was printed as."""
    whole = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) >= 2**53
    return float(value) if whole else value


def seeds(content_format: int) -> Iterator[bytes]:
    for file in VECTORS.glob("*.toml"):
        table = tomllib.loads(file.read_text("utf-8"))
        if table["format"] != content_format:
            continue
        for row in table["vector"]:
            payload = bytes.fromhex(row["hex"]) if "hex" in row else row.get("text", "").encode()
            place = Path(row.get("path", "/"))
            yield bytes((PLACES.index(place) if place in PLACES else 1,)) + payload


def fuzz(content_format: int, seconds: int, corpus: str) -> None:
    """Does not return: libFuzzer ends the process."""
    flags = [
        f"-max_total_time={seconds}",
        f"-timeout={SECONDS_PER_INPUT}",
        "-max_len=1024",
        "-rss_limit_mb=1024",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *flags, corpus], lambda data: check(data, content_format))
    atheris.Fuzz()


def run(member: ContentFormat, seconds: int) -> int:
    """Fuzz one codec in a process of its own and say how it went; its exit code."""
    with tempfile.TemporaryDirectory() as corpus:
        for index, seed in enumerate(seeds(member)):
            (File(corpus) / f"{index}").write_bytes(seed)
        command = [sys.executable, __file__, "--codec", member.label, "--seconds", str(seconds)]
        done = subprocess.run([*command, "--corpus", corpus], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{member.label}: a finding\n{done.stdout}\n{done.stderr}")
    else:
        (executed,) = re.findall(r"number_of_executed_units: (\d+)", done.stderr)
        print(f"{member.label}: {executed} inputs in {seconds} s, nothing found", flush=True)
    return done.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description="fuzz the decoders")
    parser.add_argument("--seconds", type=int, default=60, help="in all (default 60)")
    parser.add_argument("--codec", help="label or number of one Content-Format (default: each in turn)")
    parser.add_argument("--replay", type=File, help="a file with the bytes of a finding")
    parser.add_argument("--corpus", help=argparse.SUPPRESS)
    options = parser.parse_args()
    chosen = list(ContentFormat) if options.codec is None else [ContentFormat.named(options.codec)]
    if options.replay is not None:
        for member in chosen:
            check(options.replay.read_bytes(), member)
        return 0
    if options.corpus is not None:
        fuzz(chosen[0], options.seconds, options.corpus)
    return max([run(member, max(1, options.seconds // len(chosen))) for member in chosen])


if __name__ == "__main__":
    sys.exit(main())
