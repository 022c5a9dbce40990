"""Requests to a device, what it says when it registers, and how people write the former.

Classes of requests, ``Register`` and ``Update``; ``parse("GET /3")`` and ``parse_json``; ``validate``, which
says before sending what a device will refuse.
"""

from lwm2m_engine.messages.requests import (
    VIRTUAL_OBSERVE_NOTIFY,
    Attributes,
    Cancel,
    CancelComposite,
    CancelLinks,
    Create,
    Delete,
    Discover,
    Execute,
    Observe,
    ObserveComposite,
    ObserveLinks,
    Read,
    ReadAll,
    ReadComposite,
    Request,
    Series,
    Single,
    Write,
    WriteAttributes,
    WriteComposite,
    WriteObject,
)
from lwm2m_engine.messages.text import parse, parse_json
from lwm2m_engine.messages.uplink import Register, Update
from lwm2m_engine.messages.validation import validate

__all__ = [
    "VIRTUAL_OBSERVE_NOTIFY",
    "Attributes",
    "Cancel",
    "CancelComposite",
    "CancelLinks",
    "Create",
    "Delete",
    "Discover",
    "Execute",
    "Observe",
    "ObserveComposite",
    "ObserveLinks",
    "Read",
    "ReadAll",
    "ReadComposite",
    "Register",
    "Request",
    "Series",
    "Single",
    "Update",
    "Write",
    "WriteAttributes",
    "WriteComposite",
    "WriteObject",
    "parse",
    "parse_json",
    "validate",
]
