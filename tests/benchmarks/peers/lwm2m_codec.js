// Time npm lwm2m-codec on the TLV payload given as hex: prints µs per decode and per encode.
const codec = require('lwm2m-codec');

const payload = Buffer.from(process.argv[2], 'hex');
const rounds = Number(process.argv[3]);
const value = codec.decode('tlv', '/3/0', payload);

function median(work) {
  const times = [];
  for (let round = 0; round < 15; round++) {
    const before = process.cpuUsage();
    for (let i = 0; i < rounds; i++) work();
    const used = process.cpuUsage(before);
    times.push((used.user + used.system) / rounds);
  }
  return times.sort((a, b) => a - b)[7];
}

const decode = median(() => codec.decode('tlv', '/3/0', payload));
let encode = null;
try {
  codec.encode('tlv', '/3/0', value);
  encode = median(() => codec.encode('tlv', '/3/0', value));
} catch (error) {
  // It cannot write what it has read; the figure stays empty.
}
console.log(JSON.stringify({ decode, encode, values: Object.keys(value).length }));
