/** The microphone itself: asks for it, listens through the audio thread, and lets go of it. */

const WISHES = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/** Browsers take a wish for a device lightly, so it is a condition, as long as the device is there. */
async function streamOf(device) {
  const given = (audio) => navigator.mediaDevices.getUserMedia({ audio });
  if (!device) return given(WISHES);
  try {
    return await given({ ...WISHES, deviceId: { exact: device } });
  } catch (error) {
    const { name } = /** @type {DOMException} */ (error);
    if (!["OverconstrainedError", "NotFoundError"].includes(name)) throw error;
    return given(WISHES);
  }
}

export class Capture {
  /**
   * Rejects with a DOMException when there is none to be had. `onFrame(pcm)` gets 16-bit frames at 16 kHz;
   * `onLost(why)`, "unplugged" or "suspended", when there will be no more of them. `device`: its id, as far as it is
   * there; the browser chooses where it is not. `worklet`: the address of capture-worklet.js where this module lies
   * elsewhere, as in a bundle.
   */
  static async open({ device = null, onFrame, onLost, worklet = new URL("capture-worklet.js", import.meta.url) }) {
    const stream = await streamOf(device);
    let context = null;
    try {
      context = new AudioContext({ latencyHint: "interactive" });
      await context.audioWorklet.addModule(worklet);
      await context.resume();
      return new Capture({ stream, context, onFrame, onLost });
    } catch (error) {
      for (const track of stream.getTracks()) track.stop();
      void context?.close();
      throw error;
    }
  }

  constructor({ stream, context, onFrame, onLost }) {
    this._stream = stream;
    this._context = context;
    this._onLost = onLost;
    this._isOpen = true;
    this._node = new AudioWorkletNode(context, "rhapsode-capture", {
      channelCount: 1,
      channelCountMode: "explicit",
      outputChannelCount: [1],
    });
    this._node.port.onmessage = ({ data }) => onFrame(data);
    // Browsers only run what leads to the loudspeaker; this leads silence there.
    new MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(this._node).connect(context.destination);
    for (const track of stream.getTracks()) track.onended = () => this._lost("unplugged");
    context.onstatechange = () => context.state !== "running" && this._lost("suspended");
  }

  /** As the system calls it. */
  get label() {
    return this._stream.getAudioTracks()[0].label;
  }

  /** A muted microphone gives silence, and the browser shows that it does. */
  mute(muted) {
    for (const track of this._stream.getTracks()) track.enabled = !muted;
  }

  close() {
    if (!this._isOpen) return;
    this._isOpen = false;
    this._context.onstatechange = null;
    this._node.port.onmessage = null;
    this._node.port.postMessage("close");
    for (const track of this._stream.getTracks()) track.stop();
    void this._context.close();
  }

  _lost(why) {
    this.close();
    this._onLost(why);
  }
}
