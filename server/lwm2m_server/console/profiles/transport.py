"""The tab 'Transport configuration' of a profile: which Objects, and what is done with their Resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Backend, Refusal, segment
from lwm2m_server.console.forms import Form, form_of
from lwm2m_server.console.pages import is_htmx, page, part, see_other
from lwm2m_server.console.profiles.draft import LISTS, Draft
from lwm2m_server.console.profiles.opening import Opened, frame, opened
from lwm2m_server.console.profiles.places import ANY, Place, instance_of, object_of
from lwm2m_server.console.profiles.rows import Rows, names_of, versions_of
from lwm2m_server.console.profiles.values import ATTRIBUTES, SETTINGS, number

Models: TypeAlias = Sequence[Mapping[str, Any]]
"""All there are, as the API lists them."""
FOUND: Final = 50
"""Objects that the list to choose from shows at once."""
ALL: Final = 1000
OBJECT: Final = "#object"
"""Where the page shows the Object that is edited."""
OPEN: Final = 60
"""So many rows are seen at once; of more, each Object is opened by itself."""


class TransportPages:
    """Read-only, or with ``edit=1`` the draft of the session: one Object Instance of it at a time."""

    def routes(self) -> list[Route]:
        return [
            Route("/profiles/{name}/transport", self.show, methods=["GET"]),
            Route("/profiles/{name}/objects", self.find, methods=["GET"]),
            Route("/profiles/{name}/draft/settings", self.set, methods=["POST"]),
            Route("/profiles/{name}/draft/objects", self.add_object, methods=["POST"]),
            Route("/profiles/{name}/draft/objects/remove", self.remove_object, methods=["POST"]),
            Route("/profiles/{name}/draft/objects/version", self.set_version, methods=["POST"]),
            Route("/profiles/{name}/draft/instances", self.add_instance, methods=["POST"]),
            Route("/profiles/{name}/draft/instances/remove", self.remove_instance, methods=["POST"]),
            Route("/profiles/{name}/draft/resources", self.tick, methods=["POST"]),
            Route("/profiles/{name}/draft/attributes", self.set_attributes, methods=["POST"]),
        ]

    # --- looking -------------------------------------------------------------------------------------

    async def show(self, request: Request) -> Response:
        one = await opened(request)
        draft = one.draft()
        context = await frame(one, draft, "transport")
        models = (await one.viewer.api.get("/models", usage="false", limit=ALL))["models"]
        rows = Rows(draft, context["faults"])
        context |= {"objects": rows.objects(names_of(models)), "settings": SETTINGS}
        if not one.editing:
            context |= await _overview(one.viewer.api, draft, rows, models)
            return await page(request, "profiles/transport.html", **context)
        context |= await _chosen(request, one.viewer.api, draft, rows, models)
        context |= await _picker(request, one.viewer.api)
        return await page(request, "profiles/transport.html", **context)

    async def find(self, request: Request) -> Response:
        """Objects to choose from, while one types."""
        one = await opened(request, to_edit=True)
        context = await _picker(request, one.viewer.api)
        return await part(request, "profiles/picker_list.html", one=one, draft=one.draft(), **context)

    # --- changing ------------------------------------------------------------------------------------

    async def set(self, request: Request) -> Response:
        """Strategies, power saving, updates."""
        form, one = await form_of(request), await opened(request, to_edit=True)
        draft = one.draft()
        for setting in SETTINGS:
            if form.flag(f"has:{setting.name}"):
                holder = draft.configuration[setting.member]
                holder[setting.name] = setting.read(form)
        one.keep(draft)
        return await _changed(request, one, draft)

    async def add_object(self, request: Request) -> Response:
        form, one = await form_of(request), await opened(request, to_edit=True)
        draft, found = one.draft(), object_of(form.text("object"))
        if found is None:
            raise Refusal(400, "choose an Object", {})
        object, version = found
        if object in draft.shown:
            return see_other(
                request, one.at("transport", object=object), f"Object {object} is there already."
            )
        draft.add_object(object, version)
        one.keep(draft)
        return see_other(request, one.at("transport", object=object) + OBJECT)

    async def remove_object(self, request: Request) -> Response:
        form, one = await form_of(request), await opened(request, to_edit=True)
        draft, object = one.draft(), _object(form, one.draft())
        draft.remove_object(object)
        one.keep(draft)
        return see_other(request, one.at("transport"), f"Object {object} is removed from the draft.")

    async def set_version(self, request: Request) -> Response:
        form, one = await form_of(request), await opened(request, to_edit=True)
        draft, object = one.draft(), _object(form, one.draft())
        draft.set_version(object, form.text("version") or None)
        one.keep(draft)
        return see_other(request, one.at("transport", object=object) + OBJECT)

    async def add_instance(self, request: Request) -> Response:
        form, one = await form_of(request), await opened(request, to_edit=True)
        draft, object = one.draft(), _object(form, one.draft())
        instance = instance_of(form.text("instance"))
        if instance is None:
            wrong = form.text("instance")[:20]
            return see_other(request, one.at("transport", object=object, new=wrong or "?") + OBJECT)
        draft.add_instance(object, instance)
        one.keep(draft)
        return see_other(request, one.at("transport", object=object, instance=instance) + OBJECT)

    async def remove_instance(self, request: Request) -> Response:
        form, one = await form_of(request), await opened(request, to_edit=True)
        draft, object = one.draft(), _object(form, one.draft())
        draft.remove_instance(object, form.text("instance"))
        if not draft.shown[object].instances:
            draft.remove_object(object)
        one.keep(draft)
        shown = object if object in draft.shown else None
        return see_other(request, one.at("transport", object=shown) + OBJECT)

    async def tick(self, request: Request) -> Response:
        """One instance's check boxes and key names; ``at`` goes on to the attributes of a path, ``all``
        checks a column or, where all is checked, clears it."""
        form, one = await form_of(request), await opened(request, to_edit=True)
        draft, rows = one.draft(), _places(form.all("row"))
        ticked = {member: _places(form.all(member)) for member in LISTS}
        column = form.text("all")
        if column in LISTS:
            _check_column(column, [row for row in rows if row.resource is not None], ticked)
        draft.tick(rows, ticked)
        names = ((Place.parse(field.removeprefix("key:")), form.text(field)) for field in form.names())
        draft.call({place: name for place, name in names if place is not None and place.resource is not None})
        one.keep(draft)
        if form.text("at"):
            return see_other(request, _where(one, form, at=form.text("at")) + "#attributes")
        return await _changed(request, one, draft, form)

    async def set_attributes(self, request: Request) -> Response:
        """Notification attributes of one path."""
        form, one = await form_of(request), await opened(request, to_edit=True)
        draft, place = one.draft(), Place.parse(form.text("place"))
        if place is None:
            raise Refusal(400, "this is no path", {})
        given = {name: number(form.text(name)) for name, _ in ATTRIBUTES}
        draft.set_attributes(place, {name: value for name, value in given.items() if value is not None})
        one.keep(draft)
        faults, _ = await one.check(draft)
        if faults.at(place):
            return see_other(request, _where(one, form, at=form.text("place")) + "#attributes")
        return see_other(request, f"{_where(one, form)}#{quote(form.text('back'))}")


# --- what is shown ---------------------------------------------------------------------------------


async def _overview(api: Backend, draft: Draft, rows: Rows, models: Models) -> dict[str, Any]:
    """All that the profile says of Resources."""
    found = {
        id: rows.mapped(id, await _model(api, id, one.version, versions_of(models, id)))
        for id, one in draft.shown.items()
    }
    return {"mapped": found, "is_open": sum(map(len, found.values())) <= OPEN}


async def _chosen(request: Request, api: Backend, draft: Draft, rows: Rows, models: Models) -> dict[str, Any]:
    """The Object Instance that is edited, if any."""
    query = request.query_params
    wanted = (id for id in draft.shown if str(id) == query.get("object"))
    object = next(wanted, next(iter(draft.shown), None))
    if object is None:
        return {"chosen": None}
    one = draft.shown[object]
    instance = query.get("instance", "")
    if instance not in one.instances:
        instance = one.instances[0]
    versions = versions_of(models, object)
    model = await _model(api, object, one.version, versions)
    found = rows.of(object, instance, model)
    place = Place.parse(query.get("at", ""))
    return {
        "chosen": object,
        "instance": instance,
        "model": model,
        "versions": versions,
        "rows": found,
        "row_at": next((row for row in found if row.place == place), None) if place is not None else None,
        "attributes": ATTRIBUTES,
        "wrong_instance": query.get("new"),
        "any": ANY,
    }


async def _picker(request: Request, api: Backend) -> dict[str, Any]:
    """Objects by id, or by a part of their name, each with its versions."""
    text = request.query_params.get("find", "").strip()[:100]
    by = {"object": text} if text.isascii() and text.isdigit() and len(text) <= 5 else {"name": text}
    answer = await api.get("/models", **by, usage="false", limit=ALL)
    found: dict[int, dict[str, Any]] = {}
    for one in answer["models"]:
        if one["inForce"] and one["name"]:
            known = found.setdefault(one["objectId"], {"id": one["objectId"], "versions": []})
            known["name"] = one["name"]
            known["versions"].insert(0, one["objectVersion"])
    shown = list(found.values())[:FOUND]
    return {"find": text, "found": shown, "found_more": len(found) - len(shown)}


async def _model(
    api: Backend, object: int, version: str | None, versions: Sequence[str]
) -> Mapping[str, Any] | None:
    """The definition that a profile means; of no version, the newest. ``None`` if there is none."""
    meant = version or next(iter(versions), None)
    if meant not in versions:
        return None
    model: Mapping[str, Any] = await api.get(f"/models/{object}/{segment(meant)}", usage="false")
    return model


# --- what is changed -------------------------------------------------------------------------------


async def _changed(request: Request, one: Opened, draft: Draft, form: Form | None = None) -> Response:
    """A fragment for who has changed a field, else the page again."""
    if not is_htmx(request):
        return see_other(request, one.at("transport") if form is None else _where(one, form) + OBJECT)
    context = await frame(one, draft, "transport")
    faults = context["faults"]
    posted = _places(form.all("row")) if form is not None else []
    context |= {
        "objects": Rows(draft, faults).objects({}),
        "settings": SETTINGS if form is None else (),
        "rows": [(place, faults.at(place)) for place in posted],
    }
    return await part(request, "profiles/changed.html", **context)


def _object_and_instance(form: Form) -> tuple[int, str] | None:
    place = Place.parse(form.text("of"))
    return None if place is None or place.instance is None else (place.object, place.instance)


def _where(one: Opened, form: Form, **more: object) -> str:
    known = _object_and_instance(form)
    if known is None:
        return one.at("transport", **more)
    return one.at("transport", object=known[0], instance=known[1], **more)


def _object(form: Form, draft: Draft) -> int:
    """One of the draft. Raises ``Refusal``."""
    found = object_of(form.text("object"))
    if found is None or found[0] not in draft.shown:
        raise Refusal(404, "the draft has no such Object", {})
    return found[0]


def _places(texts: Sequence[str]) -> list[Place]:
    return [place for place in map(Place.parse, texts) if place is not None]


def _check_column(column: str, rows: Sequence[Place], ticked: dict[str, list[Place]]) -> None:
    """What is observed has to be something as well: where it is nothing yet, telemetry."""
    if set(rows) <= set(ticked[column]):
        ticked[column] = [place for place in ticked[column] if place not in rows]
        return
    ticked[column] = list(dict.fromkeys((*ticked[column], *rows)))
    if column == "observe":
        known = {*ticked["attribute"], *ticked["telemetry"]}
        ticked["telemetry"] = [*ticked["telemetry"], *(row for row in rows if row not in known)]
