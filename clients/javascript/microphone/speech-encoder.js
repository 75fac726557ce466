/** Speech to Opus packets of 20 ms by the browser's own encoder: an eighth of the bytes of 16-bit samples. */

import { SPEECH_RATE } from "./resampler.js";

const CONFIG = {
  codec: "opus",
  sampleRate: SPEECH_RATE,
  numberOfChannels: 1,
  bitrate: 32_000, // as in browsers' calls
  opus: { application: "voip", frameDuration: 20_000 },
};
const WAITING = 64; // frames in the encoder; more of them wait in the backlog, where they can still be sent again

const samplesOf = (us) => Math.round((us * SPEECH_RATE) / 1_000_000);

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
   * `onPacket(bytes)` in order; `onFailed(error)` when there will be no more of them.
   *
   * @param {{onPacket: (packet: Uint8Array) => void, onFailed: (error: Error) => void}} handlers
   */
  constructor({ onPacket, onFailed }) {
    this._given = 0; // samples
    this._made = 0;
    this._encoder = new AudioEncoder({
      output: (chunk) => {
        if (this._encoder.state === "closed") return;
        this._made += samplesOf(chunk.duration ?? CONFIG.opus.frameDuration);
        const packet = new Uint8Array(chunk.byteLength);
        chunk.copyTo(packet);
        onPacket(packet);
      },
      error: onFailed,
    });
    this._encoder.configure(CONFIG);
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
    const filled = this._made - this._given;
    this._given = this._made;
    return filled;
  }

  close() {
    if (this._encoder.state !== "closed") this._encoder.close();
  }
}
