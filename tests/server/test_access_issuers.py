"""Tokens of other issuers, by their key sets; API keys; the file that says which."""

import asyncio
import hashlib
import json
import time

import attrs
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lwm2m_engine.errors import SettingsError
from lwm2m_server.access import issuers
from lwm2m_server.access.callers import Caller, Role
from lwm2m_server.access.grants import Grants, Issuer, load_grants
from lwm2m_server.access.issuers import IssuerKeys
from lwm2m_server.access.tokens import Unauthenticated
from lwm2m_server.http.serving import serve_http
from lwm2m_server.settings import AccessSettings

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
ALGORITHMS = {
    "RS256": (RSA, jwt.algorithms.RSAAlgorithm),
    "ES256": (EC, jwt.algorithms.ECAlgorithm),
    "EdDSA": (ED, jwt.algorithms.OKPAlgorithm),
}
CLAIMS = {
    "iss": "https://iam.example/auth/realms/iothub",
    "aud": "device-management-orchestrator",
    "azp": "my-app",
    "tenants": ["main"],
    "realm_access": {"roles": ["offline_access", "rw%device-management-orchestrator"]},
}


def public(name, kid, **more):
    key, algorithm = ALGORITHMS[name]
    return json.loads(algorithm.to_jwk(key.public_key())) | {"kid": kid, "use": "sig", "alg": name, **more}


def token(name="RS256", kid="k1", key=None, **changes):
    claims = {**CLAIMS, "exp": int(time.time()) + 300, **changes}
    claims = {member: value for member, value in claims.items() if value is not None}
    return jwt.encode(claims, key or ALGORITHMS[name][0], algorithm=name, headers={"kid": kid})


@attrs.define
class World:
    """An issuer with what it shows, and how often it was asked."""

    issuer: Issuer | None = None
    shown: object = None
    status: int = 200
    asked: int = 0

    async def __call__(self, scope, receive, send):
        self.asked += 1
        headers = [(b"location", b"/elsewhere")] if self.status == 302 else []
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        body = self.shown if isinstance(self.shown, bytes) else json.dumps(self.shown).encode()
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def world():
    world = World(shown={"keys": [public("RS256", "k1")]})
    server = await serve_http(world, "127.0.0.1", 0)
    world.issuer = Issuer(CLAIMS["iss"], f"{server.url}/certs", CLAIMS["aud"])
    yield world
    await server.close()


@pytest.fixture
async def keys():
    keys = IssuerKeys()
    yield keys
    await keys.close()


# --- keys --------------------------------------------------------------------------------------------


async def test_keys_of_every_kind_and_one_fetch(world, keys):
    world.shown = {"keys": [public(name, name) for name in ALGORITHMS]}
    for name in ALGORITHMS:
        claims = await keys.check(token(name, name), name, world.issuer)
        assert claims["azp"] == "my-app"
    assert world.asked == 1


async def test_who_comes_while_keys_are_fetched_shares_the_fetch(world, keys):
    found = await asyncio.gather(*(keys.check(token(), "k1", world.issuer) for _ in range(20)))
    assert len(found) == 20
    assert world.asked == 1


async def test_a_key_that_is_new_is_fetched_but_not_for_ever_more(world, monkeypatch):
    now = 1000.0
    keys = IssuerKeys(lambda: now)
    await keys.check(token(), "k1", world.issuer)
    for number in range(50):
        with pytest.raises(Unauthenticated, match="does not show"):
            await keys.check(token(kid=f"made-up-{number}"), f"made-up-{number}", world.issuer)
    assert world.asked == 1
    world.shown = {"keys": [public("ES256", "k2")]}
    now += issuers.RETRY_AFTER
    await keys.check(token("ES256", "k2"), "k2", world.issuer)
    assert world.asked == 2
    with pytest.raises(Unauthenticated):
        await keys.check(token(), "k1", world.issuer)
    await keys.close()


async def test_an_issuer_that_is_away_for_a_while(world, eventually):
    now = 1000.0
    keys = IssuerKeys(lambda: now)
    await keys.check(token(), "k1", world.issuer)
    world.status = 503
    now += issuers.FRESH + 1
    await keys.check(token(), "k1", world.issuer)

    async def asked_again():
        return world.asked == 2

    await eventually(asked_again)
    now += issuers.STALE
    with pytest.raises(Unauthenticated):
        await keys.check(token(), "k1", world.issuer)
    await keys.close()


@pytest.mark.parametrize(
    "shown",
    [b"", b"[", {"keys": 5}, [], {"keys": [5, {}, {"kid": "k1"}]}, b"{" + b" " * 70_000 + b"}"],
)
async def test_what_is_no_key_set(world, keys, shown):
    world.shown = shown
    with pytest.raises(Unauthenticated):
        await keys.check(token(), "k1", world.issuer)


async def test_redirects_are_not_followed(world, keys):
    world.status = 302
    with pytest.raises(Unauthenticated):
        await keys.check(token(), "k1", world.issuer)
    assert world.asked == 1


async def test_keys_that_are_not_for_signatures(world, keys):
    secret = {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ", "kid": "k1", "alg": "HS256"}
    for key in (public("RS256", "k1", use="enc"), secret, public("RS256", "k1", alg="RSA-OAEP")):
        world.shown = {"keys": [key]}
        with pytest.raises(Unauthenticated):
            await IssuerKeys().check(token(), "k1", world.issuer)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"exp": 1000}, jwt.ExpiredSignatureError),
        ({"exp": None}, jwt.MissingRequiredClaimError),
        ({"aud": "another"}, jwt.InvalidAudienceError),
        ({"aud": None}, jwt.MissingRequiredClaimError),
        ({"iss": "https://evil.example"}, jwt.InvalidIssuerError),
        ({"nbf": 2**33}, jwt.ImmatureSignatureError),
        ({"key": rsa.generate_private_key(65537, 2048)}, jwt.InvalidSignatureError),
    ],
)
async def test_tokens_that_are_not_good(world, keys, changes, error):
    with pytest.raises(error):
        await keys.check(token(**changes), "k1", world.issuer)


async def test_the_algorithm_is_that_of_the_key(world, keys):
    """Not what the token says: neither none nor HMAC with the public key as the secret."""
    pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    hmac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    body = token().split(".")[1].encode()
    head = jwt.utils.base64url_encode(b'{"alg":"HS256","kid":"k1"}')
    signature = jwt.utils.base64url_encode(hmac.sign(head + b"." + body, pem))
    unsigned = jwt.encode({**CLAIMS, "exp": 2**33}, None, algorithm="none", headers={"kid": "k1"})
    other = token("ES256", "k1")
    for forged in (b".".join([head, body, signature]).decode(), unsigned, other):
        with pytest.raises(jwt.PyJWTError):
            await keys.check(forged, "k1", world.issuer)


# --- who that is -------------------------------------------------------------------------------------


ISSUER = Issuer("i", "https://iam.example/certs", "a")


def test_roles_and_tenants_of_a_d2c_token():
    assert ISSUER.caller("iam", CLAIMS) == Caller("iam:my-app", "main", Role.OPERATE, None)
    read = {**CLAIMS, "realm_access": {"roles": ["ro%device-management-orchestrator"]}}
    assert ISSUER.caller("iam", read).role is Role.READ
    both = {**CLAIMS, "tenants": ["main", "other"]}
    caller = ISSUER.caller("iam", both)
    assert caller.may(Role.OPERATE, "main")
    assert caller.may(Role.OPERATE, "other")
    assert not caller.may(Role.READ, "third")


@pytest.mark.parametrize(
    "changes",
    [
        {"tenants": []},
        {"tenants": None},
        {"tenants": 5},
        {"tenants": ["\ud800", "a\nb"]},
        {"realm_access": {"roles": ["rw%connection-management-orchestrator"]}},
        {"realm_access": "admin"},
        {"realm_access": {"roles": {"rw%device-management-orchestrator": 1}}},
    ],
)
def test_tokens_that_give_nothing(changes):
    assert ISSUER.caller("iam", {**CLAIMS, **changes}) is None


def test_claims_of_another_shape():
    issuer = attrs.evolve(ISSUER, tenant="main", roles_claim="scope", roles={"d2c.admin": "admin"})
    caller = issuer.caller("iam", {"scope": "openid d2c.admin", "sub": "x", "tenants": ["other"]})
    assert caller == Caller("iam:x", "main", Role.ADMIN, None)


# --- the file ----------------------------------------------------------------------------------------


def digest(key):
    return hashlib.sha256(key.encode()).hexdigest()


def test_the_file(tmp_path):
    file = tmp_path / "access.toml"
    file.write_text(
        f"""
        [keys.grafana]
        sha256 = "{digest("s3cret")}"
        role = "read"
        tenant = "main"
        origins = ["CGrafana"]

        [issuers.keycloak]
        issuer = "https://iam.example/auth/realms/iothub"
        jwks = "https://iam.example/auth/realms/iothub/protocol/openid-connect/certs"
        audience = "device-management-orchestrator"
        """
    )
    grants = load_grants(file)
    assert grants
    expected = Caller("key:grafana", "main", Role.READ, frozenset({"CGrafana"}))
    assert grants.key_holder("s3cret") == expected
    assert grants.key_holder("s3cre") is None
    name, issuer = grants.issuer("https://iam.example/auth/realms/iothub")
    assert (name, issuer.tenants_claim) == ("keycloak", "tenants")
    assert grants.issuer("https://iam.example") is None
    assert "s3cret" not in repr(grants)
    assert digest("s3cret") not in repr(grants)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[keys.x", "Expected"),
        ("[key.x]", "unknown: key"),
        ('[keys.x]\nrole = "read"', "sha256 is missing"),
        (f'[keys.x]\nsha256 = "{"a" * 64}"\nrole = "boss"\ntenant = "m"', "role"),
        (f'[keys.x]\nsha256 = "{"a" * 64}"\nrole = "read"', "a tenant belongs"),
        (f'[keys.x]\nsha256 = "{"a" * 64}"\nrole = "system"\ntenant = "m"', "a tenant belongs"),
        ('[keys.x]\nsha256 = "hunter2"\nrole = "read"\ntenant = "m"', "keys"),
        ('[issuers.x]\nissuer = "i"\naudience = "a"\njwks = "http://iam.example"', "not an https"),
        ('[issuers.x]\nissuer = "i"\naudience = "a"\njwks = "file:///etc/passwd"', "not an https"),
        ('[issuers.x]\nissuer = "i"\naudience = "a"\njwks = "https://i"\nroles = {a = "root"}', "issuers"),
        ('[issuers.x]\nissuer = "i"\naudience = "a"\njwks = "https://i"\nrole = 1', "unknown: role"),
    ],
)
def test_files_with_a_mistake(tmp_path, text, reason):
    file = tmp_path / "access.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_grants(file)
    assert "access.toml" in str(caught.value)
    assert reason in str(caught.value)
    assert "hunter2" not in str(caught.value)


# --- at the door -------------------------------------------------------------------------------------


async def test_keys_and_issuers_open_the_door_until_the_file_says_otherwise(
    guard, settings, world, tmp_path, eventually
):
    file = tmp_path / "access.toml"
    key = f'[keys.ops]\nsha256 = "{digest("s3cret")}"\nrole = "admin"\ntenant = "main"\n'
    issuer = world.issuer
    trusted = (
        f'[issuers.iam]\nissuer = "{issuer.issuer}"\njwks = "{issuer.jwks}"\naudience = "{issuer.audience}"\n'
    )
    file.write_text(key + trusted)
    guarded = await guard(attrs.evolve(settings, access=AccessSettings(file=file)))
    assert (await guarded.call("GET", "main")).status_code == 401

    async def status(secret):
        headers = {"Authorization": f"Bearer {secret}"}
        return (await guarded.call("GET", "/api/v1/devices", headers=headers)).status_code

    foreign = token()
    assert [await status(secret) for secret in ("s3cret", foreign, "wrong")] == [200, 200, 401]
    assert await status(token(tenants=["other"])) == 200
    assert await status(token(tenants=["nobody"])) == 404
    assert await status(token(realm_access={})) == 401
    # The file without the key: in force when it is read again, whatever is remembered.
    file.write_text(trusted)

    async def is_closed():
        return await status("s3cret") == 401

    await eventually(is_closed, 20)
    assert await status(foreign) == 200
    # Without anybody who may call the door does not open.
    guarded.control.access.grant(Grants())
    assert await status(foreign) == 401
    assert (await guarded.call("GET", "main")).status_code == 401
