/** Speech to Opus packets by the browser's own encoder: an eighth of the bytes of 16-bit samples. */

import { SPEECH_RATE } from "./resampler.js";

const CONFIG = {
  codec: "opus",
  sampleRate: SPEECH_RATE,
  numberOfChannels: 1,
  bitrate: 32_000, // as in browsers' calls
  opus: { application: "voip", frameDuration: 20_000 },
};
const WAITING = 64; // frames in the encoder; more of them wait in the backlog, where they can still be sent again

const FRAME = 320; // samples of one Opus frame
const MOST_FRAMES = 6; // in a packet: 120 ms (RFC 6716, section 3.4)

const samplesOf = (us) => Math.round((us * SPEECH_RATE) / 1_000_000);

/** As an Opus packet says it: up to 251 in one byte, more in two (RFC 6716, section 3.2.1). */
const lengthOf = ({ length }) => (length < 252 ? [length] : [252 + (length & 3), (length - 252 - (length & 3)) >> 2]);

/**
 * Packets of one frame each, of the same configuration, as one packet (RFC 6716, section 3.2.5).
 *
 * @param {Uint8Array[]} packets
 */
export function joined(packets) {
  if (packets.length === 1) return packets[0];
  const frames = packets.map((packet) => packet.subarray(1));
  const head = [packets[0][0] | 3, 0x80 | frames.length, ...frames.slice(0, -1).flatMap(lengthOf)];
  return new Uint8Array([...head, ...frames.flatMap((frame) => [...frame])]);
}

export class SpeechEncoder {
  /** Whether this browser has one (Node has none). */
  static async isSupported() {
    if (typeof AudioEncoder === "undefined") return false;
    try {
      return (await AudioEncoder.isConfigSupported(CONFIG)).supported === true;
    } catch (error) {
      if (error instanceof TypeError || error instanceof DOMException) return false;
      throw error;
    }
  }

  /**
   * `onPacket(bytes)` in order; what is encoded in one go comes in one packet. `onFailed(error)` when there will be no more of them.
   *
   * @param {{onPacket: (packet: Uint8Array) => void, onFailed: (error: Error) => void}} handlers
   */
  constructor({ onPacket, onFailed }) {
    this._given = 0; // samples
    this._made = 0;
    this._late = Infinity; // samples that the encoder has at least, whenever a packet comes
    this._packets = [];
    this._onPacket = onPacket;
    this._encoder = new AudioEncoder({ output: (chunk) => this._take(chunk), error: onFailed });
    this._encoder.configure(CONFIG);
  }

  /** @param {EncodedAudioChunk} chunk */
  _take(chunk) {
    if (this._encoder.state === "closed") return;
    this._made += samplesOf(chunk.duration ?? CONFIG.opus.frameDuration);
    const packet = new Uint8Array(chunk.byteLength);
    chunk.copyTo(packet);
    if (this._packets.length && (packet[0] & 3 || packet[0] !== this._packets[0][0])) this._send();
    this._packets.push(packet);
    const inside = this._given - this._made;
    this._late = Math.min(this._late, inside);
    const follows = inside - this._late >= FRAME;
    if (!follows || packet[0] & 3 || this._packets.length === MOST_FRAMES) this._send();
  }

  _send() {
    if (this._packets.length) this._onPacket(joined(this._packets.splice(0)));
  }

  get isFull() {
    return this._encoder.encodeQueueSize >= WAITING;
  }

  /** @param {Int16Array} pcm */
  encode(pcm) {
    const timestamp = Math.round((this._given * 1_000_000) / SPEECH_RATE);
    const init = { format: "s16", sampleRate: SPEECH_RATE, numberOfFrames: pcm.length, numberOfChannels: 1, timestamp, data: pcm };
    const sound = new AudioData(/** @type {AudioDataInit} */ (init));
    this._given += pcm.length;
    this._encoder.encode(sound);
    sound.close();
  }

  /** Resolves when everything that was given is in packets, to the samples of silence that fill the last of them. */
  async flush() {
    await this._encoder.flush();
    this._send();
    const filled = this._made - this._given;
    this._given = this._made;
    this._late = Infinity;
    return filled;
  }

  close() {
    if (this._encoder.state !== "closed") this._encoder.close();
  }
}
