"""Whatever is sent as a device, a rule or a table is read, or what is wrong is told without secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from lwm2m_server.enrolment.columns import COLUMNS, Table
from lwm2m_server.enrolment.newdevice import read_device
from lwm2m_server.enrolment.reading import Faulty
from lwm2m_server.enrolment.rules import derived_key, read_rule, rule_of
from lwm2m_server.store.definitions import Enrolment

T = TypeVar("T")
SECRET = "5ec2e7" * 5 + "5"
"""With one digit too few: it can be no key."""
NAMES = [
    *("name", "labels", "groups", "profile", "credentials", "device", "credentialsType", "credentialsId"),
    *("credentialsValue", "client", "bootstrap", "bootstrapServer", "lwm2mServer", "endpoint", "identity"),
    *("securityConfigClientMode", "securityMode", "key", "cert", "generate", "clientPublicKeyOrId"),
    *("clientSecretKey", "by", "endpoints", "certificate", "issuer", "masterKey", "noSec", "approval"),
]
TEXTS = st.sampled_from(
    ["", "a", "PSK", "RPK", "X509", "NO_SEC", "OSCORE", "LWM2M_CREDENTIALS", "0a" * 16, SECRET, "keys", "\0"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=20,
)


def tried(read: Callable[[], T]) -> tuple[T | None, str]:
    """What was read, or what was told instead."""
    try:
        return read(), ""
    except Faulty as error:
        return None, str(error)


@settings(max_examples=80)
@given(VALUES)
def test_a_device(document: Any) -> None:
    found, told = tried(lambda: read_device(document))
    assert SECRET not in told
    assert (found is None) == bool(told)


@settings(max_examples=80)
@given(VALUES)
def test_a_rule(document: Any) -> None:
    found, told = tried(lambda: read_rule(document, None, bytes))
    assert SECRET not in told
    if found is not None:
        # What is kept is read back as what is in force, and can be said again.
        rule = rule_of(Enrolment("main", "one", found))
        assert list(rule.endpoints) == found["endpoints"]
        said = {name: value for name, value in found.items() if name != "sealedMasterKey"}
        assert read_rule(said, found, bytes) == found


@settings(max_examples=60)
@given(st.lists(st.sampled_from(sorted(COLUMNS)), unique=True), st.lists(st.lists(TEXTS)))
def test_a_table(columns: list[str], rows: list[list[str]]) -> None:
    headings = [COLUMNS[column][0] for column in columns]
    text = "\n".join(",".join(cells) for cells in (headings, *rows))
    found, told = tried(lambda: list(Table(text)))
    assert SECRET not in told
    if found is not None:
        assert "name" in columns
        assert all(SECRET not in str(one) for _, one in found if isinstance(one, Faulty))


@given(st.binary(min_size=16, max_size=64), st.text(max_size=40), st.text(max_size=40))
def test_derived_keys_differ_where_identities_do(master: bytes, one: str, other: str) -> None:
    keys = [derived_key(master, identity) for identity in (one, other)]
    assert len(keys[0]) == 16
    assert (keys[0] == keys[1]) == (one == other)
