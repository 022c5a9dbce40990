"""``lwm2m image``: something to update simulated devices to."""

from __future__ import annotations

import os
from pathlib import Path

import click

from lwm2m_server.simulator.images import make_image


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, writable=True))
@click.option("--version", required=True, help="What they will say they run.")
@click.option("--name", default="firmware", show_default=True)
@click.option(
    "--size",
    metavar="BYTES",
    type=click.IntRange(0, 8 * 1024 * 1024),
    default=16384,
    show_default=True,
    help="Of the random bytes in it.",
)
def image(file: Path, version: str, name: str, size: int) -> None:
    """Write an image for simulated devices to FILE.

    They check name, version, length and SHA-256, which are in its first line, and install nothing else.
    """
    file.write_bytes(make_image(name, version, os.urandom(size)))
    click.echo(f"{file}: {name} {version}, {file.stat().st_size} bytes", err=True)
