"""From a wish to change a managed resource to requests: the rules, backwards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import attrs

from lwm2m_engine.coap import Code
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import RequestError, ValueRejected
from lwm2m_engine.mapping.compiled import CompiledAction, CompiledRule
from lwm2m_engine.mapping.managed import ManagedCommand
from lwm2m_engine.mapping.table import MappingTable
from lwm2m_engine.messages.requests import Execute, Observe, Request, Write
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_engine.values import coerce, show


@attrs.frozen(slots=True)
class Order:
    """A request that a command becomes; ``deferred`` if it is sent when its action says that it may be."""

    request: Request
    deferred: bool = False


def orders(table: MappingTable, command: ManagedCommand, models: ModelView) -> tuple[Order, ...]:
    """What to ask of the device, in order: values are written before anything is executed.

    Raises ``RequestError``: 4.05 for an attribute that cannot be written, 4.00 for a value that does not
    fit, or for two things to be done at once.
    """
    own = table.own(command.name)
    entries: list[Entry] = []
    actions: list[CompiledAction] = []
    for attribute, value in command.changes.items():
        one = own.get(attribute)
        if isinstance(one, CompiledAction):
            if not isinstance(value, bool):
                raise _bad(f"{attribute} must be true or false, not {show(value)}")
            actions += [one] if value else []
        else:
            entries += _written(attribute, value, one, command, models)
    if len(actions) > 1:
        raise _bad(f"only one of {' and '.join(action.target for action in actions)} can be true at once")
    return (*map(Order, _writes(entries)), *(order for action in actions for order in _executed(action)))


def _written(
    attribute: str, value: object, rule: CompiledRule | None, command: ManagedCommand, models: ModelView
) -> Iterator[Entry]:
    if rule is None or rule.rule.write is False:
        told = " and ".join(map(str, rule.paths)) if rule is not None else ""
        source = f": it is what the device tells in {told}" if told else ""
        reason = f"{attribute} of {command.name} cannot be written{source}"
        raise RequestError(Code.METHOD_NOT_ALLOWED, reason)
    try:
        found = rule.rule.write(value) if callable(rule.rule.write) else value
        values = found if isinstance(found, tuple) and len(rule.paths) > 1 else (found,)
        for path, one in zip(rule.paths, values, strict=True):
            yield Entry(path, coerce(one, models.types(path)))
    except ValueRejected as error:
        raise _bad(f"{attribute}: {error.reason}") from error
    except (ValueError, TypeError, ArithmeticError, LookupError) as error:
        raise _bad(f"{attribute}: {show(value)} cannot be written: {error}") from error
    except Exception as error:
        # A plugin's code may raise anything.
        reason = f"plugin {rule.plugin}: {rule.name}: rule {rule.rule}: write raised {type(error).__name__}"
        raise RequestError(Code.INTERNAL_SERVER_ERROR, reason) from error


def _writes(entries: list[Entry]) -> Iterator[Request]:
    """One request an Object Instance: of several values a partial update."""
    by_instance: dict[Path, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_instance[Path(entry.path[:2])].append(entry)
    for instance, own in by_instance.items():
        if len(own) == 1:
            yield Write(own[0].path, tuple(own))
        else:
            yield Write(instance, tuple(own), replace=False)


def _executed(action: CompiledAction) -> Iterator[Order]:
    for path in action.paths:
        yield Order(Observe(path))
    yield Order(Execute(action.path, action.action.arguments), deferred=action.action.when is not None)


def _bad(reason: str) -> RequestError:
    return RequestError(Code.BAD_REQUEST, reason)
