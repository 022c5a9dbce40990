"""What docs/how-to/decode-a-payload.md shows is what the commands print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/how-to/decode-a-payload.md"
BLOCKS = re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
LWM2M = 'lwm2m() { "$PYTHON" -m lwm2m_server.launcher "$@"; }\n'


def session(block: str) -> list[tuple[str, str]]:
    """Commands (with the lines of a here-document) and what is shown below each."""
    steps = []
    for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        end = step.index("END\n", step.index("<<END") + 6) + 4 if "<<END" in step else step.index("\n") + 1
        steps.append((step[:end], step[end:]))
    return steps


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_page_shows_what_is_printed(block: str, tmp_path: Path) -> None:
    steps = session(block)
    assert steps
    for command, shown in steps:
        done = subprocess.run(
            ["sh", "-c", LWM2M + command],
            cwd=tmp_path,
            env=os.environ | {"PYTHON": sys.executable, "XDG_CONFIG_HOME": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.stdout == shown
