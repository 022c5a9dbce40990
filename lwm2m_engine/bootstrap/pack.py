"""Bootstrap-Pack: everything a client is to have in one answer (LwM2M Core 1.2, 6.1.7.7)."""

from __future__ import annotations

from lwm2m_engine.bootstrap.config import BootstrapConfig, accounts
from lwm2m_engine.coap import CoapReply, Code
from lwm2m_engine.codecs import Codecs
from lwm2m_engine.errors import CodecError, RequestError
from lwm2m_engine.messages.bootstrap import PACK_FORMATS
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import ROOT


def pack(config: BootstrapConfig, content_format: int | None, codecs: Codecs, models: ModelView) -> CoapReply:
    """Raises ``RequestError`` (5.01) for what a pack cannot say: the client then asks ``POST /bs``."""
    obstacle = why_no_pack(config)
    if obstacle:
        raise RequestError(Code.NOT_IMPLEMENTED, obstacle)
    number = content_format if content_format is not None else PACK_FORMATS[0]
    entries = [entry for write in config.writes for entry in write.entries]
    try:
        payload = codecs.encode(entries, number, at=ROOT, types=models.types)
    except CodecError as error:
        raise RequestError(Code.NOT_IMPLEMENTED, str(error)) from error
    return CoapReply(Code.CONTENT, payload, int(number))


def why_no_pack(config: BootstrapConfig) -> str:
    """What of the configuration takes a conversation; empty if nothing does."""
    if config.deletes != (ROOT,):
        return "what is deleted cannot be told in a pack"
    if config.reads:
        return "nothing can be read in a pack"
    if config.automatic_ids and any(account.is_bootstrap for account in accounts(config.writes)):
        return "which Instance the account of the bootstrap server is, a pack cannot find out"
    return ""
