// The microphone of this computer: its level, and its sound as Opus packets of 20 ms.

import { Refusal } from "./ask.js";
import { oggOpus } from "./ogg.js";
import { PACKET_S, RATE_HZ } from "./packet.js";

/** @type {AudioEncoderConfig} */
const OPUS = {
  codec: "opus", sampleRate: RATE_HZ, numberOfChannels: 1, bitrate: 64_000,
  opus: { frameDuration: PACKET_S * 1e6 },
};
const LATE_MAX = 50;  // packets that may wait for an encoder that is too slow

export const INSECURE = "Browsers give the microphone to pages over HTTPS or of this computer (localhost) only: " +
  "open this page by such an address.";
const NO_MICROPHONE = "This browser gives pages no microphone.";
const NO_OPUS = "This browser cannot encode Opus (WebCodecs): record an announcement instead.";
/** @type {Record<string, string>} */
const REFUSALS = {
  NotAllowedError: "The microphone is not allowed to this page: allow it in the browser's settings of the page.",
  NotFoundError: "This computer has no microphone.",
  NotReadableError: "The microphone is in use by another program, or broken.",
};

// Why there can be no microphone here; null where there can.
export function whyNot() {
  if (!window.isSecureContext) return INSECURE;
  return navigator.mediaDevices && window.AudioWorkletNode ? null : NO_MICROPHONE;
}

export async function canEncode() {
  if (!window.AudioEncoder) return false;
  return (await AudioEncoder.isConfigSupported(OPUS).catch(() => null))?.supported === true;
}

// What hears the microphone, until it is closed. Raises `Refusal`, in the user's words.
class Microphone {
  /** @type {MediaStream} */
  stream;
  /** @type {AudioContext} */
  #context;

  /** @param {MediaStream} stream @param {AudioContext} context */
  constructor(stream, context) {
    this.stream = stream;
    this.#context = context;
  }

  // `take` gets each piece of 20 ms, `lost` is called when the microphone is taken away.
  /** @param {(piece: Float32Array<ArrayBuffer>) => void} take @param {() => void} lost */
  static async open(take, lost) {
    const why = whyNot();
    if (why) throw new Refusal(0, why);
    const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: true };
    const stream = await navigator.mediaDevices.getUserMedia({ audio }).catch((error) => {
      throw new Refusal(0, REFUSALS[error.name] ?? NO_MICROPHONE);
    });
    const context = new AudioContext({ sampleRate: RATE_HZ });
    const microphone = new Microphone(stream, context);
    try {
      await context.audioWorklet.addModule("/static/microphone-worklet.js");
      const node = new AudioWorkletNode(context, "pieces", { numberOfOutputs: 0 });
      node.port.onmessage = ({ data }) => take(data);
      context.createMediaStreamSource(stream).connect(node);
      await context.resume();
    } catch {
      microphone.close();
      throw new Refusal(0, NO_MICROPHONE);
    }
    for (const track of stream.getTracks()) track.onended = lost;
    return microphone;
  }

  close() {
    for (const track of this.stream.getTracks()) track.stop();
    this.#context.close().catch(() => {});
  }
}

// The loudness of a piece, from 0 to 1: the full scale is 50 dB.
/** @param {Float32Array} piece */
function level(piece) {
  let sum = 0;
  for (const sample of piece) sum += sample * sample;
  return Math.max(0, Math.min(1, 1 + Math.log10(Math.sqrt(sum / piece.length) + 1e-9) / 2.5));
}

// Give each packet to `take` until `close` is called, and the level of each to `meter`.
/**
 * @param {(packet: Uint8Array<ArrayBuffer>) => void} take @param {(level: number) => void} meter
 * @param {(why: string) => void} lost
 */
export async function packets(take, meter, lost) {
  if (!await canEncode()) throw new Refusal(0, whyNot() ?? NO_OPUS);
  const encoder = new AudioEncoder({
    output: (chunk) => {
      const packet = new Uint8Array(chunk.byteLength);
      chunk.copyTo(packet);
      take(packet);
    },
    error: () => lost(NO_OPUS),
  });
  encoder.configure(OPUS);
  let at = 0;
  const microphone = await Microphone.open((piece) => {
    meter(level(piece));
    if (encoder.state !== "configured" || encoder.encodeQueueSize > LATE_MAX) return;
    const sound = new AudioData({
      format: "f32", sampleRate: RATE_HZ, numberOfFrames: piece.length, numberOfChannels: 1,
      timestamp: Math.round(1e6 * at * PACKET_S), data: piece,
    });
    at += 1;
    encoder.encode(sound);
    sound.close();
  }, () => lost(REFUSALS.NotReadableError)).catch((error) => {
    encoder.close();
    throw error;
  });
  const close = async () => {
    microphone.close();
    if (encoder.state !== "configured") return;
    await encoder.flush().catch(() => {});
    encoder.close();
  };
  return { close };
}

// Record until `close`, which gives a sound file.
/** @param {(level: number) => void} meter @param {(why: string) => void} lost */
export async function record(meter, lost) {
  if (!await canEncode()) return recordOtherwise(meter, lost);
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const all = [];
  const sound = await packets((packet) => all.push(packet), meter, lost);
  const close = async () => {
    await sound.close();
    return oggOpus(all);
  };
  return { close };
}

// By a browser without encoders of its own for pages, in a format that it likes.
/** @param {(level: number) => void} meter @param {(why: string) => void} lost */
async function recordOtherwise(meter, lost) {
  if (!whyNot() && !window.MediaRecorder) throw new Refusal(0, NO_MICROPHONE);
  const microphone = await Microphone.open((piece) => meter(level(piece)),
    () => lost(REFUSALS.NotReadableError));
  const recorder = new MediaRecorder(microphone.stream);
  /** @type {Blob[]} */
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.start();
  const close = async () => {
    if (recorder.state !== "inactive") {
      const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve, { once: true }));
      recorder.stop();
      await stopped;
    }
    microphone.close();
    return new Blob(parts, { type: recorder.mimeType });
  };
  return { close };
}
