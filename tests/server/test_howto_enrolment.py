"""The pages on how devices come into being, block by block, against a server."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from lwm2m_server.cli.main import lwm2m

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs/how-to"
BLOCK = re.compile(r"^```(sh|http|csv|json)(?: ([\w.]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = {"create-a-device.md": 9, "import-devices.md": 4, "zero-touch-enrolment.md": 9}


@pytest.mark.parametrize("page", PAGES)
def test_blocks(page: str, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall((DOCS / page).read_text())
    assert len(blocks) >= PAGES[page]
    for kind, file, text in blocks:
        if kind == "sh":
            for line in text.splitlines():
                run(line, server.http)
        elif kind == "http":
            ask(text, server.http)
        else:
            Path(file).write_text(text)


def run(line: str, url: str) -> None:
    words = shlex.split(line)[1:]
    if words[0] != "serve":
        result = CliRunner().invoke(lwm2m, [*words, "--url", url])
        assert result.exit_code == 0, f"{line}\n{result.output}"


def ask(text: str, url: str) -> None:
    head, _, body = text.partition("\n\n")
    first, *headers = head.splitlines()
    method, path, _ = first.split()
    named = dict(header.split(": ") for header in headers) or {"Content-Type": "application/json"}
    if body and "json" in named["Content-Type"]:
        json.loads(body)
    answer = httpx.request(method, url + path, content=body, headers=named)
    assert answer.is_success, f"{text}\n{answer.text}"
