"""What a device means by 4.01: its Access Control Object (2) says who may do what (LwM2M Core 1.2, 8)."""

from __future__ import annotations

from typing import Final

from lwm2m_engine.paths import Path

# Resource /2/x/2, ACL: the bits of each Short Server ID.
_READ, _WRITE, _EXECUTE, _DELETE, _CREATE = (
    ("R", 1),
    ("W", 2),
    ("E", 4),
    ("D", 8),
    ("C", 16),
)
_NEEDED: Final = {
    "read": _READ,
    "observe": _READ,
    "write-attributes": _READ,
    "read-composite": _READ,
    "observe-composite": _READ,
    "write": _WRITE,
    "write-composite": _WRITE,
    "execute": _EXECUTE,
    "delete": _DELETE,
    "create": _CREATE,
}


def explain(operation: str, path: Path) -> str:
    """A sentence for who asked for it."""
    right = _NEEDED.get(operation)
    needed = f"the right {right[0]} (bit {right[1]} of /2/x/2)" if right is not None else "a right"
    instance = f"/{path[0]}" if len(path) else "what was asked for"
    if len(path) > 1 and operation != "create":
        instance += f"/{path[1]}"
    return (
        f"the device does not allow it: in its Access Control Object (/2) this server has not {needed} on "
        f"{instance}; the server that owns the instance (/2/x/3) can give it"
    )
