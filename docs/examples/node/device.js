// A device in Node: three calls on one connection.
//
//   npm ci && node device.js HOST:PORT ID [comms.proto]
//
// It presses Mode and Play, after a second Stop, shows its LEDs and counts what it hears.
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const [address, id, proto = fileURLToPath(new URL("../../../comms.proto", import.meta.url))] =
  process.argv.slice(2);
// Names as they are in the file. Unset fields stay unset: an unset event is no press of BUTTON_1.
const messages = loadSync(proto, { keepCase: true, enums: String, oneofs: true });
const { DeviceService } = grpc.loadPackageDefinition(messages).com.opalcamera.test;
// Not below 20 s: a PING too many ends the connection.
const channel = { "grpc.keepalive_time_ms": 30_000 };
const client = new DeviceService(address, grpc.credentials.createInsecure(), channel);
const identity = new grpc.Metadata();
identity.set("device_id", id);

const fail = (call) => (error) => {
  console.error(`${call}: ${error.message}`); // connect again, after a pause that grows
  process.exit(1);
};

// Answer every request, in order; draw all six LEDs from each `set`.
let leds = {};
let frames = 0;
const status = client.StatusStream(identity);
status.on("error", fail("StatusStream")).on("data", (request) => {
  if (request.request === "set") {
    leds = request.set;
    frames += 1;
    const colours = [0, 1, 2, 3, 4, 5].map((n) => (leds[`led_${n}`]?.rgba ?? 0) >>> 8);
    console.log("LEDs", ...colours.map((colour) => colour.toString(16).padStart(6, "0")));
    status.write({ status: "success" });
  } else {
    status.write({ state: leds });
  }
});

// Each message is one Opus packet of 20 ms at most: a real device decodes it.
let packets = 0;
const audio = client.ServerAudioStream({ start: true }, identity);
const heard = new Promise((resolve) => {
  audio.on("error", fail("ServerAudioStream")).on("data", (packet) => {
    if (packet.is_start) {
      console.log("a take begins");
      packets = 0;
    }
    packets += 1;
    if (packet.is_end) {
      console.log(`a take ends after ${packets} packets`);
      resolve();
    }
  });
});

// One event, then one response, before the next event.
const events = client.EventStream(identity);
const acks = events.on("error", fail("EventStream"))[Symbol.asyncIterator]();
async function press(button) {
  events.write({ button_event: { button_id: button, event: "PRESS" } });
  const { value } = await acks.next();
  console.log("pressed", button, "ack:", value.ack);
}

setTimeout(fail("device"), 10_000, new Error("no take has ended within 10 s")).unref();
await press("BUTTON_2");
await press("BUTTON_4");
await sleep(1000);
await press("BUTTON_3");
await heard;
process.exit(frames ? 0 : 1);
