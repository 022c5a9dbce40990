"""What a customer does to a node, by name and by id, in long and in short names."""

import pytest

BY_ID = "/device-management-orchestrator/v3/~/main"
SECRET = "Q3hhc21FTUw3NFNiUlIzUw=="
KEYS = {
    "true": ("node", "credentials", "deviceInfo", "labels", "resourceID"),
    "false": ("m2m:nod", "m2m:crds", "m2m:dvi", "lbl", "ri"),
}


class Caller:
    """Says what it wants in one form of names and addresses."""

    def __init__(self, api, by_id, full):
        self._api, self._by_id, self._full = api, by_id, full
        self.node, self.credentials, self.info, self.labels, self.ri = KEYS[full]
        self.ids = {}

    async def call(self, method, name, body=None, ty=None, query=""):
        where = {"base": BY_ID} if self._by_id else {}
        path = f"/{self.ids[name]}" if self._by_id else f"/{name}"
        headers = {"fullName": self._full}
        return await self._api.call(method, f"{path}{query}", ty, body, headers=headers, **where)

    async def learn(self):
        """The ids of the node and of what is below it now."""
        answer = await self._api.get("/device001?rcn=4", headers={"fullName": self._full})
        node = answer.json()[self.node]
        self.ids = {"device001": node[self.ri]}
        for key, name in ((self.credentials, "credentials"), (self.info, "device-info")):
            for child in node.get(key, ()):
                self.ids[f"device001/{name}"] = child[self.ri]
        return node


@pytest.fixture(params=["true", "false"], ids=["long", "short"])
def full(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["by name", "by id"])
async def caller(request, api, full):
    await api.add_device("device001", lbl=["a:b", "registrations_timestamp: 1"])
    found = Caller(api, request.param, full)
    await found.learn()
    return found


async def test_labels_are_replaced(caller):
    body = {caller.node: {caller.labels: ["c:d", "updates_timestamp: 5"]}}
    answer = await caller.call("PUT", "device001", body, query="?rcn=1")
    assert answer.status_code == 200
    assert answer.json()[caller.node][caller.labels] == ["c:d"]


async def test_device_info_is_made_anew(caller):
    assert (await caller.call("DELETE", "device001/device-info")).status_code == 200
    assert (await caller.call("GET", "device001/device-info")).status_code == 404
    info = {
        "rn": "device-info",
        "mgd": 1007,
        "man": "ACME",
        "mod": "M5",
        "dty": "meter",
        "dlb": "x",
        "loc": None,
    }
    assert (await caller.call("POST", "device001", {caller.info: info}, 13)).status_code == 201
    (made,) = (await caller.learn())[caller.info]
    assert "ACME" in made.values()


async def test_credentials_are_made_anew(api, caller):
    assert (await caller.call("DELETE", "device001/credentials")).status_code == 200
    assert api.devices.forgotten == ["device001"]
    credentials = {"dc": "cred", "mgd": 1029, "rn": "credentials", "crid": "device001", "crse": SECRET}
    answer = await caller.call("POST", "device001", {caller.credentials: credentials}, 13)
    assert answer.status_code == 201
    assert SECRET not in answer.text
    (made,) = (await caller.learn())[caller.credentials]
    assert {"device001", "***"} <= set(made.values())
    node = api.ledger.reader.device_named("main", "device001").node
    assert api.credentials.find(node, "management").text == SECRET
    for words in ({"crid": "UNDEFINED", "crse": "UNDEFINED"}, {"crid": None, "crse": None}):
        body = {caller.credentials: {"crid": "device001", "crse": SECRET}}
        assert (await caller.call("PUT", "device001/credentials", body)).status_code == 200
        assert (
            await caller.call("PUT", "device001/credentials", {caller.credentials: words})
        ).status_code == 200
        (made,) = (await caller.learn())[caller.credentials]
        assert list(made.values()).count("UNDEFINED") == 2


async def test_a_node_goes_and_comes_back(api, caller):
    assert (await caller.call("DELETE", "device001")).status_code == 200
    assert (await caller.call("GET", "device001")).status_code == 404
    await api.add_device("device001")
    node = await caller.learn()
    assert caller.labels not in node
    boxes = await api.get("/device-communication/device001?rcn=8")
    assert len(boxes.json()["container"]["container"]) == 5
