"""Who has credentials registers with them and in no other way; what is secret is seen nowhere."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from lwm2m_engine.coap import Code
from lwm2m_server.cli.main import lwm2m
from lwm2m_server.simulator.device import RegistrationRefused


@pytest.fixture
def run(server):
    def run(*words):
        result = CliRunner().invoke(lwm2m, [*words, "--url", server.http])
        assert result.exit_code == 0, result.output
        return result.output

    return run


async def test_who_has_a_key_does_not_register_without(server, api, device, run):
    one = await device(server, "one", live=False)
    await one.register()
    assert (await api.get("one")).json()["node"]["labels"]
    run("credentials", "generate", "one")
    # The registration has ended with what it rested on, and cannot begin anew like that.
    assert (await one.update()).code == Code.NOT_FOUND
    with pytest.raises(RegistrationRefused, match="pre-shared key"):
        await one.register()
    assert "registration refused" in server.errors()
    assert "has a pre-shared key and has to use it" in server.errors()
    run("credentials", "add", "one", "--mode", "nosec")
    await one.register()
    run("credentials", "remove", "one")
    assert (await one.update()).code == Code.NOT_FOUND
