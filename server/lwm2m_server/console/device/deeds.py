"""What is done with a device from its pages, and what came of it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_engine.errors import PathError
from lwm2m_engine.paths import ROOT, Path
from lwm2m_server.console.backend import Refusal, segment
from lwm2m_server.console.device.calls import TYPED, Deed, call_of, deed_of
from lwm2m_server.console.device.fields import Unfit
from lwm2m_server.console.device.frame import device_of, device_page, path_of, tree_for
from lwm2m_server.console.device.outcomes import Outcome, outcome, refused
from lwm2m_server.console.device.tabs import address
from lwm2m_server.console.device.tree import Instance, Object, Resource, Tree
from lwm2m_server.console.device.uploads import with_files
from lwm2m_server.console.device.values import id_of
from lwm2m_server.console.forms import Form, form_of
from lwm2m_server.console.pages import is_htmx, part, see_other
from lwm2m_server.console.viewer import viewer_of

MOST_CELLS: Final = 300
OBSERVES: Final = frozenset(("Observe", "ObserveCancel", "ObserveComposite", "ObserveCompositeCancel"))


class DeedPages:
    """Buttons and forms; each answers with an ``Outcome`` beside the button, or on a page of its own."""

    def routes(self) -> list[Route]:
        """Below ``/console``."""
        device = "/devices/{name}"
        return [
            Route(f"{device}/do", self.do, methods=["POST"]),
            Route(f"{device}/check", self.check, methods=["POST"]),
            Route(f"{device}/rpc/{{id}}", self.show, methods=["GET"]),
            Route(f"{device}/rpc/{{id}}/cancel", self.cancel, methods=["POST"]),
        ]

    async def do(self, request: Request) -> Response:
        """Ask the device what the button ``do`` says, with what the form has."""
        form = await form_of(request)
        text = form.text("do")
        try:
            deed = deed_of(text)
            call = await self._call(request, deed, form)
            rpc = await viewer_of(request).api.send("POST", path_of(request, "/rpc"), call)
        except Unfit as error:
            method, _, place = text.partition(" ")
            return await self._told(request, Outcome(method[:40], place[:40], "REFUSED", error=str(error)))
        except Refusal as error:
            return await self._told(request, refused(deed.method, str(deed.path), error))
        return await self._told(request, outcome(rpc))

    async def check(self, request: Request) -> Response:
        """Whether the device could be asked this; nothing is sent."""
        form = await form_of(request)
        error, notes = "", ()
        try:
            call = await self._call(request, deed_of(form.text("check")), form)
            found = await viewer_of(request).api.send("POST", path_of(request, "/rpc/check"), call)
            notes = found["notes"]
        except (Unfit, Refusal) as reason:
            error = str(reason)
        return await part(request, "device/checked.html", error=error, notes=notes)

    async def _call(self, request: Request, deed: Deed, form: Form) -> dict[str, Any]:
        """Raises ``Unfit``, ``Refusal``."""
        tree = Tree(())
        if deed.method in TYPED:
            tree = await tree_for(request, await device_of(request), deed.path.object)
        return call_of(deed, await with_files(form), tree)

    async def show(self, request: Request) -> Response:
        """What became of an RPC until now."""
        rpc = await viewer_of(request).api.get(_rpc(request))
        return await self._told(request, outcome(rpc))

    async def cancel(self, request: Request) -> Response:
        """Take back what still waits."""
        await form_of(request)
        api = viewer_of(request).api
        rpc = await api.get(_rpc(request))
        if outcome(rpc).waits:
            rpc = await api.send("DELETE", _rpc(request))
        return await self._told(request, outcome(rpc))

    async def _told(self, request: Request, came: Outcome) -> Response:
        name = request.path_params["name"]
        base = address(name)
        if is_htmx(request):
            changed = await self._changed(request, came)
            return await part(request, "device/outcome.html", came=came, base=base, **changed)
        if came.rpc is not None and request.method == "POST":
            return see_other(request, f"{base}/rpc/{came.rpc}")
        status = HTTPStatus.BAD_REQUEST if came.rpc is None else HTTPStatus.OK
        return await device_page(request, "device/answer.html", "Objects", status=status, came=came)

    async def _changed(self, request: Request, came: Outcome) -> dict[str, Any]:
        """The cells and marks of the page that look different now, and the device: something may wait."""
        device = await device_of(request)
        if came.waits or came.rpc is None or not (came.readings or came.method in OBSERVES):
            return {"device": device}
        place = _path(came.place)
        tree = await tree_for(request, device, place.object)
        read = {id_of("/".join(one.path.split("/")[:4])) for one in came.readings}
        cells = [one for one in tree.resources() if one.id in read]
        marks = _below(place, tree) if came.method in OBSERVES else ()
        return {"cells": cells[:MOST_CELLS], "marks": marks, "device": device}


def _rpc(request: Request) -> str:
    return f"/rpc/{segment(request.path_params['id'])}"


def _path(text: str) -> Path:
    """Of an answer; the root if it is none of the device's own."""
    try:
        return Path(text)
    except PathError:
        return ROOT


def _below(path: Path, tree: Tree) -> tuple[Object | Instance | Resource, ...]:
    """Whatever lies at the place and below it: its mark shows whether it is observed."""
    places: list[Object | Instance | Resource] = [*tree.objects, *tree.resources()]
    places += [one for object in tree.objects for one in object.instances]
    return tuple(one for one in places if one.path.startswith(path))[:MOST_CELLS]
