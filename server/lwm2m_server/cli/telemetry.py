"""``lwm2m telemetry``: what a device told, the last of it or over time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import click

from lwm2m_server.cli.client import Client, segment
from lwm2m_server.cli.exits import Misuse
from lwm2m_server.cli.moments import duration, moment
from lwm2m_server.cli.options import client_options
from lwm2m_server.cli.tables import show_table
from lwm2m_server.cli.values import clock

PAGE: Final = 1000
"""Values of each Resource that are asked for at once."""
AGGREGATES: Final = ("min", "max", "avg", "sum", "count", "first", "last")

_LATEST: Final = ("key", "path", "value", "time", "source")
_HISTORY: Final = ("time", "key", "path", "value")
_UNDECODED: Final = ("time", "path", "format", "payload", "reason")


@click.command()
@click.argument("name")
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option("--from", "since", metavar="TIME", help="Values since then: 24h (ago), 2026-03-01T12:00.")
@click.option("--to", "until", metavar="TIME", help="Values before then.")
@click.option("--agg", type=click.Choice(AGGREGATES), help="One value for each interval.")
@click.option("--interval", metavar="DURATION", help="Such as 15m or 1h; without it, all of the time.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many values of each, the newest.")
@click.option("--attributes", is_flag=True, help="Only what the device profile has for attributes.")
@click.option("--undecoded", is_flag=True, help="Payloads that became no values.")
@click.option("--forget", is_flag=True, help="Delete what would be shown; for administrators.")
@click.option("--csv", "as_csv", is_flag=True, help="A row a value, with time, key, path and units.")
@click.option("--json", "as_json", is_flag=True, help="As the API has it.")
@client_options
def telemetry(
    name: str,
    keys: tuple[str, ...],
    since: str | None,
    until: str | None,
    agg: str | None,
    interval: str | None,
    limit: int | None,
    attributes: bool,
    undecoded: bool,
    forget: bool,
    as_csv: bool,
    as_json: bool,
    url: str,
    tenant: str | None,
    token_file: Path | None,
) -> None:
    """What the device NAME told, by key name or path: its last values, or those of a time.

    \b
    lwm2m telemetry device001
    lwm2m telemetry device001 batteryLevel --from 24h
    lwm2m telemetry device001 /3303/*/5700 --from 7d --agg avg --interval 1h --csv
    """
    if attributes + undecoded + forget > 1:
        raise Misuse("--attributes, --undecoded and --forget are three things")
    asked = _Asked(Client.of(url, tenant, token_file), name)
    now = time.time()
    query: dict[str, Any] = {"keys": keys} if keys else {}
    for argument, text in (("from", since), ("to", until)):
        if text is not None:
            query[argument] = moment(text, now)
    if forget:
        click.echo(f"{asked.call('DELETE', 'telemetry', query)['deleted']} values forgotten")
        return
    if agg is not None:
        query |= {"agg": agg} | ({} if interval is None else {"interval": duration(interval)})
    if as_csv:
        for part in asked.lines("attributes" if attributes else "telemetry", {**query, "format": "csv"}):
            click.echo(part, nl=False)
    elif undecoded:
        _show_undecoded(asked.call("GET", "values", {})["undecoded"], as_json)
    elif attributes:
        _show_latest(asked.call("GET", "attributes", {})["attributes"], as_json)
    elif query.keys() & {"from", "to", "agg"}:
        _show_history(asked.history(query, limit), as_json)
    else:
        _show_latest(asked.call("GET", "telemetry", query)["series"], as_json)


class _Asked:
    """The part of the API that is about one device."""

    def __init__(self, client: Client, name: str) -> None:
        self._client, self._name = client, name

    def call(self, method: str, what: str, query: Mapping[str, Any]) -> Any:
        return self._client.call(method, self._path(what, query))

    def lines(self, what: str, query: Mapping[str, Any]) -> Iterator[bytes]:
        yield from self._client.lines(self._path(what, query))

    def history(self, query: Mapping[str, Any], limit: int | None) -> list[dict[str, Any]]:
        """All pages of each series, or the newest values."""
        if limit is not None:
            found = self.call("GET", "telemetry", {**query, "limit": limit, "order": "desc"})["series"]
            return [{**one, "values": one["values"][::-1]} for one in found]
        series = self.call("GET", "telemetry", query)["series"]
        for one in series:
            begin = one.pop("next", None)
            while begin is not None:
                rest = {**query, "keys": one["path"], "from": begin, "limit": PAGE}
                (page,) = self.call("GET", "telemetry", rest)["series"]
                # What has the same millisecond comes once more.
                one["values"] = [row for row in one["values"] if row["at"] < begin] + page["values"]
                begin = page.get("next")
        return list(series)

    def _path(self, what: str, query: Mapping[str, Any]) -> str:
        tenant = {"tenant": self._client.tenant} if self._client.tenant else {}
        text = urlencode({**query, **tenant}, doseq=True)
        return f"/api/v1/devices/{segment(self._name)}/{what}?{text}"


def _show_latest(series: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(series))
        return
    rows = [
        (one["key"], one["path"], _value(one["value"], one["units"]), clock(one["at"]), one["source"])
        for one in series
    ]
    show_table(_LATEST, rows)


def _show_history(series: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(series))
        return
    rows = [
        (clock(row["at"]), one["key"], one["path"], _value(row["value"], one["units"]))
        for one in series
        for row in one["values"]
    ]
    show_table(_HISTORY, rows)


def _show_undecoded(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows))
        return
    shown = [
        (clock(one["at"]), one["path"], str(one["contentFormat"] or "-"), one["payload"], one["error"])
        for one in rows
    ]
    show_table(_UNDECODED, shown)


def _value(value: Any, units: str | None) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{text} {units}" if units else text
