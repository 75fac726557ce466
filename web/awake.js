/** The screen stays on while it is wanted: a phone that goes dark hides the words that are lit, and stops its microphone. */

export class Awake {
  constructor() {
    this._wanted = false;
    this._lock = null;
    this._settled = Promise.resolve();
    document.addEventListener("visibilitychange", () => this._settle()); // a browser takes it back when the page is hidden
  }

  keep(wanted) {
    if (wanted === this._wanted) return;
    this._wanted = wanted;
    this._settle();
  }

  /** One after the other. */
  _settle() {
    this._settled = this._settled.then(async () => {
      const held = Boolean(this._lock) && !this._lock.released;
      if (held && !this._wanted) await this._lock.release();
      else if (!held && this._wanted && !document.hidden) {
        this._lock = await navigator.wakeLock?.request("screen").catch(() => null); // the battery is low
      }
    });
  }
}
