/** Chunks of a sentence to samples. Both decoders: decode(data, audio) of an `audio.chunk`, finish(), reset(), close(), and a rate. */

import { opusPackets, pcm16ToFloat } from "../frames.js";

const OPUS = { codec: "opus", sampleRate: 48_000, numberOfChannels: 1 };
const PACKET_US = 20_000;

/** "opus" where the browser can decode raw packets, else "pcm16". */
export async function bestCodec() {
  if (typeof AudioDecoder === "undefined") return "pcm16";
  try {
    return (await AudioDecoder.isConfigSupported(OPUS)).supported ? "opus" : "pcm16";
  } catch (error) {
    if (error instanceof TypeError || error instanceof DOMException) return "pcm16";
    throw error;
  }
}

/** Calls `onSamples(samples, ms)` in order, `onFinished()` after the last of them. */
export function makeDecoder(codec, handlers) {
  return codec === "opus" ? new OpusDecoder(handlers) : new PcmDecoder(handlers);
}

class OpusDecoder {
  constructor({ onSamples, onFinished, onError }) {
    this.rate = OPUS.sampleRate;
    this._onSamples = onSamples;
    this._onFinished = onFinished;
    this._onError = onError;
    this._open();
  }

  _open() {
    this._decoder = new AudioDecoder({
      output: (data) => this._output(data),
      error: (error) => {
        this._open(); // a decoder that failed is closed for good
        this._onError(error);
      },
    });
    this._decoder.configure(OPUS);
  }

  _output(data) {
    const samples = new Float32Array(data.numberOfFrames);
    data.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
    const ms = data.timestamp / 1000;
    data.close();
    this._onSamples(samples, ms);
  }

  decode({ chunk, at_ms: atMs }, audio) {
    if (chunk === 0) this._flush(); // each sentence stands alone
    opusPackets(audio).forEach((data, number) => {
      const timestamp = atMs * 1000 + number * PACKET_US;
      this._decoder.decode(new EncodedAudioChunk({ type: "key", timestamp, data }));
    });
  }

  async finish() {
    if (await this._flush()) this._onFinished();
  }

  reset() {
    this._decoder.reset();
    this._decoder.configure(OPUS);
  }

  close() {
    if (this._decoder.state !== "closed") this._decoder.close();
  }

  /** False if a reset came in between. */
  async _flush() {
    try {
      await this._decoder.flush();
      return true;
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return false;
      throw error;
    }
  }
}

class PcmDecoder {
  constructor({ onSamples, onFinished }) {
    this.rate = 24_000;
    this._onSamples = onSamples;
    this.finish = onFinished;
  }

  decode({ at_ms: atMs }, audio) {
    this._onSamples(pcm16ToFloat(audio), atMs);
  }

  reset() {}

  close() {}
}
