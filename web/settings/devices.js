/** Microphone and loudspeaker of this browser: a choice and a test for each. */

import { Capture } from "../client/microphone/capture.js";
import { loudness, rmsOf } from "../client/loudness.js";
import { make } from "../dom.js";
import { inWords, lacking } from "../microphone/trouble.js";
import { t } from "../strings.js";
import { canChooseOutput } from "../voice/devices.js";
import { choice, options, section } from "./fields.js";

const NAMES = { input: t("Microphone"), output: t("Loudspeaker") };
const TONES_HZ = [523, 659];
const TONE_S = 0.35;

function testButton(act) {
  const button = make("button", { type: "button", class: "quiet" }, t("Test"));
  button.addEventListener("click", () => act());
  return button;
}

export class DeviceSettings {
  constructor(devices) {
    this._devices = devices;
    this._capture = null;
    this._meter = make("progress", { max: "1", value: "0", "aria-label": t("Loudness of the microphone"), hidden: "" });
    this._hear = testButton(() => this._listen());
    const save = (kind) => (id) => this._choose(kind, id ?? "");
    this._fields = { input: choice(t("Microphone"), this._hear, save("input")) };
    this._fields.input.element.append(this._meter);
    if (canChooseOutput) this._fields.output = choice(t("Loudspeaker"), testButton(() => this._sound()), save("output"));
    this.element = section(t("Microphone and loudspeaker"), this._fields, t("Of this browser."));
    this._changed = () => this._show();
    navigator.mediaDevices?.addEventListener("devicechange", this._changed);
    void this._show();
  }

  /** The settings are closed. */
  close() {
    this._stop();
    navigator.mediaDevices?.removeEventListener("devicechange", this._changed);
  }

  async _show() {
    for (const [kind, field] of Object.entries(this._fields)) {
      const found = await this._devices.list(kind);
      const named = found.map(({ id, label }, number) => [id, label || `${NAMES[kind]} ${number + 1}`]);
      const chosen = this._devices.chosen(kind);
      const gone = chosen && !found.some(({ id }) => id === chosen) ? [[chosen, t("Not connected")]] : [];
      field.control.replaceChildren(); // labels come with the permission
      options(field, [["", t("The system's choice")], ...named, ...gone]);
      field.show(chosen);
    }
  }

  async _choose(kind, id) {
    await this._devices.choose(kind, id);
    this._fields[kind].say(null, "");
    if (kind !== "input" || !this._capture) return;
    this._stop();
    await this._listen();
  }

  /** Show how loud the microphone is, until the button is pressed again. */
  async _listen() {
    if (this._capture) {
      this._stop();
      return;
    }
    const { input } = this._fields;
    input.say(null, "");
    try {
      const missing = lacking(globalThis);
      if (missing) throw new DOMException(missing, missing);
      const capture = await Capture.open({
        device: this._devices.chosen("input"),
        onFrame: (pcm) => (this._meter.value = Math.max(loudness(rmsOf(pcm)), this._meter.value * 0.9)),
        onLost: (why) => {
          this._stop();
          input.say(null, inWords(why));
        },
      });
      if (!this.element.isConnected || this._capture) capture.close();
      else this._begun(capture);
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      input.say(null, inWords(error.name));
    }
  }

  _begun(capture) {
    this._capture = capture;
    this._meter.hidden = false;
    this._hear.textContent = t("Stop");
    this._fields.input.say(t("Say something"), "");
    void this._show();
  }

  _stop() {
    this._capture?.close();
    this._capture = null;
    this._meter.hidden = true;
    this._meter.value = 0;
    this._hear.textContent = t("Test");
    this._fields.input.say(null, null);
  }

  /** Two tones, one after the other. */
  async _sound() {
    const { output } = this._fields;
    const context = new AudioContext();
    try {
      await context.setSinkId(this._devices.chosen("output"));
      TONES_HZ.forEach((frequency, number) => {
        const at = context.currentTime + number * TONE_S;
        const volume = new GainNode(context, { gain: 0 });
        volume.gain.setTargetAtTime(0.25, at, 0.01);
        volume.gain.setTargetAtTime(0, at + TONE_S / 2, 0.05);
        const tone = new OscillatorNode(context, { frequency });
        tone.connect(volume).connect(context.destination);
        tone.start(at);
        tone.stop(at + 2 * TONE_S);
        tone.onended = () => number === TONES_HZ.length - 1 && void context.close();
      });
      output.say(t("Two tones are played"), "");
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      void context.close();
      output.say(null, t("The loudspeaker cannot be used ({name}).", { name: error.name }));
    }
  }
}
