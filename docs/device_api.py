"""The reference page of the device interface, read off the program as far as that goes."""
# ruff: noqa: E501 - rows of Markdown tables cannot be broken

from __future__ import annotations

from collections.abc import Iterable, Sequence

from device_cases import ANYWHERE, BOOTSTRAP, REGISTER, SEND, UNPROVOKED, UPDATE, Case

from lwm2m_engine.coap import dotted
from lwm2m_engine.engine.negotiation import PREFERRED
from lwm2m_engine.engine.observations import SEND_FORMATS
from lwm2m_engine.formats import PRE_IANA, ContentFormat
from lwm2m_engine.messages.bootstrap import WRITE_FORMATS
from lwm2m_engine.messages.parameters import MAX_NAME_BYTES, MAX_PARAMETERS
from lwm2m_engine.messages.wire import (
    BINDINGS,
    DEFAULT_LIFETIME,
    MAX_LIFETIME,
    MAX_WARNINGS,
)
from lwm2m_server.coap import blocks, options, recent, representations, transfer, wire
from lwm2m_server.settings import Settings

HEAD = """\
# Device API

What devices find on the CoAP side: the registration interface, Send, and what the server asks of them. Paths are
relative to the root of a listener. Every answer is sent when its facts are stored, never before.

| path | methods | for | LwM2M Core 1.2 |
|---|---|---|---|
| `/rd` | POST | Register | 6.2.1 |
| `/rd/<id>` | POST, DELETE | Update, De-register | 6.2.2, 6.2.3 |
| `/dp` | POST | Send | 6.4.7 |
| `/bs` | POST | Bootstrap-Request, on listeners for bootstrap | 6.1.7.1 |
| `/bspack` | GET | Bootstrap-Pack-Request, on listeners for bootstrap | 6.1.7.7 |

The location `/rd/<id>` holds 64 random bits. It belongs to the listener and the security association it was made
through; the address may change (an Update from another address is answered there, and later requests go there).

## Parameters of Register and Update

Uri-Query options, `name=value`. {parameters} at most, each once.

| parameter | Register | Update | rules |
|---|---|---|---|
| `ep` | needed unless the security layer proves an identity | ignored | endpoint name, printable, {name} bytes at most |
| `lwm2m` | needed, see `devices.missing_version` | ignored | `1.0`, `1.1` or `1.2`; `1.1.1` is taken as `1.1` |
| `lt` | {lifetime} if missing | unchanged if missing | seconds, 1 to {most}; 0 is forever from LwM2M 1.2 on |
| `b` | `U` if missing | unchanged if missing | letters of the version, each once; see below |
| `Q` | | ignored | flag: queue mode, from LwM2M 1.1 on |
| `sms` | | unchanged if missing | kept, not used |
| any other | | added | kept as an attribute of the registration |

What a client may not say, but some do, is taken with a warning (in `logs`, and in `warnings` of
`/api/v1/devices/<name>`; {warnings} of one object list at most); the setting `strict` refuses it. `ignored` above
is such a case.

The payload is the object list, link-format; in an Update it may be missing. A `rt="oma.lwm2m"` link tells the
alternate root path, its `ct` the content formats, `ver` of an Object its version.

## Parameters of Bootstrap-Request and Bootstrap-Pack-Request

| parameter | rules |
|---|---|
| `ep` | as in Register |
| `pct` | Bootstrap-Request: the format the device wants to be written in, {written}; TLV if missing |
| any other | kept in the journal of the session |

What follows on a Bootstrap-Request: Discover, Delete, Write, Read and Finish (`POST /bs`), one exchange at a time; see
[Client-initiated bootstrap](../explanation/bootstrap.md). A format that the device refuses (4.15, 4.06) is not tried
again. A second Bootstrap-Request of a device ends its first session.

## Answers

"""

VERSIONS = """\
## LwM2M versions

| version | letters of `b` | queue mode | Object versions, if not announced |
|---|---|---|---|
"""

QUEUE = {"1.0": "`Q` in `b`: `UQ`"}
OBJECT_VERSIONS = {"1.0": "1.0", "1.1": "those of LwM2M 1.1", "1.2": "those of LwM2M 1.2"}

FORMATS = """\
## Content formats

What a device sends is read in every one of these formats. What it is asked for and written in, unless a request
names a format, is the first of its version that it has not refused (4.06, 4.15); formats it announced with `ct`
come first. In LwM2M 1.0 its own order counts. Composites are SenML.

| number | format | since | Send | asked for in LwM2M |
|---|---|---|---|---|
"""

OPTIONS = """\
## Options of requests

Options with even numbers are elective: those not named here are ignored. Odd ones are critical: others are
answered with 4.02.

| number | option | what is done with it |
|---|---|---|
"""

MEANINGS = {
    "URI_HOST": "any name is taken for the server's",
    "ETAG": "ignored in requests; that of an answer holds its blocks together",
    "OBSERVE": "of notifications: their order (RFC 7641)",
    "URI_PORT": "any port is taken for the server's",
    "LOCATION_PATH": "of answers: where a registration is, which Instance was created",
    "URI_PATH": "UTF-8",
    "CONTENT_FORMAT": "of the payload; missing with an object list means 40",
    "URI_QUERY": "UTF-8",
    "ACCEPT": "understood; no answer to a device has a payload but a diagnostic",
    "BLOCK2": "which block of a long answer; one of more than 1024 bytes is given in blocks anyway",
    "SIZE2": "of answers: size of the whole, as far as the device knows",
    "BLOCK1": "a request in blocks, each acknowledged with 2.31 (RFC 7959)",
    "PROXY_URI": "5.05",
    "PROXY_SCHEME": "5.05",
    "SIZE1": "more than a request may have is refused with its first block; in an answer 4.13: how much that is",
}

LIMITS = """\
## Limits

| what | limit |
|---|---|
"""

TRANSPORTS = """\
## Transports

| transport | setting | default |
|---|---|---|
| CoAP over UDP (RFC 7252) | `coap` | {coap} |
| CoAP over TCP (RFC 8323) | `coap_tcp` | {coap_tcp} |
| CoAP over DTLS 1.2 (RFC 7252, 9) | `coaps` | {coaps} |
| CoAP over TLS (RFC 8323) | `coaps_tcp` | {coaps_tcp} |
| CoAP over UDP, for bootstrap | `bootstrap.coap` | {bootstrap} |
| CoAP over DTLS, for bootstrap | `bootstrap.coaps` | {bootstrap} |

Each listener may be given several times; a registration belongs to the one it came through. `coap_stack` says what
is below CoAP over UDP without DTLS: `native`, or the transport of aiocoap as it comes.

A device that registers over TCP is asked over the connection it has open.

## What the server asks

Read (GET), Discover (GET with Accept 40), Observe (GET with Observe), the composites (FETCH, iPATCH), Write (PUT,
POST), Write-Attributes (PUT without payload), Execute (POST), Create (POST on an Object) and Delete, one exchange at a
time for each device (NSTART 1), confirmable, with the token of the relation for observations. After Register it reads
the Objects that mappings need, one Object Instance a request.
"""


def device_api_page() -> str:
    """The whole page."""
    defaults = Settings()
    head = HEAD.format(
        parameters=MAX_PARAMETERS,
        name=MAX_NAME_BYTES,
        lifetime=f"{DEFAULT_LIFETIME:,}",
        most=f"{MAX_LIFETIME:,}",
        warnings=MAX_WARNINGS,
        written=", ".join(map(str, sorted(map(int, WRITE_FORMATS)))),
    )
    shown = {name: listeners(getattr(defaults, name)) for name in ("coap", "coap_tcp", "coaps", "coaps_tcp")}
    return "".join(
        (
            head,
            *(answers(title, cases) for title, cases in ANSWERS.items()),
            "Besides:\n\n| code | cause |\n|---|---|\n",
            *(f"| {dotted(code)} | {cause} |\n" for code, cause in UNPROVOKED.items()),
            "\nThe diagnostic payload of a refusal says what is wrong and where.\n\n",
            VERSIONS,
            *(version_row(version) for version in BINDINGS),
            "\nOther enabler versions are answered with 4.12.\n\n",
            FORMATS,
            *(format_row(known) for known in ContentFormat),
            formats_foot(),
            OPTIONS,
            *option_rows(),
            "\n",
            LIMITS,
            *(f"| {what} | {limit} |\n" for what, limit in limits(defaults)),
            "\n",
            TRANSPORTS.format(**shown, bootstrap=listeners(defaults.bootstrap.coap)),
        )
    )


ANSWERS: dict[str, Sequence[Case]] = {
    "`POST /rd`: Register": REGISTER,
    "`POST /rd/<id>`: Update; `DELETE /rd/<id>`: De-register": UPDATE,
    "`POST /dp`: Send": SEND,
    "`/bs` and `/bspack`": BOOTSTRAP,
    "Everywhere": ANYWHERE,
}


def answers(title: str, cases: Iterable[Case]) -> str:
    """A table of codes and causes, each once."""
    rows = dict.fromkeys(f"| {dotted(case.code)} | {case.cause} |\n" for case in cases)
    return f"### {title}\n\n| code | cause |\n|---|---|\n{''.join(rows)}\n"


def version_row(version: str) -> str:
    letters = ", ".join(f"`{letter}`" for letter in BINDINGS[version])
    return f"| {version} | {letters} | {QUEUE.get(version, '`Q` parameter')} | {OBJECT_VERSIONS[version]} |\n"


def format_row(known: ContentFormat) -> str:
    sent = "yes" if known in SEND_FORMATS else ""
    asked = ", ".join(
        f"{version} ({order.index(known) + 1}.)" for version, order in PREFERRED.items() if known in order
    )
    return f"| {known.value} | `{known.label}` | {known.since} | {sent} | {asked} |\n"


def formats_foot() -> str:
    old = ", ".join(f"{number} (`{known.label}`)" for number, known in PRE_IANA.items())
    return f"\nOld numbers are understood, too: {old}.\n\n"


def option_rows() -> Iterable[str]:
    named = {value: name for name, value in vars(options).items() if name in MEANINGS}
    for number, name in sorted(named.items()):
        shown = "-".join(word.capitalize() for word in name.split("_"))
        yield f"| {number} | {shown} | {MEANINGS[name]} |\n"


def limits(defaults: Settings) -> Iterable[tuple[str, str]]:
    kibibytes = blocks.MAX_BODY // 1024
    yield "one request of a device, blocks together", f"{kibibytes} KiB (4.13)"
    yield (
        "requests in blocks under way at once",
        f"{blocks.MAX_BODIES}; the one that waited longest gives way",
    )
    yield (
        "requests in blocks of one device under way at once",
        f"{blocks.MAX_PEER_BODIES}, together as long as one may be",
    )
    yield "all requests in blocks together", f"{blocks.MAX_BYTES // 1024} KiB"
    yield (
        "answers to devices that are given in blocks",
        f"the last {representations.MAX_KEPT:,}, {representations.MAX_BYTES // 1024} KiB",
    )
    yield "pause between two blocks", f"{blocks.EXCHANGE_LIFETIME:g} s"
    yield (
        "blocks of requests to devices",
        f"{1 << transfer.MAX_EXPONENT + 4} bytes, less if the device wishes",
    )
    yield "one answer of a device, blocks together", f"{transfer.MAX_ANSWER // 1024} KiB"
    yield "token", f"{wire.MAX_TOKEN} bytes"
    yield (
        "a repeated message is answered as before",
        f"within {recent.EXCHANGE_LIFETIME:g} s; the last {recent.PER_PEER} Message IDs of {recent.PEERS:,} peers",
    )
    timing = defaults.transmission
    yield "first retransmission", f"after {timing.ack_timeout:g} to {_first(defaults):g} s"
    yield "retransmissions", f"{timing.max_retransmit}"
    yield "a device may take for a separate response, to each block", f"{timing.response_timeout:g} s"
    yield "awake window of queue mode", f"{defaults.devices.awake_window:g} s"
    yield (
        "while more arrives than can be answered",
        "each source gets an equal share; the rest is not looked at",
    )
    yield (
        "TCP connections",
        f"{defaults.tcp.connections:,}, {defaults.tcp.connections_per_address:,} an address",
    )
    yield "a message over TCP", f"{defaults.tcp.message_size // 1024} KiB"
    yield (
        "TCP: until the CSM, until the rest of a message",
        f"{defaults.tcp.csm_timeout:g} s, {defaults.tcp.patience:g} s",
    )


def _first(defaults: Settings) -> float:
    return defaults.transmission.ack_timeout * defaults.transmission.ack_random_factor


def listeners(addresses: Sequence[object]) -> str:
    return ", ".join(f"`{address}`" for address in addresses) or "none"
