// A packet of sound as the server sends it: flags, the Opus packet, and PCM where it was asked for.

const START = 1, END = 2, CUT = 4;
const HEADER_BYTES = 3;

export const PACKET_SAMPLES = 960;
export const RATE_HZ = 48000;
export const PACKET_S = PACKET_SAMPLES / RATE_HZ;

/** @param {ArrayBuffer} buffer */
export function unpack(buffer) {
  const view = new DataView(buffer);
  const flags = view.getUint8(0), length = view.getUint16(1);
  const rest = HEADER_BYTES + length;
  return {
    isStart: Boolean(flags & START),
    isEnd: Boolean(flags & END),
    isCut: Boolean(flags & CUT),
    opus: new Uint8Array(buffer, HEADER_BYTES, length),
    pcm: rest < buffer.byteLength ? new Int16Array(buffer.slice(rest)) : null,
  };
}
