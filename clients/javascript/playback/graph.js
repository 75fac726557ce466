/** The audio graph: playout worklet -> volume -> meter -> loudspeaker. */

const METER_SAMPLES = 4096;
const VOLUME_GLIDE_S = 0.015;

export class AudioGraph {
  /**
   * `onReport` gets what playout-worklet.js reports, `onState()` is called when `state` changes. `worklet`: the
   * address of playout-worklet.js where this module lies elsewhere, as in a bundle.
   */
  static async open({ rate, onReport, onState, worklet = new URL("playout-worklet.js", import.meta.url) }) {
    const context = new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
    try {
      await context.audioWorklet.addModule(worklet);
    } catch (error) {
      void context.close();
      throw error;
    }
    // A touch that came while the module was loading found nobody to wake.
    if (navigator.userActivation?.hasBeenActive) void context.resume();
    return new AudioGraph(context, onReport, onState);
  }

  constructor(context, onReport, onState) {
    this._context = context;
    this._node = new AudioWorkletNode(context, "rhapsode-playout", { numberOfInputs: 0, outputChannelCount: [1] });
    this._volume = new GainNode(context);
    this._meter = new AnalyserNode(context, { fftSize: METER_SAMPLES });
    this._wave = new Float32Array(METER_SAMPLES);
    this._node.connect(this._volume).connect(this._meter).connect(context.destination);
    this._node.port.onmessage = ({ data }) => onReport(data);
    context.onstatechange = () => onState();
  }

  get state() {
    return this._context.state;
  }

  /**
   * From a sample leaving the worklet to it being heard. Without the system's part in Firefox (153), which asks the
   * sound server for it under a lock that its audio thread needs as well: the tab can stand still for good.
   */
  get latencyMs() {
    const isFirefox = globalThis.navigator?.userAgent?.includes("Firefox/");
    const output = isFirefox ? 0 : this._context.outputLatency || 0;
    return 1000 * (output + (this._context.baseLatency || 0));
  }

  /** Works only after the user has touched the page; until then the state stays "suspended". */
  resume() {
    return this._context.resume();
  }

  close() {
    this._context.onstatechange = null;
    void this._context.close();
  }

  push(samples, ms, epoch, speed) {
    this._node.port.postMessage({ order: "push", samples, ms, epoch, speed }, [samples.buffer]);
  }

  /** One of finish, clear (with the new epoch), hold, release. */
  order(order, epoch) {
    this._node.port.postMessage({ order, epoch });
  }

  /** The loudspeaker by its id, "" is the system's choice. Rejects with a DOMException if it cannot be used. */
  setOutput(id) {
    return this._context.setSinkId(id);
  }

  setVolume(volume) {
    this._volume.gain.setTargetAtTime(volume, this._context.currentTime, VOLUME_GLIDE_S);
  }

  /** Root mean square of the last tenth of a second that went to the loudspeaker. */
  rms() {
    this._meter.getFloatTimeDomainData(this._wave);
    const power = this._wave.reduce((sum, sample) => sum + sample * sample, 0) / METER_SAMPLES;
    return Math.sqrt(power);
  }
}
