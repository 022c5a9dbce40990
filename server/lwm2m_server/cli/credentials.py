"""``lwm2m credentials``: what devices prove themselves with. Secrets come from files, standard input or a
prompt, never from the command line, and are never shown again."""

from __future__ import annotations

import base64
import csv
import json
import secrets
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TextIO

import click

from lwm2m_engine.errors import LwM2MError, SettingsError
from lwm2m_server.cli.client import Client
from lwm2m_server.cli.options import client_options
from lwm2m_server.cli.tables import show_table
from lwm2m_server.security.vault import make_key_file

HEADING: Final = ("device", "for", "mode", "endpoint", "found by")
COLUMNS: Final = {
    "key": "key",
    "key_hex": "key",
    "identity": "identity",
    "endpoint": "endpoint",
    "public_key": "publicKey",
    "certificate": "certificate",
    "recipient_id": "recipientId",
    "sender_id": "senderId",
    "master_secret": "masterSecret",
    "master_salt": "masterSalt",
    "id_context": "idContext",
}
"""Columns of a CSV file, besides ``device``, ``for`` and ``mode``, and what the API calls them."""
PSK_LENGTH: Final = 16
"""Bytes of a generated key: what the cipher suites of LwM2M make use of."""

_bootstrap = click.option("--bootstrap", is_flag=True, help="For the bootstrap server, not for this one.")
_file = click.File(encoding="utf-8")


@click.group()
def credentials() -> None:
    """Credentials of devices of a running server."""


@credentials.command("list")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@client_options
def list_(name: str | None, as_json: bool, url: str, tenant: str | None, token_file: Path | None) -> None:
    """Which credentials are set, of all devices or of NAME; never the secrets."""
    client = Client.of(url, tenant, token_file)
    rows = list(client.credentials() if name is None else client.credentials_of(name))
    if as_json:
        click.echo(json.dumps(rows))
        return
    show_table(HEADING, [_row(row) for row in rows])


@credentials.command()
@click.argument("name")
@click.option(
    "--mode",
    type=click.Choice(["nosec", "psk", "rpk", "x509", "oscore"]),
    required=True,
    help="How it proves it.",
)
@click.option("--endpoint", metavar="NAME", help="Endpoint name they are for, if it is not the device's own.")
@click.option("--identity", metavar="TEXT", help="psk: the identity.")
@click.option("--key-file", metavar="FILE", type=_file, help="psk: base64 of the key; - is standard input.")
@click.option("--hex", "is_hex", is_flag=True, help="psk: the key is hexadecimal, not base64.")
@click.option("--public-key", metavar="FILE", type=_file, help="rpk: the public key, PEM or base64 of DER.")
@click.option(
    "--certificate",
    metavar="FILE",
    type=_file,
    help="x509: this one only, PEM or base64 of DER; else any of a trusted CA.",
)
@click.option("--recipient-id", metavar="HEX", help="oscore: the id the device sends under.")
@click.option("--sender-id", metavar="HEX", help="oscore: the id this server sends under.")
@click.option("--secret-file", metavar="FILE", type=_file, help="oscore: hexadecimal of the master secret.")
@click.option("--salt-file", metavar="FILE", type=_file, help="oscore: hexadecimal of the master salt.")
@click.option("--id-context", metavar="HEX", help="oscore: the ID context.")
@_bootstrap
@client_options
def add(
    name: str,
    mode: str,
    endpoint: str | None,
    identity: str | None,
    key_file: TextIO | None,
    is_hex: bool,
    public_key: TextIO | None,
    certificate: TextIO | None,
    recipient_id: str | None,
    sender_id: str | None,
    secret_file: TextIO | None,
    salt_file: TextIO | None,
    id_context: str | None,
    bootstrap: bool,
    url: str,
    tenant: str | None,
    token_file: Path | None,
) -> None:
    """Set the credentials of the device NAME, in place of what it had.

    Without a file a secret is asked for.
    """
    document = {
        "mode": mode,
        "endpoint": endpoint,
        "identity": identity,
        "publicKey": public_key and public_key.read(),
        "certificate": certificate and certificate.read(),
        "recipientId": recipient_id,
        "senderId": sender_id,
        "masterSalt": salt_file and salt_file.read().strip(),
        "idContext": id_context,
    }
    if mode == "psk":
        document["key"] = _key(_secret(key_file, "Key"), is_hex)
    elif mode == "oscore":
        document["masterSecret"] = _secret(secret_file, "Master secret")
    given = {member: value for member, value in document.items() if value is not None}
    client = Client.of(url, tenant, token_file)
    client.put_credentials(name, _side(bootstrap), given)
    click.echo(f"{name}: {mode} set")


@credentials.command()
@click.argument("name")
@_bootstrap
@client_options
def remove(name: str, bootstrap: bool, url: str, tenant: str | None, token_file: Path | None) -> None:
    """Take the credentials of NAME away: it cannot register (or bootstrap) until it has new ones."""
    Client.of(url, tenant, token_file).remove_credentials(name, _side(bootstrap))
    click.echo(f"{name}: removed")


@credentials.command()
@click.argument("name")
@click.option("--identity", metavar="TEXT", help="Default: NAME.")
@click.option("--hex", "is_hex", is_flag=True, help="Print the key in hexadecimal, not in base64.")
@_bootstrap
@client_options
def generate(
    name: str,
    identity: str | None,
    is_hex: bool,
    bootstrap: bool,
    url: str,
    tenant: str | None,
    token_file: Path | None,
) -> None:
    """Set a new random pre-shared key for the device NAME, and print it: this once."""
    key = secrets.token_bytes(PSK_LENGTH)
    text = base64.b64encode(key).decode("ascii")
    document = {"mode": "psk", "identity": identity or name, "key": text}
    Client.of(url, tenant, token_file).put_credentials(name, _side(bootstrap), document)
    click.echo(key.hex() if is_hex else text)


@credentials.command("import")
@click.argument("file", type=click.File(encoding="utf-8-sig"))
@client_options
def import_(file: TextIO, url: str, tenant: str | None, token_file: Path | None) -> None:
    """Credentials of many devices from a CSV FILE (- is standard input) with a line of headings.

    \b
    device,for,mode,identity,key
    meter7,management,psk,meter7,3q2+7w==
    meter7,bootstrap,psk,meter7-bs,vu8AAQ==

    More columns: endpoint, key_hex, public_key, certificate, recipient_id, sender_id, master_secret,
    master_salt, id_context. A line that is refused keeps none of the others.
    """
    client = Client.of(url, tenant, token_file)
    done, refused = 0, 0
    for line, row in _rows(file):
        try:
            document = _document(row)
            client.put_credentials(row["device"], row.get("for") or "management", document)
        except LwM2MError as error:
            refused += 1
            click.echo(f"line {line}: {error}", err=True)
        else:
            done += 1
    click.echo(f"{done} set, {refused} refused")
    if refused:
        sys.exit(1)


@credentials.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def key(file: Path) -> None:
    """Make a key file for the setting credentials.key_file: secrets of devices are sealed with it."""
    make_key_file(file)
    click.echo(f"{file}: keep a copy where no backup of the ledger is; without it the secrets are lost")


def _rows(file: TextIO) -> Iterator[tuple[int, Mapping[str, str]]]:
    reader = csv.DictReader(file)
    known = {"device", "for", "mode", *COLUMNS}
    for name in reader.fieldnames or ():
        if name not in known:
            raise SettingsError(f"column {name[:40]!r} is none of {', '.join(sorted(known))}")
    if not {"device", "mode"} <= set(reader.fieldnames or ()):
        raise SettingsError("the first line has to name the columns, device and mode among them")
    for row in reader:
        yield reader.line_num, {name: value for name, value in row.items() if value}


def _document(row: Mapping[str, str]) -> dict[str, Any]:
    """A line of the file as the API has it."""
    missing = [name for name in ("device", "mode") if name not in row]
    if missing:
        raise SettingsError(f"{missing[0]} is missing")
    document = {COLUMNS[name]: value for name, value in row.items() if name in COLUMNS}
    if "key_hex" in row:
        document["key"] = _key(row["key_hex"], is_hex=True)
    return {"mode": row["mode"], **document}


def _secret(file: TextIO | None, asked: str) -> str:
    if file is not None:
        return file.read().strip()
    text: str = click.prompt(asked, hide_input=True, err=True)
    return text.strip()


def _key(text: str, is_hex: bool) -> str:
    if not is_hex:
        return text
    try:
        return base64.b64encode(bytes.fromhex(text)).decode("ascii")
    except ValueError:
        raise SettingsError("the key is not hexadecimal") from None


def _side(bootstrap: bool) -> str:
    return "bootstrap" if bootstrap else "management"


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    found = row.get("identity") or row.get("recipientId") or ""
    return row["device"], row["side"], row["mode"], row.get("endpoint") or "", found
