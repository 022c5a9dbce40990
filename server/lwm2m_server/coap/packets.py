"""Requests and replies as messages of aiocoap, and back."""

# mypy: allow-untyped-calls

from __future__ import annotations

from typing import Any, TypeAlias

from aiocoap.message import Message
from aiocoap.numbers.codes import Code
from aiocoap.numbers.constants import TransportTuning
from aiocoap.numbers.optionnumbers import OptionNumber
from aiocoap.options import Options

from lwm2m_engine.coap import CoapReply, CoapRequest
from lwm2m_server.coap import wire
from lwm2m_server.coap.options import UINT_LENGTHS, reply_of

Packet: TypeAlias = Any
"""aiocoap's ``Message``, which is not typed."""


def request_packet(request: CoapRequest, remote: object, tuning: TransportTuning | None = None) -> Packet:
    """A request, to be sent to ``remote``."""
    packet = Message(
        code=Code(request.code),
        payload=request.payload,
        transport_tuning=tuning,
        uri_path=request.path,
        uri_query=request.query,
        content_format=request.content_format,
        accept=request.accept,
        observe=request.observe,
    )
    packet.remote = remote
    return packet


def reply_packet(reply: CoapReply, options: tuple[wire.Option, ...] = ()) -> Packet:
    """A response, with ``options`` on top; where it goes follows from the request it is given to."""
    packet = Message(
        code=Code(reply.code),
        payload=reply.payload,
        location_path=reply.location,
        content_format=reply.content_format,
        observe=reply.observe,
    )
    for option, value in options:
        packet.opt.add_option(OptionNumber(option).create_option(decode=value))
    return packet


def arrived(message: wire.Message, remote: object) -> Packet:
    """A message as if aiocoap had received it.

    Only with options of legal length: aiocoap keeps every Content-Format number it ever saw.
    """
    legal = tuple(option for option in message.options if len(option[1]) <= UINT_LENGTHS.get(option[0], 255))
    return Message.decode(wire.encode(message._replace(options=legal)), remote)


def plain(packet: Packet) -> wire.Message:
    """What aiocoap received, with the options as they are on the wire."""
    options: Options = packet.opt
    return wire.Message(
        int(packet.mtype) if packet.mtype is not None else wire.CON,
        int(packet.code),
        packet.mid or 0,
        packet.token,
        tuple((int(option.number), option.encode()) for option in options.option_list()),
        packet.payload,
    )


def reply_from(packet: Packet) -> CoapReply:
    """A response; raises ``RequestError`` for one that must be rejected."""
    return reply_of(plain(packet))
