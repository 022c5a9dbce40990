"""accessControlPolicies as resources (TS-0004, 7.4.2); what they permit is told in ``onem2m.policies``."""

from __future__ import annotations

from typing import Any, Final

from lwm2m_server.onem2m.behaviours.context import Context
from lwm2m_server.onem2m.behaviours.resources import add, check_place, drafted, update_resource
from lwm2m_server.onem2m.checks import Draft, require
from lwm2m_server.onem2m.errors import BadRequest, NotImplementedYet
from lwm2m_server.onem2m.policies import Policies
from lwm2m_server.onem2m.tree import Target
from lwm2m_server.store.records import Resource, Tenant

_SHORT: Final = {
    "accessControlRules": "acr",
    "accessControlOriginators": "acor",
    "accessControlOperations": "acop",
    "accessControlContexts": "acco",
    "accessControlObjectDetails": "acod",
    "accessControlAttributes": "aca",
    "accessControlAuthenticationFlag": "acaf",
}
_UNSUPPORTED: Final = frozenset({"acco", "acod", "aca", "acaf"})
"""A rule that said less than it means would permit more."""
ALL: Final = 63
"""Every operation."""
MAX_RULES, MAX_ORIGINATORS = 100, 1000
MAX_ORIGINATOR, MAX_WILDCARDS = 255, 3


async def create_policy(context: Context, target: Target, draft: Draft, originator: str) -> Resource:
    """Raises ``BadRequest``, ``NotImplementedYet`` for rules with conditions."""
    check_place(target, draft)
    require(draft)
    _settle(draft)
    return await add(context, target, drafted(context, target, draft, originator))


async def update_policy(context: Context, target: Target, draft: Draft) -> Resource:
    """Raises as ``create_policy``."""
    _settle(draft)
    return await update_resource(context, target, draft)


def check_links(policies: Policies, tenant: Tenant, draft: Draft, *, alone: bool = False) -> None:
    """``acpi`` of any resource names policies that there are; ``alone``, if nothing else may change."""
    links = draft.attributes.get("acpi")
    if "acpi" not in draft.attributes:
        return
    if alone and len(draft.attributes) > 1:
        raise BadRequest("acpi (accessControlPolicyIDs) is changed alone, without other attributes")
    if links is None:
        return
    if not 0 < len(links) <= MAX_RULES:
        raise BadRequest(f"acpi (accessControlPolicyIDs) has 1 to {MAX_RULES} entries")
    for link in links:
        if not policies.linked(tenant, [link]):
            raise BadRequest(f"acpi (accessControlPolicyIDs): {link[:80]!r} is no access control policy")


def _settle(draft: Draft) -> None:
    """``pv`` and ``pvs`` in short names."""
    for name in ("pv", "pvs"):
        if name in draft.attributes:
            draft.attributes[name] = {
                "acr": [_rule(name, one) for one in _rules(name, draft.attributes[name])]
            }
    if draft.attributes.get("pvs") == {"acr": []}:
        raise BadRequest("pvs (selfPrivileges) without a rule would let nobody change the policy")


def _rules(name: str, privileges: dict[str, Any]) -> list[Any]:
    rules = _short(privileges).get("acr")
    if len(privileges) != 1 or not isinstance(rules, list) or len(rules) > MAX_RULES:
        raise BadRequest(f"{name} must be an object with a list acr of at most {MAX_RULES} rules")
    return rules


def _rule(name: str, given: Any) -> dict[str, Any]:
    rule = _short(given) if isinstance(given, dict) else {}
    unsupported = rule.keys() & _UNSUPPORTED
    if unsupported:
        raise NotImplementedYet(f"{name}: {', '.join(sorted(unsupported))} of a rule is not supported")
    originators, operations = rule.get("acor"), rule.get("acop")
    if (
        rule.keys() != {"acor", "acop"}
        or not _are_originators(originators)
        or not _are_operations(operations)
    ):
        raise BadRequest(
            f'{name}: a rule is {{"acor": [AE-IDs, "C…*", "all"], "acop": 1 to {ALL}}}: 1 CREATE, 2 RETRIEVE,'
            " 4 UPDATE, 8 DELETE, 16 NOTIFY, 32 DISCOVERY, added up"
        )
    return rule


def _are_originators(given: Any) -> bool:
    return (
        isinstance(given, list)
        and 0 < len(given) <= MAX_ORIGINATORS
        and all(
            isinstance(one, str) and 0 < len(one) <= MAX_ORIGINATOR and one.count("*") <= MAX_WILDCARDS
            for one in given
        )
    )


def _are_operations(given: Any) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and 0 < given <= ALL


def _short(given: dict[str, Any]) -> dict[str, Any]:
    return {_SHORT.get(name, name): value for name, value in given.items()}
