"""``Bearer``: how a command proves who it is, from the file that ``--token-file`` names."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from lwm2m_engine.errors import SettingsError

EARLY: Final = 10.0
"""Seconds before its end that a token is fetched anew."""


class Bearer:
    """A token as it is; or client id and secret, for which a token is fetched whenever there is none."""

    def __init__(self, token: str | None, credentials: tuple[str, str] | None, origin: str | None) -> None:
        self._token, self._credentials = token, credentials
        self._until = float("inf")
        self.origin = origin
        """AE-ID that the file names."""

    @classmethod
    def load(cls, file: Path) -> Bearer:
        """Raises ``SettingsError`` for a file that cannot be read, or is none of the two."""
        try:
            text = file.read_text(encoding="utf-8").strip()
            document = json.loads(text) if text.startswith("{") else None
            if document is None:
                return cls(text, None, None)
            credentials = document["client_id"], document["client_secret"]
            return cls(None, credentials, document.get("origin"))
        except OSError as error:
            raise SettingsError(f"--token-file: {file}: {error.strerror}") from error
        except KeyError as error:
            raise SettingsError(f"--token-file: {file}: {error.args[0]} is missing") from error
        except ValueError as error:
            raise SettingsError(f"--token-file: {file}: neither a token nor JSON: {error}") from error

    def header(self, ask: Callable[[bytes, dict[str, str]], Any]) -> str:
        """The value of ``Authorization``. ``ask`` posts a form with headers to ``/auth/token``."""
        if self._credentials is not None and (self._token is None or time.monotonic() > self._until - EARLY):
            pair = ":".join(self._credentials).encode()
            headers = {
                "Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}",
                "Content-Type": "application/x-www-form-urlencoded",
            }
            granted = ask(urlencode({"grant_type": "client_credentials"}).encode(), headers)
            self._token, self._until = granted["access_token"], time.monotonic() + granted["expires_in"]
        return f"Bearer {self._token}"
