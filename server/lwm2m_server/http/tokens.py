"""``POST /auth/token``: a token for a client id and secret (OAuth 2.0 client credentials, RFC 6749, 4.4)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, unquote_plus

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.access.attempts import Attempts, TooManyFailures
from lwm2m_server.access.authentication import Access
from lwm2m_server.access.clients import Busy, Clients
from lwm2m_server.access.tokens import LIFETIME, Tokens
from lwm2m_server.http.describing import FORM, INTEGER, STRING, described, obj
from lwm2m_server.store.records import ApiClient

MAX_BODY: Final = 4096
SCOPE: Final = "client-origin profile email"
_PASSER_BY: Final = ApiClient("open", None, "system", "", 0)
"""Who gets a token while no clients are configured; nobody asks for it then."""

_GRANT: Final = obj(
    "*",
    access_token=STRING,
    expires_in=INTEGER,
    refresh_expires_in=INTEGER,
    token_type=STRING,
    **{"not-before-policy": INTEGER, "scope": STRING},
)
_FAULT: Final = obj("error", error=STRING, error_description=STRING)


class Refused(Exception):
    """By the codes of RFC 6749, 5.2."""

    def __init__(self, error: str, detail: str, status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(detail)
        self.error, self.status = error, status


class TokenApi:
    """Credentials as HTTP Basic or in the form."""

    def __init__(self, clients: Clients, attempts: Attempts, tokens: Tokens, access: Access) -> None:
        self._clients, self._tokens, self._access = clients, tokens, access
        self._attempts = attempts

    def routes(self) -> list[Route]:
        return [Route("/auth/token", self.issue, methods=["POST"])]

    @described(
        "A token for a client id and secret (OAuth 2.0 client credentials)",
        is_public=True,
        form=obj("grant_type", grant_type=STRING, client_id=STRING, client_secret=STRING, scope=STRING),
        answers={200: _GRANT},
        problems=(400, 401, 429, 503),
        fault=_FAULT,
    )
    async def issue(self, request: Request) -> Response:
        try:
            form = await _form(request)
            if "grant_type" not in form:
                raise Refused("invalid_request", "grant_type is missing")
            if form["grant_type"] != "client_credentials":
                raise Refused("unsupported_grant_type", "grant_type is client_credentials")
            client = await self._client(request, form)
            scope = form.get("scope") or SCOPE
            token = await self._clients.apart(lambda: self._tokens.issue(client, scope))
        except Refused as error:
            return _refusal(error)
        except Busy:
            headers = {"retry-after": "2"}
            return _json(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "temporarily_unavailable"}, headers)
        granted = {
            "access_token": token,
            "expires_in": LIFETIME,
            "refresh_expires_in": 0,
            "token_type": "Bearer",
            "not-before-policy": 0,
            "scope": scope,
        }
        return _json(HTTPStatus.OK, granted)

    async def _client(self, request: Request, form: Mapping[str, str]) -> ApiClient:
        """Raises ``Refused``, ``Busy``."""
        id, secret = _credentials(request, form)
        if self._access.is_open:
            return _PASSER_BY
        address = request.client.host if request.client else ""
        try:
            client = await self._attempts.client(id, secret, address)
        except TooManyFailures:
            raise Refused("invalid_client", "too many wrong secrets", HTTPStatus.TOO_MANY_REQUESTS) from None
        if client is None:
            raise Refused("invalid_client", "wrong client id or secret", HTTPStatus.UNAUTHORIZED)
        return client


async def _form(request: Request) -> dict[str, str]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != FORM:
        raise Refused("invalid_request", f"the body is {FORM}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise Refused("invalid_request", f"the body is larger than {MAX_BODY} bytes")
    try:
        fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        raise Refused("invalid_request", "the body is no form") from error
    if any(len(values) > 1 for values in fields.values()):
        raise Refused("invalid_request", "a field is there twice")
    return {name: values[0] for name, values in fields.items()}


def _credentials(request: Request, form: Mapping[str, str]) -> tuple[str, str]:
    header = request.headers.get("authorization")
    if header is None:
        id, secret = form.get("client_id"), form.get("client_secret")
        if id is None or secret is None:
            raise Refused("invalid_client", "client id and secret are missing", HTTPStatus.UNAUTHORIZED)
        return id, secret
    if "client_secret" in form:
        raise Refused("invalid_request", "the secret is in the form and in Authorization")
    scheme, _, encoded = header.partition(" ")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except ValueError:
        text = ""
    id, colon, secret = text.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise Refused("invalid_client", "Authorization is not HTTP Basic", HTTPStatus.UNAUTHORIZED)
    # RFC 6749, 2.3.1; many do not encode what they send, and what we issue needs none.
    return unquote_plus(id), unquote_plus(secret)


def _refusal(error: Refused) -> Response:
    headers = {}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Basic realm="lwm2m"'
    elif error.status == HTTPStatus.TOO_MANY_REQUESTS:
        headers["retry-after"] = "2"
    return _json(error.status, {"error": error.error, "error_description": str(error)}, headers)


def _json(status: int, document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    always = {"cache-control": "no-store", "pragma": "no-cache"}
    return Response(
        orjson.dumps(document), status, {**always, **(headers or {})}, media_type="application/json"
    )
