/** The microphone and the loudspeaker that were chosen in this browser, and what happens when one is unplugged. */

import { deviceChoices } from "../storage.js";
import { t } from "../strings.js";

const KINDS = { input: "audioinput", output: "audiooutput" };
const OF_THE_SYSTEM = ["", "default", "communications"]; // entries of browsers beside the devices themselves

export const canChooseOutput = "setSinkId" in (globalThis.AudioContext?.prototype ?? {});

export class Devices {
  /**
   * `onInput()`: another microphone was chosen; `onOutput(id)`: sound is to come out there, "" is the system's choice;
   * it may reject with a DOMException. `onTrouble(text)`: what the user should know.
   */
  constructor({ onInput, onOutput, onTrouble }) {
    this._on = { onInput, onOutput, onTrouble };
    this._output = ""; // the loudspeaker in use, which may be another one than was chosen
    navigator.mediaDevices?.addEventListener("devicechange", () => this._changed());
  }

  /** The id that was chosen for `kind`, "input" or "output"; "" is the system's choice. */
  chosen(kind) {
    return deviceChoices().read()?.[kind] ?? "";
  }

  /** [{id, label}] of `kind`; labels are empty until the user has allowed the microphone once. */
  async list(kind) {
    const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    const found = all.filter((one) => one.kind === KINDS[kind] && !OF_THE_SYSTEM.includes(one.deviceId));
    return found.map(({ deviceId: id, label }) => ({ id, label }));
  }

  async choose(kind, id) {
    deviceChoices().write({ ...deviceChoices().read(), [kind]: id });
    if (kind === "input") this._on.onInput();
    else await this._sound(id);
  }

  /** Sound comes out where it was chosen, as far as that is there. */
  async start() {
    if (canChooseOutput && this.chosen("output")) await this._changed();
  }

  /** A microphone that is unplugged says so itself. */
  async _changed() {
    const id = this.chosen("output");
    if (!id || !canChooseOutput) return;
    const isThere = (await this.list("output")).some((one) => one.id === id);
    if (isThere) await this._sound(id);
    else if (this._output === id) {
      await this._sound("");
      this._on.onTrouble(t("The loudspeaker was disconnected. Sound comes out of the system's loudspeaker."));
    }
  }

  async _sound(id) {
    if (id === this._output) return;
    try {
      await this._on.onOutput(id);
      this._output = id;
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      this._on.onTrouble(t("The loudspeaker cannot be used ({name}). Choose another one in the settings.", { name: error.name }));
    }
  }
}
