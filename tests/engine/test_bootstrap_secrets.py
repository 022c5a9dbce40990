"""Secrets of configurations are written and never shown."""

from __future__ import annotations

import pytest

from lwm2m_engine import Path
from lwm2m_engine.bootstrap.secrets import hidden, is_secret, restored

DOCUMENT = {
    "noSec": True,
    "write": {
        "/0/1": {"0": "coaps://dm", "3": "aWQ=", "5": "c2VjcmV0"},
        "0": {"2": {"secret_key": {"text": "secret"}, "10": 1}},
        "/21/0": {"0": "c2VjcmV0", "1": "cw=="},
        "/0/1/8": "c2VjcmV0",
        "/00/4": {"05": "c2VjcmV0"},
        "/0/3": {"5": {"key": "management"}},
        "/1/0": {"5": 60},
    },
}


def test_secrets_are_hidden_however_they_are_written(catalog):
    shown = hidden(DOCUMENT, catalog)["write"]
    assert shown["/0/1"] == {"0": "coaps://dm", "3": "aWQ=", "5": "***"}
    assert shown["0"] == {"2": {"secret_key": "***", "10": 1}}
    assert shown["/21/0"] == {"0": "***", "1": "cw=="}
    assert shown["/0/1/8"] == "***"
    assert "c2VjcmV0" not in repr(shown)


def test_names_of_keys_and_everything_else_are_shown(catalog):
    shown = hidden(DOCUMENT, catalog)
    assert shown["noSec"] is True
    assert shown["write"]["/0/3"] == {"5": {"key": "management"}}
    assert shown["write"]["/1/0"] == {"5": 60}


def test_what_was_shown_can_be_written_back(catalog):
    shown = hidden(DOCUMENT, catalog)
    assert restored(shown, DOCUMENT, catalog) == DOCUMENT


def test_a_secret_is_known_by_its_place_not_by_how_that_is_written(catalog):
    known = {"write": {"/0/1": {"5": "c2VjcmV0"}}}
    assert restored({"write": {"0": {"1": {"secret_key": "***"}}}}, known, catalog) == {
        "write": {"0": {"1": {"secret_key": "c2VjcmV0"}}}
    }


def test_what_is_written_twice_is_restored_twice(catalog):
    known = {"write": {"/0/1": {"5": "YQ==", "secret_key": "Yg=="}}}
    assert restored(hidden(known, catalog), known, catalog) == known


def test_a_secret_nobody_knows_stays_as_it_is_written(catalog):
    document = {"write": {"/0/1": {"5": "***"}}}
    assert restored(document, {}, catalog) == document


@pytest.mark.parametrize(
    "document", [{}, {"write": []}, {"write": {"/0/1": 5}}, {"write": {"": {"a": {"b": {}}}}}]
)
def test_what_is_no_configuration_is_left_alone(catalog, document):
    assert hidden(document, catalog) == document


@pytest.mark.parametrize(
    ("path", "secret"),
    [
        ("/0/1/5", True),
        ("/21/0/0", True),
        ("/11/0/6", True),
        ("/0/1/3", False),
        ("/1/0/5", False),
        ("/0/1", False),
    ],
)
def test_which_values_are_secret(path, secret):
    assert is_secret(Path(path)) is secret
