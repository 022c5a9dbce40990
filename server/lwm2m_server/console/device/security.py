"""``/console/devices/{name}/security``: what a device proves itself with. Secrets never come out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Refusal
from lwm2m_server.console.device.frame import device_page, path_of
from lwm2m_server.console.device.tabs import address
from lwm2m_server.console.forms import Form, form_of
from lwm2m_server.console.pages import see_other
from lwm2m_server.console.viewer import viewer_of

SIDES: Final = (("management", "LwM2M server"), ("bootstrap", "Bootstrap server"))
MODES: Final = (
    ("psk", "Pre-shared key"),
    ("rpk", "Raw public key"),
    ("x509", "X.509 certificate"),
    ("oscore", "OSCORE"),
    ("nosec", "None (NoSec)"),
)
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "psk": ("identity",),
    "rpk": ("publicKey",),
    "x509": ("certificate",),
    "oscore": ("recipientId", "senderId", "masterSecret", "masterSalt", "idContext"),
    "nosec": (),
}


class SecurityPages:
    """For both servers that a device meets."""

    def routes(self) -> list[Route]:
        """Below ``/console``."""
        place = "/devices/{name}/security"
        return [
            Route(place, self.show, methods=["GET"]),
            Route(f"{place}/{{side}}", self.replace, methods=["POST"]),
            Route(f"{place}/{{side}}/remove", self.remove, methods=["POST"]),
            Route(f"{place}/{{side}}/generate", self.generate, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        return await self._page(request)

    async def replace(self, request: Request) -> Response:
        """What is refused stands at its form, without the secret."""
        form, side = await form_of(request), request.path_params["side"]
        try:
            await viewer_of(request).api.send("PUT", _place(request), _credentials(form))
        except Refusal as error:
            if error.status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT):
                raise
            draft = {name: form.text(name) for name in ("mode", "endpoint", "identity")}
            return await self._page(request, error.status, faults={side: error.detail}, draft=draft)
        return self._back(request, "The credentials are replaced.")

    async def remove(self, request: Request) -> Response:
        await form_of(request)
        await viewer_of(request).api.send("DELETE", _place(request))
        return self._back(request, "The credentials are removed.")

    async def generate(self, request: Request) -> Response:
        """The key is on the page that answers, and on no other."""
        form, side = await form_of(request), request.path_params["side"]
        wish: dict[str, Any] = {"identity": form.text("identity")} if form.text("identity") else {}
        if form.flag("atBootstrap"):
            wish["atBootstrap"] = True
        try:
            made = await viewer_of(request).api.send("POST", f"{_place(request)}/generate", wish)
        except Refusal as error:
            if error.status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT):
                raise
            return await self._page(request, error.status, faults={side: error.detail})
        if "key" not in made:
            return self._back(request, "The device gets the new key when it bootstraps next.")
        return await self._page(request, made={**made, "side": side})

    def _back(self, request: Request, notice: str) -> Response:
        return see_other(request, address(request.path_params["name"], "/security"), notice)

    async def _page(
        self,
        request: Request,
        status: int = HTTPStatus.OK,
        faults: Mapping[str, str] | None = None,
        draft: Mapping[str, str] | None = None,
        made: Mapping[str, str] | None = None,
    ) -> Response:
        api, path = viewer_of(request).api, path_of(request, "/credentials")
        credentials = await api.get(path)
        document = await api.get(path, form="lwm2m")
        return await device_page(
            request,
            "device/security.html",
            "Security",
            status=status,
            sides=[(side, label, credentials[side]) for side, label in SIDES],
            given=document["credentialsValue"].get("bootstrap", {}),
            modes=MODES,
            faults=faults or {},
            draft=draft or {},
            fresh=made,
        )


def _place(request: Request) -> str:
    side = request.path_params["side"]
    return path_of(request, f"/credentials/{'bootstrap' if side == 'bootstrap' else 'management'}")


def _credentials(form: Form) -> dict[str, Any]:
    """As the API wants them: a key may be typed as hexadecimal digits or as base64."""
    mode = form.text("mode")
    found: dict[str, Any] = {"mode": mode}
    for name in ("endpoint", *_FIELDS.get(mode, ())):
        if form.text(name):
            found[name] = form.text(name)
    if mode == "psk":
        found["key"] = _base64(form.text("key"))
    return found


def _base64(key: str) -> str:
    try:
        return base64.b64encode(binascii.unhexlify("".join(key.split()))).decode("ascii")
    except ValueError:
        return key
