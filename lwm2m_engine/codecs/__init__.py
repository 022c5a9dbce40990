"""Payloads to entries and back, one small module a Content-Format.

``decode`` and ``encode`` know the formats of LwM2M; a ``Codecs`` made with ``Codecs().extended(...)``
knows more.
"""

from lwm2m_engine.codecs.codec import Codec, Scope, Types
from lwm2m_engine.codecs.registry import Codecs

_BUNDLED = Codecs()
decode = _BUNDLED.decode
decode_each = _BUNDLED.decode_each
encode = _BUNDLED.encode
decode_paths = _BUNDLED.decode_paths
encode_paths = _BUNDLED.encode_paths

__all__ = [
    "Codec",
    "Codecs",
    "Scope",
    "Types",
    "decode",
    "decode_each",
    "decode_paths",
    "encode",
    "encode_paths",
]
