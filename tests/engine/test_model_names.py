"""Generated names of Resources."""

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.model.names import attribute_names, snake_case


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("Battery Level", "battery_level"),
        ("LWM2M  Server URI", "lwm2m_server_uri"),
        ("Disable Timeout (s)", "disable_timeout_s"),
        ("DTLS/TLS Ciphersuite", "dtls_tls_ciphersuite"),
        ("ExtDevInfo", "ext_dev_info"),
        ("ObjectInstanceHandle", "object_instance_handle"),
        ("CellID", "cell_id"),
        ("OnOff", "on_off"),
        ("SHAType", "sha_type"),
        ("LwM2M Object ID", "lwm2m_object_id"),
        ("IPv6 address", "ipv6_address"),
        ("eNB EARFCN", "enb_earfcn"),
        ("Will QoS", "will_qos"),
        ("pH", "ph"),
        ("ue-RxTxTimeDiff", "ue_rx_tx_time_diff"),
        ("Température Élevée", "temperature_elevee"),
        ("5QI", "r_5qi"),
        ("3-Phase Active Power", "r_3_phase_active_power"),
        ("Class", "class_"),
        ("Self", "self_"),
        ("--", ""),
        ("温度", ""),
    ],
)
def test_snake_case(name, attribute):
    assert snake_case(name) == attribute


def test_resources_that_share_a_name_all_get_their_id():
    names = [(7, "State"), (2, "State"), (5, "state"), (1, "Level")]
    assert attribute_names(names) == {1: "level", 2: "state_2", 5: "state_5", 7: "state_7"}


def test_a_name_that_looks_like_a_numbered_one_stays():
    assert attribute_names([(1, "X"), (2, "X 5"), (5, "X")]) == {1: "x_1", 2: "x_5", 5: "x_5_5"}


def test_nothing_left_of_a_name_leaves_the_id():
    assert attribute_names([(26, "温度")]) == {26: "resource_26"}


@given(
    st.dictionaries(
        st.integers(0, 65534), st.text(max_size=12) | st.sampled_from(["A", "a", "A 2", "If", "5"])
    )
)
def test_names_are_unique_identifiers_whatever_the_order(names):
    generated = attribute_names(names.items())
    assert generated.keys() == names.keys()
    assert len(set(generated.values())) == len(names)
    assert all(
        name.isidentifier() and name.isascii() and not keyword.iskeyword(name) for name in generated.values()
    )
    assert not any(name.startswith("_") for name in generated.values())
    assert attribute_names(reversed(names.items())) == generated
