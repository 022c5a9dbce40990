// An LwM2M client made with npm coap-node, driven line by line.
//
//   node coap_node_client.js FOLDER HOST PORT ENDPOINT
//
// FOLDER holds node_modules/coap-node. Prints one JSON object a line: {"event": ...}. Reads commands from
// standard input: "set OID IID RID VALUE", "deregister", "quit".
'use strict';

const path = require('path');
const readline = require('readline');

// Makes coap-node take fixed network data instead of asking the system for its interfaces.
process.env.npm_lifecycle_event = 'test';

const [folder, host, port, endpoint] = process.argv.slice(2);
const load = (name) => require(require.resolve(name, { paths: [path.resolve(folder)] }));
const CoapNode = load('coap-node');
const SmartObject = load('smartobject');

const say = (event, more) => console.log(JSON.stringify(Object.assign({ event: event }, more)));

const objects = new SmartObject();
objects.init('temperature', 0, { sensorValue: 21.5, units: 'Cel' });
objects.init('lightCtrl', 0, { onOff: 0 });

const node = new CoapNode(endpoint, objects, {
    lifetime: 120, manuf: 'coap-node', model: 'interop', serial: '0001', firmware: '0.2.5'
});

node.on('error', (error) => say('error', { text: String(error) }));

node.register(host, Number(port), (error, response) => {
    if (error || !/^2/.test(response.status)) {
        say('refused', { text: String(error || response.status) });
        process.exit(1);
    }
    say('registered', { status: response.status, location: node.locationPath });
});

readline.createInterface({ input: process.stdin }).on('line', (line) => {
    const [command, oid, iid, rid, value] = line.trim().split(/\s+/);
    if (command === 'set') {
        objects.write(oid, Number(iid), rid, JSON.parse(value), (error) => say('set', { ok: !error }));
    } else if (command === 'get') {
        objects.read(oid, Number(iid), rid, (error, data) => say('value', { value: data }));
    } else if (command === 'deregister') {
        node.deregister((error, response) => say('deregistered', { status: response && response.status }));
    } else if (command === 'quit') {
        process.exit(0);
    }
}).on('close', () => process.exit(0));
