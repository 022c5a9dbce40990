"""Whether a configuration holds together: what a client would refuse, or be lost with, is said before."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from lwm2m_engine.bootstrap import der
from lwm2m_engine.bootstrap.config import (
    ACCESS_CONTROL,
    OSCORE,
    SECURITY,
    SERVER,
    Account,
    BootstrapConfig,
    accounts,
    values_of,
)
from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.messages.requests import Write
from lwm2m_engine.model.validation import inspect
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import MAX_ID, Path
from lwm2m_engine.values import ObjLink

PSK, RPK, CERTIFICATE, NOSEC, EST = range(5)
"""Values of Security Mode, /0/x/2."""
MAX_PSK = 64
"""Bytes; longer than any hash of the cipher suites LwM2M uses."""
SCHEMES = {True: ("coaps", "coaps+tcp"), False: ("coap", "coap+tcp")}
"""Of a server's URI, by whether there is a security layer below CoAP."""
MANDATORY = {SECURITY: (0, 1, 2), SERVER: (0,), ACCESS_CONTROL: (0, 1), OSCORE: (0, 1, 2)}
"""Besides what a server may write later; keys are a matter of the security mode."""
READABLE = (SERVER, ACCESS_CONTROL)
LINKS = {SECURITY: (17,), SERVER: (10, 24)}
"""Object links that lead to what is provisioned as well: OSCORE, APN Connection Profile."""
NOWHERE = ObjLink(MAX_ID, MAX_ID)


def check(config: BootstrapConfig, models: ModelView) -> None:
    """Raise an ``ExceptionGroup`` of ``ValueRejected``, each with its place."""
    faults = list(_faults(config, models))
    if faults:
        raise ExceptionGroup("bootstrap configuration", faults)


def _faults(config: BootstrapConfig, models: ModelView) -> Iterator[ValueRejected]:
    if not config.writes:
        yield ValueRejected("nothing is written", path="write")
    for path in config.reads:
        if not path or path[0] not in READABLE:
            yield ValueRejected(f"{path} cannot be read at bootstrap, only /1 and /2", path="read")
    for write in config.writes:
        findings = inspect(write.entries, models, write.path, "create")
        yield from findings.faults
        if write.path[0] in MANDATORY:
            # Elsewhere definitions are often wrong about ranges.
            yield from findings.doubts
        yield from _missing(write)
        yield from _dangling(write, config)
    yield from _repeated(config)
    known = list(accounts(config.writes))
    for account in known:
        yield from _account_faults(account)
    yield from _servers(config, known)


def _missing(write: Write) -> Iterator[ValueRejected]:
    if len(write.path) != 2:
        return
    given = {entry.path[2] for entry in write.entries}
    for number in MANDATORY.get(write.path[0], ()):
        if number not in given:
            yield ValueRejected("this Resource is mandatory", path=write.path / number)


def _repeated(config: BootstrapConfig) -> Iterator[ValueRejected]:
    seen: set[Path] = set()
    for write in config.writes:
        for path in seen:
            if path.startswith(write.path) or write.path.startswith(path):
                yield ValueRejected(f"it is written with {path} already", path=write.path)
        seen.add(write.path)


def _dangling(write: Write, config: BootstrapConfig) -> Iterator[ValueRejected]:
    written = {Path(other.path[:2]) for other in config.writes}
    for entry in write.entries:
        link = entry.value
        if (
            not isinstance(link, ObjLink)
            or entry.path[2] not in LINKS.get(entry.path[0], ())
            or link == NOWHERE
        ):
            continue
        target = Path(link)
        if target not in written and any(target.startswith(path) for path in config.deletes):
            yield ValueRejected(f"{target} is deleted and not written", path=entry.path)


# --- accounts --------------------------------------------------------------------------------------


def _account_faults(account: Account) -> Iterator[ValueRejected]:
    path, values = account.write.path, values_of(account.write.entries)
    mode = values.get(2)
    yield from _uri_faults(path, str(values.get(0, "")), mode, protected=17 in values)
    identity, server_key, secret = (_bytes(values.get(number)) for number in (3, 4, 5))
    if mode == NOSEC:
        for number, value in ((3, identity), (4, server_key), (5, secret)):
            if value:
                yield ValueRejected("without security (mode 3) there is no key", path=path / number)
    elif mode == PSK:
        yield from _psk_faults(path, identity, secret)
    elif mode == RPK:
        yield from _der(path / 3, identity, der.PUBLIC_KEY)
        yield from _der(path / 4, server_key, der.PUBLIC_KEY)
        yield from _der(path / 5, secret, der.PRIVATE_KEY)
    elif mode == CERTIFICATE:
        yield from _der(path / 3, identity, der.CERTIFICATE)
        if not values.get(13):
            # Else it is a hash of the certificate (matching type).
            yield from _der(path / 4, server_key, der.CERTIFICATE)
        yield from _der(path / 5, secret, der.PRIVATE_KEY)
    for entry in account.write.entries:
        if entry.path[2] == 16 and isinstance(entry.value, int) and entry.value > MAX_ID:
            yield ValueRejected("a cipher suite has two bytes: C0A8 is 49320", path=entry.path)


def _uri_faults(path: Path, uri: str, mode: object, protected: bool) -> Iterator[ValueRejected]:
    place = path / 0
    if not uri:
        yield ValueRejected("the URI of the server is empty", path=place)
        return
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        yield ValueRejected(f"{uri!r} is no URI with a port from 0 to 65535", path=place)
        return
    known = (*SCHEMES[True], *SCHEMES[False])
    if parts.scheme not in known:
        yield ValueRejected(f"the scheme of {uri!r} is none of {', '.join(known)}", path=place)
    elif not parts.hostname or port == 0:
        yield ValueRejected(f"{uri!r} names no host and port to connect to", path=place)
    elif isinstance(mode, int) and parts.scheme not in SCHEMES[mode != NOSEC] and not protected:
        wanted = " or ".join(SCHEMES[mode != NOSEC])
        yield ValueRejected(f"{uri!r}: with security mode {mode} it begins with {wanted}", path=place)


def _psk_faults(path: Path, identity: bytes, key: bytes) -> Iterator[ValueRejected]:
    if not identity:
        yield ValueRejected("with a pre-shared key (mode 0) there is an identity", path=path / 3)
    try:
        identity.decode("utf-8")
    except UnicodeDecodeError:
        yield ValueRejected("a PSK identity is UTF-8 (RFC 7925, 4.2)", path=path / 3)
    if not 0 < len(key) <= MAX_PSK:
        yield ValueRejected(f"a pre-shared key has 1 to {MAX_PSK} bytes, not {len(key)}", path=path / 5)


def _der(path: Path, data: bytes, what: str) -> Iterator[ValueRejected]:
    reason = der.mismatch(data, what) if data else f"{what} is missing"
    if reason:
        yield ValueRejected(reason, path=path)


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


# --- which server is which -------------------------------------------------------------------------


def _servers(config: BootstrapConfig, known: list[Account]) -> Iterator[ValueRejected]:
    """Every LwM2M server has an account and a Server Instance, tied by its Short Server ID."""
    ids: set[int] = set()
    bootstrap = [account for account in known if account.is_bootstrap]
    for account in bootstrap[1:]:
        yield ValueRejected("a client has one account of a bootstrap server", path=account.write.path)
    for account in known:
        if account.is_bootstrap:
            continue
        yield from _short_id_faults(account.write.path / 10, account.short_id, ids)
    servers: set[int] = set()
    for write in config.writes:
        if len(write.path) == 2 and write.path[0] == SERVER:
            short_id = values_of(write.entries).get(0)
            yield from _short_id_faults(write.path / 0, short_id, servers)
            if known and isinstance(short_id, int) and short_id not in ids:
                yield ValueRejected(
                    f"no account in object 0 has Short Server ID {short_id}", path=write.path / 0
                )
    for account in known:
        if not account.is_bootstrap and servers and account.short_id not in servers:
            yield ValueRejected(
                f"no Instance of object 1 has Short Server ID {account.short_id}",
                path=account.write.path / 10,
            )


def _short_id_faults(path: Path, short_id: object, seen: set[int]) -> Iterator[ValueRejected]:
    if not isinstance(short_id, int):
        yield ValueRejected("a Short Server ID is due", path=path)
    elif short_id in seen:
        yield ValueRejected(f"Short Server ID {short_id} is given twice", path=path)
    else:
        seen.add(short_id)
