"""Where a broker is and how it lets the server in: ``mqtt://user:password@host:1883/topic`` (``poa``), and
what ``poah`` adds to that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

import attrs

from lwm2m_server.sinks.addresses import AddressGuard
from lwm2m_server.sinks.headers import BadHeader, read_headers
from lwm2m_server.sinks.protocols import Endpoint, Refused

_ADDRESS: Final = re.compile(
    r"(?P<scheme>[a-z]+)://(?:(?P<user>[^@/:]*)(?::(?P<password>[^@/]*))?@)?(?P<hosts>[^@/?#]+)/(?P<topic>.+)"
)
_LABEL: Final = r"[A-Za-z0-9_-]{1,63}"
_HOST: Final = re.compile(
    rf"(?:\[(?P<literal>[0-9A-Fa-f:.]+)\]|(?P<name>{_LABEL}(?:\.{_LABEL})*\.?))(?::(?P<port>[0-9]{{1,5}}))?"
)
_OWN: Final = ("username", "password", "sasl-mechanism")
"""What of ``poah`` is for the connection; the rest goes with each message."""


@attrs.frozen(slots=True)
class Scheme:
    """``mqtt``, ``kafkas`` …"""

    port: int
    secure: bool


@attrs.frozen(slots=True)
class BrokerAddress:
    """One of an application's ``poa``."""

    scheme: str
    secure: bool
    hosts: tuple[tuple[str, int], ...]
    topic: str
    user: str | None = None
    password: str | None = attrs.field(default=None, repr=False)

    def __str__(self) -> str:
        """For people; nothing secret."""
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        return f"{self.scheme}://{hosts}/{self.topic}"


@attrs.frozen(slots=True)
class Account:
    """Who the server is to a broker (``username``, ``password`` and ``sasl-mechanism`` in ``poah``), and what
    else ``poah`` wants in each message."""

    user: str | None
    password: str | None = attrs.field(repr=False)
    mechanism: str | None
    headers: Mapping[str, str] = attrs.field(repr=False)


def read_address(text: str, schemes: Mapping[str, Scheme]) -> BrokerAddress:
    """Raises ``ValueError`` with a sentence, which does not quote the password."""
    if any(character <= " " or character == "\x7f" for character in text):
        raise ValueError("a broker's address has no blanks and no control characters")
    found = _ADDRESS.fullmatch(text)
    known = " or ".join(f"{name}://" for name in schemes)
    if found is None or found["scheme"] not in schemes:
        raise ValueError(f"a broker's address is {known}, then [USER@]HOST[:PORT]/TOPIC")
    scheme = schemes[found["scheme"]]
    user, password = (None if part is None else unquote(part) for part in (found["user"], found["password"]))
    hosts = tuple(_read_host(host, scheme.port) for host in found["hosts"].split(","))
    return BrokerAddress(found["scheme"], scheme.secure, hosts, found["topic"], user, password)


def _read_host(text: str, default: int) -> tuple[str, int]:
    found = _HOST.fullmatch(text)
    if found is None:
        raise ValueError("what is before the topic is no [USER@]HOST[:PORT]")
    port = int(found["port"] or default)
    if not 0 < port < 65536:
        raise ValueError(f"there is no port {port}")
    return found["literal"] or found["name"], port


def addresses_of(
    endpoint: Endpoint, schemes: Mapping[str, Scheme], guard: AddressGuard
) -> tuple[BrokerAddress, ...]:
    """Raises ``Refused`` if there is one that no notice can be sent to."""
    found = []
    for number, text in enumerate(endpoint.addresses, 1):
        try:
            found.append(read_address(text, schemes))
        except ValueError as error:
            raise Refused(f"poa {number}: {error}") from error
        for host, _ in found[-1].hosts:
            reason = guard.literal_refusal(host)
            if reason is not None:
                raise Refused(reason)
    return tuple(found)


def account_of(endpoint: Endpoint) -> Account:
    """Raises ``Refused``."""
    try:
        given = read_headers(endpoint.headers)
    except BadHeader as error:
        raise Refused(f"poah: {error}") from error
    own = {name.lower(): value for name, value in given.items() if name.lower() in _OWN}
    rest = {name: value for name, value in given.items() if name.lower() not in _OWN}
    return Account(own.get("username"), own.get("password"), own.get("sasl-mechanism"), rest)
