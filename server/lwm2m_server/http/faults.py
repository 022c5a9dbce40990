"""``/api/v1/problems``: what could not be decoded, mapped or done, in one place and the newest first."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.access.callers import OPEN, Role
from lwm2m_server.http.answers import json_answer, stored
from lwm2m_server.http.describing import (
    COUNT,
    LATEST,
    LIMIT,
    PLACE,
    STRING,
    TENANT,
    TIME,
    Parameter,
    any_of,
    array,
    described,
    enum,
    obj,
    ref,
)
from lwm2m_server.http.devices import number_of
from lwm2m_server.http.problems import Problem as Refusal
from lwm2m_server.http.rights import caller_of, tenant_of
from lwm2m_server.problems.book import Problems
from lwm2m_server.problems.kinds import KINDS, advice
from lwm2m_server.store.problems import KeptProblem, ProblemFilter
from lwm2m_server.store.protocols import Ledger

USUAL: Final = 100
MOST: Final = 1_000
_ONE: Final = "/problems/{id}"
_MOMENT: Final = {**COUNT, "maximum": LATEST}
_FILTERS: Final = (
    TENANT,
    Parameter("kind", array(enum(*KINDS)), "only of these kinds"),
    Parameter("device", STRING, "only about this device, by name or endpoint name"),
    Parameter("since", _MOMENT, "only what has happened then or later; milliseconds since 1970-01-01 UTC"),
    Parameter("q", STRING, "only where this text occurs, in any case of its letters"),
)


class FaultApi:
    """Of one tenant at a time. Admins also see what belongs to no tenant; the role ``system`` sees nothing
    else."""

    def __init__(self, problems: Problems, ledger: Ledger, default: str) -> None:
        self._problems, self._ledger, self._default = problems, ledger, default

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [
            Route("/problems", self.list_all, methods=["GET"]),
            Route("/problems/count", self.count, methods=["GET"]),
            Route(_ONE, self.show, methods=["GET"]),
            Route(_ONE, self.dismiss, methods=["DELETE"]),
        ]

    @described(
        "What could not be decoded, mapped or done, the newest first; equal ones once",
        query=(*_FILTERS, LIMIT, Parameter("after", PLACE, "the `next` of the answer before")),
        answers={200: obj("problems", problems=array(ref("FoundProblem")), next=COUNT)},
        problems=(400,),
    )
    async def list_all(self, request: Request) -> Response:
        """A problem that happens once more comes to the front."""
        wanted = self._wanted(request)
        limit = max(1, min(number_of(request, "limit", USUAL), MOST))
        after = number_of(request, "after", 0)
        await self._problems.flush()
        found = await self._ledger.apart(lambda reader: reader.problems(wanted, limit=limit + 1, after=after))
        document: dict[str, Any] = {"problems": [_shown(one) for one in found[:limit]]}
        if len(found) > limit:
            document["next"] = found[limit - 1].place
        return json_answer(document)

    @described(
        "How many problems there are",
        query=_FILTERS,
        answers={200: obj("*", count=COUNT, newest=TIME, kinds=any_of(COUNT))},
        problems=(400,),
    )
    async def count(self, request: Request) -> Response:
        """``newest`` is when the last of them happened, 0 if there are none."""
        wanted = self._wanted(request)
        found = await self._ledger.apart(lambda reader: reader.count_problems(wanted))
        counts = {kind: count for kind, (count, _) in found.items()}
        newest = max((newest for _, newest in found.values()), default=0)
        return json_answer({"count": sum(counts.values()), "newest": newest, "kinds": counts})

    @described("A problem", query=(TENANT,), answers={200: ref("FoundProblem")})
    async def show(self, request: Request) -> Response:
        return json_answer(_shown(self._find(request)))

    @described(
        "Dismiss a problem; if it happens again, it is there again",
        query=(TENANT,),
        answers={204: None},
        problems=(503,),
    )
    async def dismiss(self, request: Request) -> Response:
        id = self._find(request).id
        with stored():
            await self._ledger.commit(lambda write: write.remove_problem(id))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _wanted(self, request: Request) -> ProblemFilter:
        """Raises ``Problem``."""
        query = request.query_params
        kinds = query.getlist("kind")
        for kind in kinds:
            if kind not in KINDS:
                raise Refusal(HTTPStatus.BAD_REQUEST, f"kind={kind[:40]} is none of {', '.join(KINDS)}")
        return ProblemFilter(
            self._tenants(request),
            tuple(kinds),
            query.get("device", ""),
            _moment(request.query_params.get("since", "0")),
            query.get("q", ""),
        )

    def _tenants(self, request: Request) -> tuple[str, ...]:
        """Those whose problems the caller may see, all if empty; the one without a name has what is no
        tenant's. Raises ``Problem``."""
        caller = caller_of(request)
        if caller is OPEN and "tenant" not in request.query_params:
            return ()
        if caller.role is Role.SYSTEM:
            return ("",)
        tenant = tenant_of(request, self._default)
        return (tenant, "") if caller.may(Role.ADMIN, tenant) else (tenant,)

    def _find(self, request: Request) -> KeptProblem:
        """Raises ``Problem``."""
        tenants, text = self._tenants(request), request.path_params["id"]
        known = text.isascii() and text.isdigit() and len(text) <= 15
        found = self._ledger.reader.problem(int(text)) if known else None
        if found is None or (tenants and found.problem.tenant not in tenants):
            raise Refusal(HTTPStatus.NOT_FOUND, f"there is no problem {text[:40]!r}")
        return found


def _moment(text: str) -> int:
    """Raises ``Problem``."""
    if text.isascii() and text.isdigit() and len(text) <= 15 and int(text) <= LATEST:
        return int(text)
    raise Refusal(HTTPStatus.BAD_REQUEST, f"since={text[:40]} is no time in milliseconds since 1970")


def _shown(kept: KeptProblem) -> dict[str, Any]:
    one = kept.problem
    return {
        "id": kept.id,
        "kind": one.kind,
        "text": one.text,
        "tenant": one.tenant or None,
        "device": (one.device or None) if one.node else None,
        "count": one.count,
        "firstAt": one.first,
        "lastAt": one.last,
        "advice": advice(one.kind, one.facts),
        "facts": dict(one.facts),
    }
