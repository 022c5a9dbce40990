"""Devices with Raw Public Keys (RFC 7250), and others on the same port, as clients of Debian's libraries."""

from __future__ import annotations

import asyncio
import json
import shutil
from asyncio.subprocess import DEVNULL, PIPE, STDOUT

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from lwm2m_server.cli.main import lwm2m
from lwm2m_server.coap.dtls import gnutls_library

pytestmark = pytest.mark.native_stack("below DTLS there is no other")

KEY = "correct horse 16"
ACCOUNT = {
    "write": {
        "/0/1": {"0": "coap://dm.example.com", "1": False, "2": 3, "10": 1},
        "/1/0": {"0": 1, "1": 300, "6": True, "7": "U"},
    }
}

try:
    gnutls_library.library()
except gnutls_library.LibraryMissing as missing:
    pytest.skip(str(missing), allow_module_level=True)


class Keys:
    """A key pair in files."""

    def __init__(self, folder, name: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self.private, self.public = folder / f"{name}.key", folder / f"{name}.pub"
        self.private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.public.write_bytes(
            key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )


@pytest.fixture
def keys(tmp_path):
    return {name: Keys(tmp_path, name) for name in ("server", "device", "stranger")}


@pytest.fixture(params=["0", "1"], ids=["library", "compact"])
def server(serve, keys, request):
    server = serve(
        "--coaps",
        "127.0.0.1:0",
        LWM2M_DTLS_RAW_PUBLIC_KEY_FILE=str(keys["server"].private),
        LWM2M_DTLS_COMPACT=request.param,
        LWM2M_BOOTSTRAP_COAPS="127.0.0.1:0",
    )

    def run(*words: str, given: str = "") -> None:
        done = CliRunner().invoke(lwm2m, [*words, "--url", server.http], input=given)
        assert done.exit_code == 0, done.output

    run("devices", "add", "raw")
    for side in ((), ("--bootstrap",)):
        proof = ("--mode", "rpk", "--public-key", str(keys["device"].public))
        run("credentials", "add", "raw", *side, *proof)
    run("bootstrap", "put", "raw", "-", given=json.dumps(ACCOUNT))
    run("devices", "add", "shared")
    psk = ("--mode", "psk", "--identity", "shared", "--hex", "--key-file", "-")
    run("credentials", "add", "shared", *psk, given=KEY.encode().hex())
    return server


async def output_of(program: str, *words: str) -> str:
    """What a program of a Debian package says."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    process = await asyncio.create_subprocess_exec(path, *words, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT)
    said, _ = await asyncio.wait_for(process.communicate(), 30)
    return said.decode(errors="replace")


async def register(server, endpoint: str, *proof: str, client: str = "gnutls") -> str:
    """The end of what libcoap's client says about it."""
    uri = f"coaps://{server.addresses['coaps']}/rd?ep={endpoint}&lt=300&lwm2m=1.1&b=U"
    words = ("-v", "7", "-m", "post", "-B", "3", "-t", "40", "-e", "</1/0>,</3/0>")
    return await output_of(f"coap-client-{client}", *proof, *words, uri)


def raw(keys: Keys) -> tuple[str, str]:
    """Both halves in one file, as libcoap wants them."""
    file = keys.private.with_suffix(".both")
    file.write_bytes(keys.private.read_bytes() + keys.public.read_bytes())
    return "-M", str(file)


async def test_a_device_registers_with_its_key_beside_others_with_theirs(server, keys):
    assert "c:2.01" in await register(server, "raw", *raw(keys["device"]))
    assert "c:4.03" in await register(server, "shared", *raw(keys["device"])), "as nobody else"
    said = await register(server, "raw", *raw(keys["stranger"]))
    assert "Alert '46'" in said, "certificate_unknown"
    assert "nobody's certificate or key" in server.errors()
    for client in ("gnutls", "openssl"):
        assert "c:2.01" in await register(server, "shared", "-u", "shared", "-k", KEY, client=client)
    await see_the_servers_key(server, keys)


async def test_bs_15_a_device_is_bootstrapped_with_its_key(server, keys):
    """With its name and without."""

    async def ask(query: str, key: Keys) -> str:
        uri = f"coaps://{server.addresses['bootstrap_coaps']}/bs?{query}"
        return await output_of("coap-client-gnutls", *raw(key), "-v", "7", "-m", "post", "-B", "3", uri)

    for query in ("ep=raw", "pct=112"):
        assert "c:2.04" in await ask(query, keys["device"])
    assert "c:4.00" in await ask("ep=shared", keys["device"])
    assert "Alert '46'" in await ask("ep=raw", keys["stranger"])


async def see_the_servers_key(server, keys) -> None:
    port = server.addresses["coaps"].rpartition(":")[2]
    pair = ("--rawpkkeyfile", keys["device"].private, "--rawpkfile", keys["device"].public)
    suites = "NORMAL:-VERS-ALL:+VERS-DTLS1.2:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK"
    # The name it has for the server does not matter (SNI-1).
    pair = ("--sni-hostname", "virtual.example.com", *pair)
    words = ("--udp", "--no-ca-verification", "--print-cert", *pair, "--priority", suites, "-p", port)
    said = await output_of("gnutls-cli", *map(str, words), "127.0.0.1")
    assert "Handshake was completed" in said
    assert "Certificate type: Raw Public Key" in said
    assert "".join(keys["server"].public.read_text().split()) in "".join(said.split())
