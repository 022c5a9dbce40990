"""Secrets in configurations: written, never shown.

What is shown has ``***`` in their place, and where ``***`` is written, what was there stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from lwm2m_engine.bootstrap.config import APN, OSCORE, SECURITY
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path

HIDDEN: Final = "***"
SECRETS = frozenset({(SECURITY, 5), (SECURITY, 8), (OSCORE, 0), (APN, 6)})
"""Object and Resource of what only the client and whom it speaks to may know."""


class Place(NamedTuple):
    """Where a secret is."""

    path: str
    """However it is written: ``05``, ``5`` and ``secret_key`` are one."""
    written: tuple[str, ...]
    """As the configuration has it."""


def is_secret(path: Path) -> bool:
    """True for a value that leaves the server towards the client only."""
    return len(path) > 2 and (path[0], path[2]) in SECRETS


def hidden(document: Mapping[str, Any], models: ModelView) -> dict[str, Any]:
    """A configuration as it may be shown."""
    return with_secrets(document, models, lambda place, value: value if is_reference(value) else HIDDEN)


def restored(document: Mapping[str, Any], known: Mapping[str, Any], models: ModelView) -> dict[str, Any]:
    """With what is ``known`` where it says ``***``; one that is not known stays as it is written."""
    secrets: dict[str | tuple[str, ...], Any] = {}

    def remember(place: Place, value: Any) -> Any:
        secrets[place.written] = secrets[place.path] = value
        return value

    def recall(place: Place, value: Any) -> Any:
        if value != HIDDEN:
            return value
        return secrets.get(place.written, secrets.get(place.path, value))

    with_secrets(known, models, remember)
    return with_secrets(document, models, recall)


def exposed(document: Mapping[str, Any], models: ModelView) -> Iterator[str]:
    """Members of ``write`` that have a key where it would be shown."""
    rest = with_secrets(document, models, lambda place, value: None)["write"]
    return (member for member, body in rest.items() if _has_reference(body))


def is_reference(value: Any) -> bool:
    """The name of a key, which is no secret."""
    return isinstance(value, Mapping) and set(value) == {"key"}


def _has_reference(value: Any) -> bool:
    members = value.values() if isinstance(value, Mapping) else ()
    return is_reference(value) or any(_has_reference(member) for member in members)


def with_secrets(
    document: Mapping[str, Any], models: ModelView, change: Callable[[Place, Any], Any]
) -> dict[str, Any]:
    """A copy in which each secret is what ``change`` makes of it."""
    members = document.get("write")
    if not isinstance(members, Mapping):
        return dict(document)
    changed = {key: _changed(place_of(key), body, models, change) for key, body in members.items()}
    return {**document, "write": changed}


def place_of(member: str) -> tuple[str, ...]:
    """The path that a member of ``write`` has for its name, as it is written."""
    return tuple(member.strip("/").split("/"))


def _changed(
    place: tuple[str, ...], body: Any, models: ModelView, change: Callable[[Place, Any], Any]
) -> Any:
    """``place`` has ids, or for a Resource its name."""
    if len(place) > 2:
        path = _secret(place, models)
        return change(Place(path, place), body) if path is not None else body
    if not isinstance(body, Mapping):
        return body
    return {key: _changed((*place, key), member, models, change) for key, member in body.items()}


def _secret(place: tuple[str, ...], models: ModelView) -> str | None:
    """Where a secret is, however that is written (``05`` is 5); ``None`` for what is none."""
    object_id, instance, resource = (_id(text) for text in place[:3])
    for secret in SECRETS:
        spec = models.object(secret[0])
        known = spec.resources.get(secret[1]) if spec is not None else None
        names = (secret[1], known.attribute if known is not None else None)
        if object_id == secret[0] and resource in names:
            return f"{object_id}/{instance}/{secret[1]}"
    return None


def _id(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else text
