"""Open the credentials of an installation: its key file, found or made, and what is sealed with the key."""

from __future__ import annotations

from pathlib import Path

import structlog

from lwm2m_engine.errors import SettingsError
from lwm2m_server.security.certificates import CertificateNames
from lwm2m_server.security.store import Credentials
from lwm2m_server.security.vault import Vault, make_key_file
from lwm2m_server.settings import Settings
from lwm2m_server.store.protocols import Ledger

KEY_FILE = "credentials.key"
"""In the data folder, unless the setting names another place."""

_log = structlog.get_logger(__name__)


def open_credentials(settings: Settings, ledger: Ledger) -> Credentials:
    """Raises ``SettingsError`` for a key file that is missing, unusable, or not the right one."""
    file = settings.credentials.key_file
    if file is None:
        file = settings.data / KEY_FILE
        if not file.exists():
            _make(file, ledger)
    return Credentials(ledger, Vault.load(file), CertificateNames(settings.dtls.names))


def _make(file: Path, ledger: Ledger) -> None:
    if any(row.sealed is not None for row in ledger.reader.credentials()):
        raise SettingsError(
            f"{file} is missing, and the ledger holds credentials that were sealed with the key in it: "
            "restore it from where you keep it"
        )
    make_key_file(file)
    _log.warning(
        "made a key for secrets of devices, in the data folder",
        file=str(file),
        protects="backups and copies of the ledger alone, not of the whole folder",
        hint="move it elsewhere, and say where with the setting credentials.key_file",
    )
