"""application/senml-etch+json (320) and +cbor (322) (RFC 8790): FETCH and iPATCH of several paths.

A Fetch Pack is a list of names. A Patch Pack is a SenML Pack in which a null value deletes, which
LwM2M 1.2 allows in plain SenML as well; so both are what SenML does under numbers of their own.
"""

from __future__ import annotations

from lwm2m_engine.codecs import senml_cbor, senml_json
from lwm2m_engine.codecs.codec import Codec
from lwm2m_engine.formats import ContentFormat

JSON = Codec(
    ContentFormat.SENML_ETCH_JSON,
    senml_json.decode,
    senml_json.encode,
    senml_json.decode_paths,
    senml_json.encode_paths,
    senml_json.decode_each,
)
CBOR = Codec(
    ContentFormat.SENML_ETCH_CBOR,
    senml_cbor.decode,
    senml_cbor.encode,
    senml_cbor.decode_paths,
    senml_cbor.encode_paths,
    senml_cbor.decode_each,
)
