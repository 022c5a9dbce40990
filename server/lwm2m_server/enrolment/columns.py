"""Lines of a table of devices as documents: headings as people write them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from lwm2m_server.enrolment.newdevice import NewDevice, read_device
from lwm2m_server.enrolment.reading import Faulty

COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "name": ("name", "device", "devicename"),
    "endpoint": ("endpoint", "clientendpoint", "endpointclientname", "lwm2mclientendpoint"),
    "nodeId": ("id", "nodeid", "ni"),
    "profile": ("profile", "type", "deviceprofile"),
    "labels": ("label", "labels"),
    "groups": ("group", "groups", "devicegroups"),
    "credentialsId": ("credentialsid", "configkey", "lwm2msecurityconfigkey"),
    "mode": (
        "mode",
        "securitymode",
        "clientsecuritymode",
        "securityconfigclientmode",
        "lwm2mclientsecurityconfigmode",
    ),
    "identity": ("identity", "clientidentity", "pskidentity", "pskid", "lwm2mclientidentity"),
    "key": ("key", "clientkey", "keyhex", "pskkey", "psk", "lwm2mclientkey"),
    "cert": ("cert", "certificate", "clientcert", "clientcertificate", "lwm2mclientcert"),
    "bootstrapServer.securityMode": (
        "bootstrapmode",
        "bootstrapservermode",
        "bootstrapserversecuritymode",
        "lwm2mbootstrapserversecuritymode",
    ),
    "bootstrapServer.clientPublicKeyOrId": (
        "bootstrapidentity",
        "bootstrapserverpublickeyorid",
        "bootstrapserverclientpublickeyorid",
        "lwm2mbootstrapserverclientpublickeyorid",
    ),
    "bootstrapServer.clientSecretKey": (
        "bootstrapkey",
        "bootstrapserversecret",
        "bootstrapserversecretkey",
        "bootstrapserverclientsecretkey",
        "lwm2mbootstrapserverclientsecretkey",
    ),
    "lwm2mServer.securityMode": ("lwm2mservermode", "lwm2mserversecuritymode"),
    "lwm2mServer.clientPublicKeyOrId": (
        "lwm2mserveridentity",
        "lwm2mserverpublickeyorid",
        "lwm2mserverclientpublickeyorid",
    ),
    "lwm2mServer.clientSecretKey": (
        "lwm2mserverkey",
        "lwm2mserversecret",
        "lwm2mserversecretkey",
        "lwm2mserverclientsecretkey",
    ),
}
"""What each column says, and its headings without case, blanks and signs."""

_HEADINGS: Final = {heading: column for column, headings in COLUMNS.items() for heading in headings}
_SIGNS: Final = re.compile(r"[^a-z0-9]")
_LISTS: Final = ("labels", "groups")
_SEPARATORS: Final = re.compile(r"[;|]")
_MODES: Final = {"NOSEC": "NO_SEC", "NONE": "NO_SEC", "": "NO_SEC"}


class Table:
    """The lines of a text with headings, each read when it is asked for. Raises ``Faulty`` for headings that
    mean nothing here."""

    def __init__(self, text: str) -> None:
        first = text.partition("\n")[0]
        delimiter = next((one for one in ",;\t" if one in first), ",")
        self._rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        self._columns = [_column(heading) for heading in self._next() or ()]
        if "name" not in self._columns:
            raise Faulty({"line 1": "there is no column 'name'"})
        if len(set(self._columns)) < len(self._columns):
            raise Faulty({"line 1": "two columns say the same"})

    def __iter__(self) -> Iterator[tuple[int, NewDevice | Faulty]]:
        """Number of each line that is not empty, and the device of it or why there is none."""
        while (cells := self._next()) is not None:
            if any(cell.strip() for cell in cells):
                yield self._rows.line_num, self._device(cells)

    def _next(self) -> list[str] | None:
        try:
            return next(self._rows, None)
        except csv.Error as error:
            raise Faulty({f"line {self._rows.line_num}": str(error)}) from error

    def _device(self, cells: Sequence[str]) -> NewDevice | Faulty:
        if len(cells) != len(self._columns):
            return Faulty({"line": f"it has {len(cells)} cells, the first line {len(self._columns)}"})
        found = zip(self._columns, cells, strict=True)
        row = {column: cell.strip() for column, cell in found if cell.strip()}
        try:
            return read_device(document(row))
        except Faulty as error:
            return error


def _column(heading: str) -> str:
    found = _HEADINGS.get(_SIGNS.sub("", heading.lower()))
    if found is None:
        known = ", ".join(headings[0] for headings in COLUMNS.values())
        raise Faulty({"line 1": f"no column {heading[:40]!r} is known; columns are {known}"})
    return found


def document(row: Mapping[str, str]) -> dict[str, Any]:
    """A line as the API has it: a mode that is not said is that of the secrets which are there."""
    device: dict[str, Any] = {name: row[name] for name in ("name", "nodeId", "profile") if name in row}
    for name in _LISTS:
        if name in row:
            device[name] = [one.strip() for one in _SEPARATORS.split(row[name]) if one.strip()]
    client = {name: row[name] for name in ("endpoint", "identity", "key", "cert") if name in row}
    guess = "X509" if "cert" in row else "PSK" if "key" in row else "NO_SEC"
    client["securityConfigClientMode"] = _mode(row["mode"]) if "mode" in row else guess
    value: dict[str, Any] = {"client": client}
    sections = {name: _section(row, name) for name in ("bootstrapServer", "lwm2mServer")}
    given = {name: section for name, section in sections.items() if section}
    if given:
        value["bootstrap"] = given
    credentials: dict[str, Any] = {"credentialsValue": value}
    if "credentialsId" in row:
        credentials["credentialsId"] = row["credentialsId"]
    return {**device, "credentials": credentials}


def _section(row: Mapping[str, str], name: str) -> dict[str, str]:
    members = ("securityMode", "clientPublicKeyOrId", "clientSecretKey")
    found = {member: row[f"{name}.{member}"] for member in members if f"{name}.{member}" in row}
    if "securityMode" in found:
        found["securityMode"] = _mode(found["securityMode"])
    elif "clientSecretKey" in found:
        found["securityMode"] = "PSK"
    return found


def _mode(text: str) -> str:
    upper = text.upper()
    return _MODES.get(upper, upper)
