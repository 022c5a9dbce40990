"""``/api/v1/models``: Object models, those that came with the server and those that were uploaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_engine.model.versions import version_key
from lwm2m_server.access.callers import Role
from lwm2m_server.http.answers import json_answer
from lwm2m_server.http.describing import (
    BINARY,
    MULTIPART,
    PLACE,
    STRING,
    TENANT,
    Parameter,
    described,
    enum,
    nullable,
    obj,
    ref,
)
from lwm2m_server.http.devices import number_of
from lwm2m_server.http.files import read_files
from lwm2m_server.http.model_views import (
    details,
    file_name,
    in_use,
    nothing_kept,
    report_of,
    summary,
    user,
)
from lwm2m_server.http.paging import PAGED, Page, pages_of
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.rights import caller_of, need_system, tenant_of
from lwm2m_server.library.archives import BadUpload, File, label
from lwm2m_server.library.library import SYSTEM, InUse, Library, MappingsRefuse, Placed, Report
from lwm2m_server.library.library import TENANT as OWN
from lwm2m_server.library.models import BUNDLED, FOLDER
from lwm2m_server.library.usage import Key, Users
from lwm2m_server.settings import ModelSettings
from lwm2m_server.store.errors import CommitFailed, Gone
from lwm2m_server.store.protocols import Inventory

MAX_ROWS: Final = 1000
LEVELS: Final = (BUNDLED, FOLDER, SYSTEM, OWN)
XML: Final = ("application/xml", "text/xml")
ARCHIVES: Final = ("application/zip", "application/gzip", "application/octet-stream")

_LEVEL: Final = Parameter("level", enum(*LEVELS), "only of this level")
_OWN: Final = Parameter("level", enum(SYSTEM, OWN), "`system` for every tenant, which takes the role system")
_FILE_NAME: Final = Parameter("fileName", STRING, "name of the file, where the body is the file itself")
_YES_NO: Final = enum("true", "false")
_USAGE: Final = Parameter("usage", _YES_NO, "`false` leaves out who uses it, which takes longest to find out")
_ONE: Final = "/models/{object}/{version}"


class ModelApi:
    """A tenant sees all that is in force for it, and changes its own."""

    def __init__(self, library: Library, inventory: Inventory, limits: ModelSettings, default: str) -> None:
        self._library, self._inventory = library, inventory
        self._limits, self._default = limits, default

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [
            Route("/models", self.list_all, methods=["GET"]),
            Route("/models", self.upload, methods=["POST"]),
            Route(_ONE, self.show, methods=["GET"]),
            Route(_ONE, self.put, methods=["PUT"]),
            Route(_ONE, self.remove, methods=["DELETE"]),
            Route(f"{_ONE}/file", self.download, methods=["GET"]),
        ]

    # --- looking -------------------------------------------------------------------------------------

    @described(
        "Object models of all levels",
        query=(
            TENANT,
            *PAGED,
            Parameter("object", PLACE, "only versions of this Object"),
            Parameter("name", STRING, "only those whose name has this in it"),
            Parameter("q", STRING, "an Object ID, or a part of the name, the URN or the name of the file"),
            _LEVEL,
            _USAGE,
        ),
        answers={200: pages_of("models", ref("Model"), tenant=nullable(STRING))},
        problems=(400,),
    )
    async def list_all(self, request: Request) -> Response:
        """By Object, version and level; of the same version the last one is in force."""
        tenant = self._viewer(request)
        page = Page.asked(request)
        found = sorted(filter(_wanted(request), self._library.all(tenant)), key=_place)
        counts = await self._library.counts(tenant) if _flag(request, "usage", "true") else None
        rows = [summary(one, counts) for one in page.of(found)]
        return json_answer(page.document("models", rows, len(found), tenant=tenant))

    @described(
        "An Object model, its Resources, and who uses it",
        query=(TENANT, _LEVEL, _USAGE),
        answers={200: ref("ModelDetails")},
        problems=(400,),
    )
    async def show(self, request: Request) -> Response:
        """``keyName`` is what a profile calls a Resource that can be read, unless it says something else."""
        tenant = self._viewer(request)
        one = self._find(request, tenant)
        if not _flag(request, "usage", "true"):
            return json_answer(details(one, None))
        users = self._shown(request, await self._library.users(tenant, one))
        return json_answer(details(one, await self._library.counts(tenant)) | {"users": users})

    @described(
        "The XML of an Object model, as it was uploaded",
        query=(TENANT, _LEVEL),
        answers={200: BINARY},
        media_type=XML[0],
        problems=(400,),
    )
    async def download(self, request: Request) -> Response:
        one = self._find(request, self._viewer(request))
        try:
            data = await self._library.xml(one)
        except OSError as error:
            raise Problem(
                HTTPStatus.NOT_FOUND, f"its file cannot be read: {error.strerror or error}"
            ) from error
        name = "".join(letter if _is_plain(letter) else "_" for letter in file_name(one))
        headers = {"cache-control": "no-store", "content-disposition": f'attachment; filename="{name}"'}
        return Response(data, HTTPStatus.OK, headers, media_type=XML[0])

    # --- changing ------------------------------------------------------------------------------------

    @described(
        "Upload Object models: XML files, or zip and tar.gz archives of them",
        query=(
            TENANT,
            _OWN,
            Parameter("replace", _YES_NO, "in place of what is uploaded for the same version"),
            _FILE_NAME,
        ),
        files=(MULTIPART, *XML, *ARCHIVES),
        answers={status: ref("UploadReport") for status in (201, 200, 207)},
        problems=(409, 503),
    )
    async def upload(self, request: Request) -> Response:
        """201 if there are new ones, 200 if there were others of them before, 207 if some files are refused
        and the others kept. If nothing is kept that is a problem (400) with the same report."""
        owner, replace = self._owner(request), _flag(request, "replace")
        parts = await self._parts(request)
        report = await _upload(self._library, owner, parts, replace=replace)
        outcomes = {file.outcome for file in report.files}
        if not outcomes & {"stored", "replaced", "unchanged"}:
            return nothing_kept(report)
        if "refused" in outcomes:
            return json_answer(report_of(report), HTTPStatus.MULTI_STATUS)
        return json_answer(report_of(report), HTTPStatus.CREATED if "stored" in outcomes else HTTPStatus.OK)

    @described(
        "Put a file in the place of an uploaded Object model, or upload it",
        query=(TENANT, _OWN, _FILE_NAME),
        files=(MULTIPART, *XML),
        answers={200: ref("UploadReport"), 201: ref("UploadReport")},
        problems=(409, 503),
    )
    async def put(self, request: Request) -> Response:
        """The file has to define this version of the Object, and nothing else."""
        owner, key = self._owner(request), _key(request)
        parts = await self._parts(request)
        if len(parts) != 1:
            raise Problem(HTTPStatus.BAD_REQUEST, "one file is due")
        report = await _upload(self._library, owner, parts, replace=True, only=key)
        outcomes = [file.outcome for file in report.files]
        if not {"stored", "replaced", "unchanged"}.issuperset(outcomes):
            return nothing_kept(report)
        return json_answer(report_of(report), HTTPStatus.CREATED if outcomes == ["stored"] else HTTPStatus.OK)

    @described(
        "Take an uploaded Object model away",
        query=(TENANT, _OWN, Parameter("force", _YES_NO, "although it is used")),
        answers={200: obj("*", inForce=nullable(ref("Model")))},
        problems=(400, 409, 503),
    )
    async def remove(self, request: Request) -> Response:
        """409 while somebody would miss it: who, stands in the problem. The answer has the definition of
        another level that is in force for the same version from now on, if there is one."""
        owner, key = self._owner(request), _key(request)
        try:
            below = await self._library.remove(owner, key, force=_flag(request, "force"))
        except Gone as error:
            raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error
        except InUse as error:
            return in_use(error, self._shown(request, error.users))
        except MappingsRefuse as error:
            raise Problem(HTTPStatus.CONFLICT, f"mappings need it: {error}") from error
        except CommitFailed as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"not stored: {error}") from error
        shown = None if below is None else summary(below, await self._library.counts(owner))
        return json_answer({"inForce": shown})

    # --- inner ---------------------------------------------------------------------------------------

    def _viewer(self, request: Request) -> str | None:
        """Whose models; the system sees those of tenants without their own. Raises ``Problem``."""
        if caller_of(request).role is Role.SYSTEM and "tenant" not in request.query_params:
            return None
        return self._tenant(request, Role.READ)

    def _owner(self, request: Request) -> str | None:
        """Whose are to change; ``None`` for every tenant's. Raises ``Problem``."""
        default = SYSTEM if caller_of(request).role is Role.SYSTEM else OWN
        level = request.query_params.get("level", default)
        if level == SYSTEM:
            need_system(request)
            return None
        if level != OWN:
            raise Problem(HTTPStatus.BAD_REQUEST, f"level={level[:40]}: {SYSTEM} or {OWN} is due")
        return self._tenant(request, Role.ADMIN)

    def _tenant(self, request: Request, role: Role) -> str:
        name = tenant_of(request, self._default, role)
        if self._inventory.tenant(name) is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"there is no tenant {name[:80]!r}")
        return name

    def _find(self, request: Request, tenant: str | None) -> Placed:
        """The one in force, or that of the level asked for; raises ``Problem``."""
        key, level = _key(request), _level(request)
        found = [one for one in self._library.all(tenant) if (one.object, one.version) == key]
        if level is not None:
            found = [one for one in found if one.level == level]
        if not found:
            where = f" of the level {level}" if level is not None else ""
            raise Problem(HTTPStatus.NOT_FOUND, f"there is no model {key[0]}/{key[1]}{where}")
        return next((one for one in found if one.in_force), found[-1])

    async def _parts(self, request: Request) -> list[File]:
        limits, given = self._limits, label(request.query_params.get("fileName", "")) or "model.xml"
        types = (*XML, *ARCHIVES)
        found = await read_files(request, size=limits.upload_size, files=limits.upload_files, types=types)
        if not found or not any(data for _, data in found):
            raise Problem(HTTPStatus.BAD_REQUEST, "there is no file in the body")
        return [File(label(name or "") or given, data) for name, data in found]

    def _shown(self, request: Request, users: Sequence[Users]) -> list[dict[str, Any]]:
        caller = caller_of(request)
        return [user(one, names=caller.may(Role.READ, one.tenant)) for one in users]


async def _upload(library: Library, owner: str | None, parts: Sequence[File], **more: Any) -> Report:
    try:
        return await library.upload(owner, parts, **more)
    except BadUpload as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"nothing is stored: {error}") from error
    except MappingsRefuse as error:
        raise Problem(HTTPStatus.CONFLICT, f"nothing is stored: {error}") from error
    except Gone as error:
        raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error
    except CommitFailed as error:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"not stored: {error}") from error


def _wanted(request: Request) -> Callable[[Placed], bool]:
    """What the filters let through; raises ``Problem``."""
    object, level = number_of(request, "object", -1), _level(request)
    part, text = (request.query_params.get(name, "").strip().casefold() for name in ("name", "q"))

    def is_wanted(one: Placed) -> bool:
        name = one.spec.name if one.spec is not None else ""
        if object not in (-1, one.object) or level not in (None, one.level) or part not in name.casefold():
            return False
        return text == str(one.object) if text.isdigit() else text in _searched(one)

    return is_wanted


def _searched(one: Placed) -> str:
    spec = one.spec
    return "\n".join([*([spec.name, spec.urn] if spec is not None else []), file_name(one)]).casefold()


def _place(one: Placed) -> tuple[int, tuple[int, int], int]:
    return one.object, version_key(one.version), LEVELS.index(one.level)


def _level(request: Request) -> str | None:
    level = request.query_params.get("level")
    if level is not None and level not in LEVELS:
        raise Problem(HTTPStatus.BAD_REQUEST, f"level={level[:40]} is none of {', '.join(LEVELS)}")
    return level


def _key(request: Request) -> Key:
    object, version = request.path_params["object"], request.path_params["version"]
    if not (object.isascii() and object.isdigit() and len(object) <= 5):
        raise Problem(HTTPStatus.NOT_FOUND, f"{object[:40]!r} is no Object ID")
    return int(object), version


def _flag(request: Request, name: str, default: str = "false") -> bool:
    text = request.query_params.get(name, default)
    if text not in ("true", "false"):
        raise Problem(HTTPStatus.BAD_REQUEST, f"{name}={text[:40]}: true or false is due")
    return text == "true"


def _is_plain(letter: str) -> bool:
    return letter.isascii() and letter.isprintable() and letter not in '"\\'
