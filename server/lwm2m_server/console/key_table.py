"""Pre-shared keys of a batch as somebody types them, or as a file has them: comma-separated values."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Final

COLUMNS: Final = {2: ("identity", "key"), 3: ("identity", "endpoint", "key")}
"""By their number, if no heading says which."""


class BadTable(Exception):
    """What is wrong, and where; without what a key is."""


def read_keys(typed: str, file: bytes) -> list[tuple[int, dict[str, str]]]:
    """Of both, as the API wants them, with the numbers of their lines. Raises ``BadTable``."""
    try:
        rows = [*_rows(typed), *_rows(file.decode("utf-8-sig"))]
    except UnicodeDecodeError as error:
        raise BadTable(f"The file is no UTF-8 at byte {error.start}.") from error
    except csv.Error as error:
        raise BadTable(f"This is no table: {error}.") from error
    if not rows:
        raise BadTable("Type keys, or choose a file with some.")
    return rows


def _rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    heading: list[str] | None = None
    reader = csv.reader(text.splitlines(), skipinitialspace=True)
    for line in reader:
        cells, at = [cell.strip() for cell in line], reader.line_num
        if not any(cells):
            continue
        names = [cell.lower() for cell in cells]
        if heading is None and {"identity", "key"} <= set(names) <= {"identity", "endpoint", "key"}:
            heading = names
            continue
        columns = heading or COLUMNS.get(len(cells), ())
        if len(columns) != len(cells):
            raise BadTable(f"Line {at}: identity, endpoint and key are due, or identity and key.")
        yield at, {name: cell for name, cell in zip(columns, cells, strict=True) if cell}
