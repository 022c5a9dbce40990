"""Sign in and out."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.access.attempts import TooManyFailures
from lwm2m_server.access.callers import Caller
from lwm2m_server.access.clients import Busy
from lwm2m_server.access.opening import AccessControl
from lwm2m_server.console.forms import Form, form_of, read_form
from lwm2m_server.console.pages import HOME, SIGN_IN, page, see_other
from lwm2m_server.console.proofs import BearerProof, ClientProof, Proof, SignedOut
from lwm2m_server.console.sessions import COOKIE, Sessions

MAX_BODY = 16_384


class NotLetIn(Exception):
    """Why, in a sentence."""

    def __init__(self, reason: str, status: int = HTTPStatus.UNAUTHORIZED) -> None:
        super().__init__(reason)
        self.status = status


class SigningIn:
    """With a client's id and secret, or with an API key or token alone."""

    def __init__(self, sessions: Sessions, control: AccessControl) -> None:
        self._sessions, self._control = sessions, control

    def routes(self) -> list[Route]:
        """Below ``/console``. Only the last is for those who are signed in."""
        return [
            Route("/sign-in", self.show, methods=["GET"]),
            Route("/sign-in", self.sign_in, methods=["POST"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        if self._control.access.is_open:
            return see_other(request, HOME)
        return await page(request, "sign_in.html", next=_next(request), client="", reason=None)

    async def sign_in(self, request: Request) -> Response:
        form = await read_form(request, MAX_BODY)
        try:
            proof, caller = await self._prove(request, form)
        except NotLetIn as error:
            return await page(
                request,
                "sign_in.html",
                status=error.status,
                next=_next(request),
                client=form.text("client"),
                reason=str(error),
            )
        former = request.cookies.get(COOKIE)
        if former is not None:
            self._sessions.end(former)
        value, _ = self._sessions.begin(proof)
        self._note(caller, "sign in")
        answer = see_other(request, _next(request))
        set_cookie(answer, request, value)
        return answer

    async def sign_out(self, request: Request) -> Response:
        await form_of(request, MAX_BODY)
        self._sessions.end(request.cookies.get(COOKIE, ""))
        self._note(request.scope["viewer"].caller, "sign out")
        answer = see_other(request, SIGN_IN)
        answer.delete_cookie(COOKIE, path="/console")
        return answer

    async def _prove(self, request: Request, form: Form) -> tuple[Proof, Caller]:
        """Raises ``NotLetIn``."""
        id, secret = form.text("client"), form.text("secret")
        address = request.client.host if request.client is not None else ""
        control = self._control
        proof: Proof
        try:
            if id:
                client = await control.attempts.client(id, secret, address)
                if client is None:
                    raise NotLetIn("That is no client id with its secret.")
                proof = ClientProof(control.access, control.clients, control.tokens, client)
            else:
                proof = BearerProof(control.access, secret)
            return proof, await proof.caller()
        except TooManyFailures:
            raise NotLetIn("Too many wrong secrets; wait a minute.", HTTPStatus.TOO_MANY_REQUESTS) from None
        except Busy:
            raise NotLetIn(
                "The server is busy; try again in a moment.", HTTPStatus.SERVICE_UNAVAILABLE
            ) from None
        except SignedOut as error:
            raise NotLetIn(f"That is not accepted: {error}.") from None

    def _note(self, caller: Caller, action: str) -> None:
        self._control.audit.note(caller, action, "/console", HTTPStatus.OK, tenant=caller.tenant)


def set_cookie(answer: Response, request: Request, value: str) -> None:
    """For this browser session, unreadable for scripts. ``Lax``: links from elsewhere find one signed in,
    forms from elsewhere do not."""
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, value, path="/console", secure=secure, httponly=True, samesite="lax")


def _next(request: Request) -> str:
    """Where one wanted to go: a path of this console, nothing else."""
    wanted = request.query_params.get("next", "")
    parts = urlsplit(wanted)
    is_ours = not (parts.scheme or parts.netloc) and parts.path.startswith("/console/")
    return wanted if is_ours and "\\" not in wanted and not parts.path.startswith(SIGN_IN) else HOME
