"""The flow for Node-RED: it takes what the sink sends, and its functions say who came."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support.appearances import event, record
from tests.support.brokers import MqttBroker
from tests.support.deliveries import delivering
from tests.support.deployment import DEPLOY
from tests.support.processes import wait_until
from tests.support.readings import reading

from onlooker.record.log.writer import Writer

NODES = {node["id"]: node for node in json.loads((DEPLOY / "node-red" / "flow.json").read_bytes())}

RUN = """
const messages = JSON.parse(require("fs").readFileSync(0));
const kept = {};
const flow = {get: name => kept[name], set: (name, value) => { kept[name] = value; }};
const told = [];
for (const {code, topic, payload} of messages) {
    const result = new Function("msg", "flow", code)({topic, payload}, flow);
    if (result) told.push(result.payload);
}
console.log(JSON.stringify(told));
"""


def inputs() -> dict[str, dict[str, Any]]:
    """Return the nodes that subscribe, by topic."""
    return {node["topic"]: node for node in NODES.values() if node["type"] == "mqtt in"}


def taken(topic: str) -> str | None:
    """Return the code of the function that gets the messages of a topic."""
    for pattern, node in inputs().items():
        if re.fullmatch(pattern.replace("+", "[^/]+"), topic):
            return str(NODES[node["wires"][0][0]]["func"])
    return None


def test_every_node_that_is_named_exists() -> None:
    assert len(NODES) == 11
    for node in NODES.values():
        for wire in node.get("wires", ()):
            assert set(wire) <= NODES.keys()
        assert node.get("z", "onlooker-flow") in NODES
        assert node["type"] != "mqtt in" or NODES[node["broker"]]["type"] == "mqtt-broker"


def test_it_says_what_the_sink_sends(mosquitto: MqttBroker, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node (Debian: apt install nodejs)")
    with Writer(tmp_path / "records.db") as log:
        log.append([record(1, event(1, "new", 0.0, 1.0))])
        log.append([record(2, event(1, "update", 0.0, 2.0, "ada"))])
        log.append([record(3, event(1, "update", 0.0, 3.0, "ada"))])
        log.append([record(4, event(1, "end", 0.0, 4.0, "ada"))])
        log.append([reading(5, "EXIT", 0.0, 5.0)])
        with delivering(log, mosquitto.config, tmp_path) as attempts:
            attempts.finish()
    assert wait_until(lambda: len(mosquitto.ids()) == 5, 60)
    messages = [
        {"code": code, "topic": topic, "payload": json.loads(body)}
        for topic, body, _ in mosquitto.messages
        if (code := taken(topic)) is not None
    ]
    told = subprocess.run(
        [node, "-e", RUN],
        input=json.dumps(messages),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = json.loads(told.stdout)
    assert found.count("ada came to door") == 1
    assert "ada at door" in found
    assert found.index("somebody at door") < found.index("ada at door")
    assert "nobody at door" in found
    assert "door shows EXIT" in found
