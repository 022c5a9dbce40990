"""``/api/v1/packages``: firmware and software that devices can be updated with."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.access.callers import Role
from lwm2m_server.http.answers import json_answer
from lwm2m_server.http.bodies import read_json
from lwm2m_server.http.describing import BINARY, STRING, TENANT, Parameter, array, described, enum, obj, ref
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.rights import tenant_of
from lwm2m_server.http.streams import Stream
from lwm2m_server.store.definitions import Package
from lwm2m_server.store.errors import CommitFailed, Conflict
from lwm2m_server.store.ids import SECOND
from lwm2m_server.store.protocols import Inventory
from lwm2m_server.updates.files import PackageFiles
from lwm2m_server.updates.packages import (
    FITS,
    TYPES,
    Description,
    PackageInUse,
    PackageRefused,
    Packages,
    TooLarge,
)

OCTETS: Final = "application/octet-stream"
JSON: Final = "application/json"
PIECE: Final = 256 * 1024
MAX_SIZE: Final = 1 << 40
_ONE: Final = "/packages/{name}"
_TEXTS: Final = {
    "name": "its name; without it, made of title and version",
    "title": "the name that devices have for it (PkgName); without it, its name",
    "version": "its version",
    "type": "`firmware` or `software`",
    "tag": "whatever else people call it",
    "description": "what it is, for people",
    "fileName": "name of the file",
    "checksum": "its SHA-256, in hexadecimal digits; what comes is compared with it",
}
_REQUIRED: Final = ("version", "type")


def _parameters() -> tuple[Parameter, ...]:
    """Beside the bytes themselves; required of those is in the sentence of the answer."""
    texts = [
        Parameter(name, enum(*TYPES) if name == "type" else STRING, meaning)
        for name, meaning in _TEXTS.items()
    ]
    fits = [Parameter(name, STRING, f"it is only for devices of this {name}") for name in FITS]
    return (TENANT, *texts, *fits)


class PackageApi:
    """Packages belong to a tenant. To bring and to take them away takes the role admin."""

    def __init__(self, packages: Packages, files: PackageFiles, inventory: Inventory, default: str) -> None:
        self._packages, self._files, self._inventory = packages, files, inventory
        self._default = default

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [
            Route("/packages", self.list_all, methods=["GET"]),
            Route("/packages", self.add, methods=["POST"]),
            Route(_ONE, self.show, methods=["GET"]),
            Route(_ONE, self.remove, methods=["DELETE"]),
            Route(f"{_ONE}/file", self.download, methods=["GET"]),
        ]

    @described(
        "Packages of the tenant",
        query=(TENANT, Parameter("type", enum(*TYPES), "only of this type")),
        answers={200: obj("tenant packages", tenant=STRING, packages=array(ref("Package")))},
        problems=(400,),
    )
    async def list_all(self, request: Request) -> Response:
        tenant, type = self._tenant(request), request.query_params.get("type")
        if type not in (None, *TYPES):
            raise Problem(HTTPStatus.BAD_REQUEST, f"type={type[:40]} is none of {', '.join(TYPES)}")
        found = [one for one in self._packages.of(tenant) if type in (None, one.type)]
        return json_answer({"tenant": tenant, "packages": [self._shown(one) for one in found]})

    @described(
        "Bring a package: its bytes, with the rest in the query; or as JSON where it lies",
        query=_parameters(),
        body=ref("PackageElsewhere"),
        files=(OCTETS,),
        answers={201: ref("Package")},
        problems=(400, 409, 413, 415, 503),
    )
    async def add(self, request: Request) -> Response:
        """Bytes go to the disk while they come. 409 if the name, or title and version, are taken."""
        tenant = self._tenant(request, Role.ADMIN)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            if media_type == JSON:
                package = await self._refer(tenant, request)
            elif media_type == OCTETS:
                said = _description(_query(request))
                package = await self._packages.receive(tenant, said, _chunks(request))
            else:
                reason = f"{media_type[:80]!r} is neither {OCTETS} nor {JSON}"
                raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, reason)
        except TooLarge as error:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error)) from error
        except PackageRefused as error:
            raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from error
        except Conflict as error:
            raise Problem(HTTPStatus.CONFLICT, str(error)) from error
        except CommitFailed as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"not stored: {error}") from error
        except OSError as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"not stored: {error.strerror}") from error
        headers = {"location": f"/api/v1/packages/{package.name}"}
        return json_answer(self._shown(package), HTTPStatus.CREATED, headers)

    @described("A package, and who needs it", query=(TENANT,), answers={200: ref("UsedPackage")})
    async def show(self, request: Request) -> Response:
        package = self._find(request)
        return json_answer({**self._shown(package), "usedBy": self._packages.users_of(package)})

    @described(
        "Take a package away; 409 while an update or a campaign uses it",
        query=(TENANT,),
        answers={204: None},
        problems=(409, 503),
    )
    async def remove(self, request: Request) -> Response:
        package = self._find(request, Role.ADMIN)
        try:
            await self._packages.remove(package)
        except PackageInUse as error:
            raise Problem(HTTPStatus.CONFLICT, str(error)) from error
        except CommitFailed as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"not stored: {error}") from error
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @described(
        "The bytes of a package",
        query=(TENANT,),
        answers={200: BINARY},
        media_type=OCTETS,
        problems=(409,),
    )
    async def download(self, request: Request) -> Response:
        package = self._find(request)
        if package.url is not None:
            raise Problem(HTTPStatus.CONFLICT, f"it lies elsewhere: {package.url}")
        if not self._packages.is_there(package):
            raise Problem(HTTPStatus.NOT_FOUND, "its file is lost; bring it again")
        headers = {
            "cache-control": "no-store",
            "content-length": str(package.size),
            "etag": f'"{package.digest}"',
        }
        if request.method == "HEAD":
            return Response(headers=headers, media_type=OCTETS)
        return Stream(self._pieces(package), headers, OCTETS)

    async def _pieces(self, package: Package) -> AsyncGenerator[bytes, None]:
        for offset in range(0, package.size, PIECE):
            yield self._files.read(package.digest, offset, PIECE)

    async def _refer(self, tenant: str, request: Request) -> Package:
        document = await read_json(request)
        if not isinstance(document, Mapping):
            raise Problem(HTTPStatus.BAD_REQUEST, "the body is to be a JSON object")
        members = dict(document)
        url, size, fits = members.pop("url", None), members.pop("size", 0), members.pop("fits", {})
        if not isinstance(url, str):
            raise Problem(HTTPStatus.BAD_REQUEST, "url is due: where the package lies")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_SIZE:
            raise Problem(HTTPStatus.BAD_REQUEST, "size is to be a number of bytes")
        if not isinstance(fits, Mapping):
            raise Problem(HTTPStatus.BAD_REQUEST, "fits is to be an object")
        return await self._packages.refer(tenant, _description(members, fits), url, size)

    def _tenant(self, request: Request, role: Role | None = None) -> str:
        name = tenant_of(request, self._default, role)
        if self._inventory.tenant(name) is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"there is no tenant {name[:80]!r}")
        return name

    def _find(self, request: Request, role: Role | None = None) -> Package:
        tenant, name = self._tenant(request, role), request.path_params["name"]
        package = self._packages.get(tenant, name)
        if package is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"tenant {tenant} has no package {name[:80]!r}")
        return package

    def _shown(self, package: Package) -> dict[str, Any]:
        return {
            "name": package.name,
            "title": package.title or package.name,
            "version": package.version,
            "type": package.type,
            "tag": package.tag,
            "description": package.description,
            "fileName": package.file_name or None,
            "checksum": package.digest or None,
            "checksumAlgorithm": "SHA256" if package.digest else None,
            "size": package.size or None,
            "url": package.url,
            "fits": dict(package.fits),
            "createdAt": package.created_at * 1000 // SECOND,
            "available": self._packages.is_there(package),
        }


def _query(request: Request) -> dict[str, Any]:
    """Raises ``Problem`` for what is none of its arguments."""
    known = {parameter.name for parameter in _parameters()}
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        raise Problem(HTTPStatus.BAD_REQUEST, f"{unknown[0][:40]!r} is none of {', '.join(sorted(known))}")
    found = dict(request.query_params)
    found.pop("tenant", None)
    return found


def _description(members: Mapping[str, Any], fits: Mapping[str, Any] | None = None) -> Description:
    """Raises ``Problem`` for what is missing, unknown, or no text."""
    missing = [name for name in _REQUIRED if name not in members]
    if missing:
        raise Problem(HTTPStatus.BAD_REQUEST, f"{missing[0]} is due: {_TEXTS[missing[0]]}")
    given = dict(members)
    found = {name: given.pop(name) for name in FITS if name in given} if fits is None else dict(fits)
    for name, value in (*given.items(), *found.items()):
        if name not in _TEXTS and name not in FITS:
            raise Problem(HTTPStatus.BAD_REQUEST, f"{name[:40]!r} is none of {', '.join(_TEXTS)}, fits")
        if not isinstance(value, str):
            raise Problem(HTTPStatus.BAD_REQUEST, f"{name} is to be text")
    if not given.get("title") and not given.get("name"):
        raise Problem(HTTPStatus.BAD_REQUEST, f"title or name is due: {_TEXTS['title']}")
    return Description(
        given["version"],
        given["type"],
        given.get("name") or None,
        given.get("title") or None,
        given.get("tag") or None,
        given.get("description", ""),
        given.get("fileName", ""),
        given.get("checksum") or None,
        {str(name): value for name, value in found.items()},
    )


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        yield chunk
