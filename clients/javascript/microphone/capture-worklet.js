/** The audio thread's end of a microphone: posts frames of 16-bit speech. */

import { SpeechFrames } from "./speech-frames.js";

class CaptureProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this._frames = new SpeechFrames(sampleRate);
    this._open = true;
    this.port.onmessage = () => (this._open = false);
  }

  /** Makes no sound of its own: its output stays silent. */
  process([[samples]]) {
    if (samples) {
      for (const pcm of this._frames.push(samples)) this.port.postMessage(pcm, [pcm.buffer]);
    }
    return this._open;
  }
}

registerProcessor("rhapsode-capture", CaptureProcessor);
