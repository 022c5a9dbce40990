"""Our codecs beside what else there is, on the same payloads, in one run.

    python tests/benchmarks/peers/compare.py [--node-modules FOLDER]

Needs ``pip install kpn-senml`` and, in FOLDER, ``npm install lwm2m-codec``; what is absent is left out.
Object 3, instance 0, 16 values; CPU µs, medians of 15 rounds.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import time
import tomllib
from collections.abc import Callable
from pathlib import Path as File

from lwm2m_engine import Catalog, ContentFormat, Entry, Path, decode, encode
from lwm2m_engine.codecs import Types

HERE = File(__file__).parent
DEVICE = Path("/3/0")
ROUNDS, TIMES = 15, 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--node-modules", type=File, default=File("node_modules"))
    folder = parser.parse_args().node_modules
    types = Catalog.bundled().types
    vectors = tomllib.loads((HERE.parents[1] / "vectors" / "tlv.toml").read_text("utf-8"))
    tlv = bytes.fromhex(vectors["vector"][0]["hex"])
    entries = decode(tlv, ContentFormat.TLV, at=DEVICE, types=types)
    ours(entries, ContentFormat.TLV, types)
    npm(tlv, folder)
    # kpn-senml 1.0.1 stops at a text value under Python 3, so both get the numbers only.
    numbers = [entry for entry in entries if not isinstance(entry.value, str)]
    for number in (ContentFormat.SENML_CBOR, ContentFormat.SENML_JSON):
        ours(numbers, number, types)
        kpn_senml(encode(numbers, number, at=DEVICE, types=types), number)


def ours(entries: list[Entry], number: ContentFormat, types: Types) -> None:
    payload = encode(entries, number, at=DEVICE, types=types)
    reading = median(lambda: decode(payload, number, at=DEVICE, types=types))
    writing = median(lambda: encode(entries, number, at=DEVICE, types=types))
    show(number.label, f"lwm2m-engine ({len(entries)} values)", reading, writing)


def kpn_senml(payload: bytes, number: ContentFormat) -> None:
    if importlib.util.find_spec("kpn_senml") is None:
        return
    from kpn_senml import SenmlPack

    def read() -> SenmlPack:
        pack = SenmlPack("device")
        if number is ContentFormat.SENML_CBOR:
            pack.from_cbor(payload)
        else:
            pack.from_json(payload.decode())
        return pack

    pack = read()
    writing = pack.to_cbor if number is ContentFormat.SENML_CBOR else pack.to_json
    show(number.label, "kpn-senml (untyped records)", median(read), median(writing))


def npm(payload: bytes, folder: File) -> None:
    node = shutil.which("node")
    if node is None or not (folder / "lwm2m-codec").is_dir():
        return
    command = [node, HERE / "lwm2m_codec.js", payload.hex(), "2000"]
    env = {**os.environ, "NODE_PATH": str(folder.absolute())}
    found = json.loads(subprocess.run(command, env=env, capture_output=True, check=True).stdout)
    show("tlv", f"npm lwm2m-codec ({found['values']} values)", found["decode"], found["encode"])


def median(work: Callable[[], object]) -> float:
    """CPU µs of one call."""
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(TIMES):
            work()
        times.append((time.process_time() - started) / TIMES * 1e6)
    return statistics.median(times)


def show(content_format: str, who: str, reading: float, writing: float | None) -> None:
    encoded = "cannot" if writing is None else f"{writing:.1f}"
    print(f"{content_format:12} {who:32} decode {reading:8.1f}   encode {encoded:>8}")


if __name__ == "__main__":
    main()
