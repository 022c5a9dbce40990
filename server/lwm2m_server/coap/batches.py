"""Many datagrams in one system call: Linux' recvmmsg and sendmmsg, through ctypes.

A system call costs more than everything CoAP does with a short message, and most of it is the way into
the kernel and back. Where the calls are missing, ``Batches.available`` is false.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from typing import Protocol

MOST = 64
"""Datagrams in one call."""
LARGEST = 65535
"""Bytes of a datagram received. Memory is taken only for what arrives."""
LARGEST_SENT = 2048
"""Bytes of a datagram sent this way; CoAP's are smaller (RFC 7252, 4.6)."""
NAME = 28
"""Bytes of the longest address, ``struct sockaddr_in6``."""
CONTROL = 64
"""Bytes for ancillary data: one ``IPV6_PKTINFO`` takes 40."""
DONTWAIT = 0x40


class Destination(Protocol):
    """An address and ancillary data in the kernel's own form."""

    @property
    def name(self) -> bytes: ...
    @property
    def control(self) -> bytes: ...


class _Header(ctypes.Structure):
    """``struct mmsghdr`` of 64-bit Linux: a ``struct msghdr``, padded, and a length."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("parts", ctypes.c_void_p),
        ("part_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("padding", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
        ("more_padding", ctypes.c_uint32),
    )


class _Part(ctypes.Structure):
    """``struct iovec``."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


# Where a field is, counted in 4 and in 8 bytes: faster than asking ctypes for each.
_WORDS, _NAME_LENGTH, _LENGTH = 16, 2, 14
_QUADS, _CONTROL_LENGTH = 8, 5


class _Slots:
    """The arrays one of the calls works on, all connected."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.data, self.names = bytearray(MOST * size), bytearray(MOST * NAME)
        self.controls = bytearray(MOST * CONTROL)
        self._parts, self.headers = (_Part * MOST)(), (_Header * MOST)()
        bases = [_address(array) for array in (self.data, self.names, self.controls)]
        for index, (part, header) in enumerate(zip(self._parts, self.headers, strict=True)):
            part.base, part.length = bases[0] + index * size, size
            header.name, header.name_length = bases[1] + index * NAME, NAME
            header.control, header.control_length = bases[2] + index * CONTROL, CONTROL
            header.parts, header.part_count = ctypes.addressof(part), 1
        self.words = memoryview(self.headers).cast("B").cast("I")
        self.quads = memoryview(self.headers).cast("B").cast("Q")
        self.lengths = memoryview(self._parts).cast("B").cast("Q")


class Batches:
    """Receives and sends on one non-blocking socket."""

    @staticmethod
    def available() -> bool:
        """Whether this system has both calls, in the form this module knows."""
        return sys.platform == "linux" and ctypes.sizeof(ctypes.c_size_t) == 8 and _LIBC is not None

    def __init__(self, descriptor: int) -> None:
        assert _LIBC is not None
        self._descriptor = descriptor
        self._receive, self._send = _LIBC.recvmmsg, _LIBC.sendmmsg
        self._in, self._out = _Slots(LARGEST), _Slots(LARGEST_SENT)
        self._arriving, self._leaving = ctypes.byref(self._in.headers), ctypes.byref(self._out.headers)
        # The kernel writes the lengths it used over those it may use.
        self._fresh = bytes(self._in.headers)
        self._headers = memoryview(self._in.headers).cast("B")
        self._data, self._names = memoryview(self._in.data), memoryview(self._in.names)
        self._controls = memoryview(self._in.controls)

    def receive(self) -> list[tuple[bytes, bytes]]:
        """What has arrived, at most ``MOST``: bytes, and address with ancillary data as the kernel has them.

        Raises ``OSError``: ``BlockingIOError`` when nothing is there, else an error the socket has noted.
        """
        self._headers[:] = self._fresh
        count = self._receive(self._descriptor, self._arriving, MOST, DONTWAIT, None)
        if count < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        words, quads, data, names = self._in.words, self._in.quads, self._data, self._names
        arrived = []
        for index in range(count):
            start, name, word = index * LARGEST, index * NAME, index * _WORDS
            key = bytes(names[name : name + words[word + _NAME_LENGTH]])
            control = quads[index * _QUADS + _CONTROL_LENGTH]
            if control:
                key += self._controls[index * CONTROL : index * CONTROL + control]
            arrived.append((bytes(data[start : start + words[word + _LENGTH]]), key))
        return arrived

    def send(self, datagrams: Sequence[tuple[bytes, Destination]]) -> int:
        """Hand over the first ``MOST``; how many the kernel took, at least one.

        Raises ``OSError`` if not even the first could be sent, or for an error the socket has noted.
        """
        out = self._out
        words, quads, lengths = out.words, out.quads, out.lengths
        data, names, controls, size = out.data, out.names, out.controls, out.size
        count = 0
        for payload, to in datagrams[:MOST]:
            length, name, control = len(payload), to.name, to.control
            data[count * size : count * size + length] = payload
            names[count * NAME : count * NAME + len(name)] = name
            words[count * _WORDS + _NAME_LENGTH] = len(name)
            lengths[count * 2 + 1] = length
            quads[count * _QUADS + _CONTROL_LENGTH] = len(control)
            if control:
                controls[count * CONTROL : count * CONTROL + len(control)] = control
            count += 1
        sent: int = self._send(self._descriptor, self._leaving, count, DONTWAIT)
        if sent < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return sent


def _address(array: bytearray) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(array))


def _library() -> ctypes.PyDLL | None:
    # The calls never wait, so they need not let other threads run meanwhile.
    try:
        library = ctypes.PyDLL(None, use_errno=True)
        receive, send = library.recvmmsg, library.sendmmsg
    except (OSError, AttributeError, TypeError):
        return None
    pointer = ctypes.c_void_p
    receive.argtypes = (ctypes.c_int, pointer, ctypes.c_uint, ctypes.c_int, pointer)
    send.argtypes = (ctypes.c_int, pointer, ctypes.c_uint, ctypes.c_int)
    return library


_LIBC = _library()
