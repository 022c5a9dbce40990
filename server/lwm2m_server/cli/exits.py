"""What the exit code of a command says. Scripts rely on it."""

from __future__ import annotations

from enum import IntEnum

import click


class Exit(IntEnum):
    """Exit codes; ``meaning`` is for the manual."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Exit:
        member = int.__new__(cls, code)
        member._value_, member.meaning = code, meaning
        return member

    DONE = 0, "done; of a message to a device: it answered 2.xx"
    FAILED = 1, "it could not be done: the device answered 4.xx or 5.xx, the server refused, or none answers"
    MISUSE = 2, "the command line is wrong, what it names (a device) does not exist, or a package is missing"
    UNANSWERED = 3, "the device has not answered: `--wait` is over, or the message expired or was cancelled"


class Misuse(click.ClickException):
    """What the command line asks for cannot be."""

    exit_code = Exit.MISUSE


class Unanswered(click.ClickException):
    """The message is sent or waits, and nobody waits for it any more."""

    exit_code = Exit.UNANSWERED
