// Opus packets as an Ogg Opus file (RFC 3533 and RFC 7845), bit for bit as they came.

import { PACKET_SAMPLES, RATE_HZ } from "./packet.js";

const SERIAL = 1;
const SEGMENTS_MAX = 255;
const FIRST = 2, LAST = 4;

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte << 24;
  for (let bit = 0; bit < 8; bit++) value = (value << 1) ^ (value & 0x80000000 ? 0x04c11db7 : 0);
  return value >>> 0;
});

/** @param {Uint8Array} bytes */
function checksum(bytes) {
  let crc = 0;
  for (const byte of bytes) crc = ((crc << 8) ^ CRC[(crc >>> 24) ^ byte]) >>> 0;
  return crc;
}

// The lacing values of a packet: 255 for as often as it goes, then the rest, which may be 0.
/** @param {Uint8Array} packet */
function lacing(packet) {
  const whole = Math.floor(packet.length / 255);
  return [...Array(whole).fill(255), packet.length % 255];
}

/**
 * @param {Uint8Array<ArrayBuffer>[]} packets
 * @param {{ flags: number, granule: number, sequence: number }} head
 */
function page(packets, { flags, granule, sequence }) {
  const segments = packets.flatMap(lacing);
  const header = new Uint8Array(27 + segments.length);
  const view = new DataView(header.buffer);
  header.set(new TextEncoder().encode("OggS"));
  header[5] = flags;
  view.setBigUint64(6, BigInt(granule), true);
  view.setUint32(14, SERIAL, true);
  view.setUint32(18, sequence, true);
  header[26] = segments.length;
  header.set(segments, 27);
  const bytes = join([header, ...packets]);
  new DataView(bytes.buffer).setUint32(22, checksum(bytes), true);
  return bytes;
}

/** @param {Uint8Array<ArrayBuffer>[]} parts */
function join(parts) {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function head() {
  const bytes = new Uint8Array(19);
  bytes.set(new TextEncoder().encode("OpusHead"));
  bytes[8] = 1;
  bytes[9] = 1;
  new DataView(bytes.buffer).setUint32(12, RATE_HZ, true);
  return bytes;
}

function tags() {
  const vendor = new TextEncoder().encode("streaming-audio-server");
  const bytes = new Uint8Array(16 + vendor.length);
  bytes.set(new TextEncoder().encode("OpusTags"));
  new DataView(bytes.buffer).setUint32(8, vendor.length, true);
  bytes.set(vendor, 12);
  return bytes;
}

// Packets in pages: as many as a page has room for.
/** @param {Uint8Array<ArrayBuffer>[]} packets */
function* batches(packets) {
  /** @type {Uint8Array<ArrayBuffer>[]} */
  let batch = [], segments = 0;
  for (const packet of packets) {
    const needed = lacing(packet).length;
    if (segments + needed > SEGMENTS_MAX) {
      yield batch;
      [batch, segments] = [[], 0];
    }
    batch.push(packet);
    segments += needed;
  }
  yield batch;
}

/** @param {Uint8Array<ArrayBuffer>[]} packets */
export function oggOpus(packets) {
  const pages = [page([head()], { flags: FIRST, granule: 0, sequence: 0 })];
  pages.push(page([tags()], { flags: 0, granule: 0, sequence: 1 }));
  let done = 0;
  for (const batch of batches(packets)) {
    done += batch.length;
    const flags = done === packets.length ? LAST : 0;
    pages.push(page(batch, { flags, granule: done * PACKET_SAMPLES, sequence: pages.length }));
  }
  return new Blob(pages, { type: "audio/ogg; codecs=opus" });
}
