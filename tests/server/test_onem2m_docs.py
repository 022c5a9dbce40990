"""The reference page says what the tables say."""

from pathlib import Path

from lwm2m_server.onem2m import errors
from lwm2m_server.onem2m.checks import PLATFORM_NAMES

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "onem2m.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("|")
]


def test_every_error():
    listed = {(row[0], row[1]) for row in ROWS if len(row) == 3 and row[0].isdigit() and row[1].isdigit()}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "rsc")]
    assert listed == {(str(kind.status), str(kind.rsc)) for kind in kinds}


def test_every_name_of_the_platform():
    assert all(f"`{name}`" in PAGE for name in PLATFORM_NAMES)
