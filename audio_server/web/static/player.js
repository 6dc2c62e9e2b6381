// Sound: packets are decoded as they come and scheduled one after the other on the audio clock.
//
// What is scheduled can be taken back: a cut, or a Stop that is only pressed, is silent at once.

import { PACKET_S, PACKET_SAMPLES, RATE_HZ } from "./packet.js";

// How long the first packet waits, so that those after it are there in time.
const JITTER_S = 0.06;
const LATE_S = 0.005;
// More than this is never on its way: the clock of a browser without a loudspeaker stands still.
const AHEAD_MAX_S = 4;

const UNDECODED = "A part of the sound was left out: this browser could not decode it.";

const OPUS = { codec: "opus", sampleRate: RATE_HZ, numberOfChannels: 1 };

// Not every browser has a decoder, none has it on a page that came by plain HTTP from elsewhere, and
// one that has it need not know Opus.
export async function canDecode() {
  if (!("AudioDecoder" in globalThis)) return false;
  return AudioDecoder.isConfigSupported(OPUS).then(({ supported }) => supported, () => false);
}

export class Player {
  /** @type {AudioContext | null} */
  #context = null;
  /** @type {AudioDecoder | null} */
  #decoder = null;
  /** @type {Set<AudioBufferSourceNode>} */
  #sources = new Set();
  #next = 0;          // when the next packet starts, on the context's clock
  #fed = 0;           // packets of the take that have been scheduled
  /** @type {boolean[]} */
  #starts = [];       // whether each packet that is being decoded opens a take
  /** @type {(text: string) => void} */
  #onFailure;

  /** @param {(text: string) => void} onFailure */
  constructor(onFailure) {
    this.#onFailure = onFailure;
  }

  // Browsers let sound out only once the user has done something, and some let none out at all.
  unlock() {
    try {
      this.#unlock();
    } catch {
      this.#onFailure("This browser plays no sound here. See what it says of its loudspeaker.");
    }
  }

  #unlock() {
    if (!this.#context) {
      this.#context = new AudioContext({ sampleRate: RATE_HZ, latencyHint: "interactive" });
      this.analyser = new AnalyserNode(this.#context, { fftSize: 2048, smoothingTimeConstant: 0 });
      this.analyser.connect(this.#context.destination);
    }
    if (this.#context.state === "suspended") this.#context.resume().catch(() => {});  // `state` says so
  }

  // Whether sound is let out, in words.
  get state() {
    if (!this.#context) return "starts with the first press";
    return this.#context.state === "running" ? "on" : "held back by the browser, or no loudspeaker";
  }

  /** @param {Packet} packet */
  accept(packet) {
    if (!this.#context || this.ahead > AHEAD_MAX_S) return;
    if (packet.isCut) {
      this.flush();
    } else if (packet.pcm) {
      this.#schedule(fromPcm(packet.pcm), packet.isStart);
    } else {
      this.#decode(packet);
    }
  }

  /** @param {Packet} packet */
  #decode(packet) {
    if (this.#decoder?.state !== "configured") this.#open();
    this.#starts.push(packet.isStart);
    this.#decoder?.decode(new EncodedAudioChunk({
      type: "key", timestamp: 0, duration: PACKET_S * 1e6, data: packet.opus,
    }));
  }

  #open() {
    this.#decoder = new AudioDecoder({
      output: (data) => this.#schedule(fromAudioData(data), this.#starts.shift()),
      error: () => this.#onFailure(UNDECODED),
    });
    this.#configure();
  }

  #configure() {
    this.#decoder?.configure(OPUS);
  }

  /** @param {AudioBuffer} buffer @param {boolean | undefined} isStart */
  #schedule(buffer, isStart) {
    if (!this.#context || !this.analyser) return;
    const now = this.#context.currentTime;
    if (this.#next < now + LATE_S) this.#next = Math.ceil((now + JITTER_S) * RATE_HZ) / RATE_HZ;
    if (isStart) this.#fed = 0;
    const source = new AudioBufferSourceNode(this.#context, { buffer });
    source.connect(this.analyser);
    source.onended = () => this.#sources.delete(source);
    this.#sources.add(source);
    source.start(this.#next);
    this.#next += buffer.length / RATE_HZ;
    this.#fed += 1;
  }

  // Nothing of what has come is heard any more.
  flush() {
    for (const source of this.#sources) {
      source.onended = null;
      source.stop();
      source.disconnect();
    }
    this.#sources.clear();
    this.#starts = [];
    this.#next = this.#fed = 0;
    if (this.#decoder?.state === "configured") {
      this.#decoder.reset();
      this.#configure();
    }
  }

  // Seconds of sound that have come and were not heard yet.
  get ahead() {
    return this.#context ? Math.max(0, this.#next - this.#context.currentTime) : 0;
  }

  // Seconds of the take that have been heard; null when nothing sounds.
  get position() {
    return this.ahead ? Math.max(0, this.#fed * PACKET_S - this.ahead) : null;
  }

  // How loud it is now to an ear: 0 at -60 dB of full scale and below, 1 at full scale.
  get level() {
    if (!this.analyser) return 0;
    const samples = new Float32Array(this.analyser.fftSize);
    this.analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    return power > 0 ? Math.max(0, Math.min(1, 1 + 10 * Math.log10(power) / 60)) : 0;
  }
}

/** @param {number} length */
const emptyBuffer = (length) => new AudioBuffer({ length, sampleRate: RATE_HZ });

/** @param {Int16Array} pcm */
function fromPcm(pcm) {
  const buffer = emptyBuffer(pcm.length);
  buffer.copyToChannel(Float32Array.from(pcm, (sample) => sample / 32768), 0);
  return buffer;
}

/** @param {AudioData} data */
function fromAudioData(data) {
  const buffer = emptyBuffer(data.numberOfFrames || PACKET_SAMPLES);
  const samples = new Float32Array(data.numberOfFrames);
  data.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
  data.close();
  buffer.copyToChannel(samples, 0);
  return buffer;
}
