// Sound of a microphone, mixed down to mono, in pieces of one packet.

import { PACKET_SAMPLES } from "./packet.js";

class Pieces extends AudioWorkletProcessor {
  #piece = new Float32Array(PACKET_SAMPLES);
  #at = 0;

  /** @param {Float32Array[][]} inputs */
  process([channels]) {
    const [first] = channels;
    for (let index = 0; index < (first?.length ?? 0); index += 1) {
      let sum = 0;
      for (const channel of channels) sum += channel[index];
      this.#piece[this.#at] = sum / channels.length;
      this.#at += 1;
      if (this.#at === PACKET_SAMPLES) this.#send();
    }
    return true;
  }

  #send() {
    this.port.postMessage(this.#piece, [this.#piece.buffer]);
    this.#piece = new Float32Array(PACKET_SAMPLES);
    this.#at = 0;
  }
}

registerProcessor("pieces", Pieces);
