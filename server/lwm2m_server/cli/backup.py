"""``lwm2m backup``: the data of a server in one file, while it runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from lwm2m_server.backup import back_up
from lwm2m_server.configuration import load


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the stores; default what the settings say.",
)
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file; default ./lwm2m.toml if present.",
)
@click.option("--with-keys", is_flag=True, help="Also key files: whoever has the backup has all secrets.")
def backup(file: Path, data: Path | None, config: Path | None, with_keys: bool) -> None:
    """Write the data of a server on this machine to FILE, a tar archive, while it runs.

    Key files are not in it unless wanted: keep them apart, once. To restore, unpack into an empty
    folder, add the key files, and serve it:

    \b
    mkdir -m 700 lwm2m-data
    tar -xf FILE -C lwm2m-data
    """
    folder = data or load(config, environ=os.environ).settings.data
    size = (folder / "ledger.db").stat().st_size if (folder / "ledger.db").is_file() else 0
    with click.progressbar(length=max(size, 1), label="copying", file=sys.stderr) as bar:

        def progress(rest: int, all: int) -> None:
            bar.length = max(all, 1)
            bar.update(all - rest - bar.pos)

        manifest = back_up(folder, file, keys=with_keys, progress=progress)
    kept = ", ".join(manifest["keys"]) or "none"
    click.echo(f"{file}: schema version {manifest['schema']}, key files: {kept}", err=True)
