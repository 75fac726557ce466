/** Both voices to be seen: a ribbon for each, as high as it is loud; two bars for users who want no motion. */

const PAUSE_MS = 17; // between a picture and the next one that the browser makes: thirty a second
const CALM_MS = 50; // the same for users who want no motion
const RISE = 0.5;
const FALL = 0.14;
const STILL = 0.004; // of a level: below this there is nothing to see
const POINTS = 64;
const STRANDS = [
  { height: 1, turns: 1.5, pace: 0.0041, alpha: 0.22 },
  { height: 0.72, turns: 2.2, pace: -0.0033, alpha: 0.34 },
  { height: 0.46, turns: 3.1, pace: 0.0057, alpha: 0.6 },
];
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const eased = (before, now) => before + (now - before) * (now > before ? RISE : FALL);

export class Wave {
  /** `levels()` gives {mine, theirs}, each from 0 to 1. Colours come from --mine, --theirs and the colour of the canvas. */
  constructor(canvas, levels) {
    this._canvas = canvas;
    this._brush = canvas.getContext("2d");
    this._levels = levels;
    this._voices = { mine: 0, theirs: 0 };
    this._running = false;
    this._flat = false;
    this._next = null;
    new ResizeObserver(() => this._fit()).observe(canvas);
  }

  run(on) {
    if (on === this._running) return;
    this._running = on;
    this._voices = { mine: 0, theirs: 0 };
    if (on) this._await();
  }

  _fit() {
    const { clientWidth, clientHeight } = this._canvas;
    this._canvas.width = Math.round(clientWidth * devicePixelRatio);
    this._canvas.height = Math.round(clientHeight * devicePixelRatio);
    this._flat = false;
  }

  /** Between pictures the browser is asked for none: one that changes nothing costs as much as another. */
  _await() {
    clearTimeout(this._next);
    this._next = setTimeout(() => requestAnimationFrame((now) => this._frame(now)), calm.matches ? CALM_MS : PAUSE_MS);
  }

  _frame(now) {
    if (!this._running) return;
    this._await();
    const levels = this._levels();
    for (const voice of ["mine", "theirs"]) this._voices[voice] = eased(this._voices[voice], levels[voice]);
    const flat = Math.max(this._voices.mine, this._voices.theirs) < STILL;
    if (flat && this._flat) return;
    this._flat = flat;
    this._draw(now);
  }

  _draw(now) {
    const { width, height } = this._canvas;
    const colours = getComputedStyle(this._canvas);
    const colour = (name) => colours.getPropertyValue(name).trim();
    this._brush.clearRect(0, 0, width, height);
    if (calm.matches) {
      this._bar(colour("color"), 0.3, 1, 0.35);
      this._bar(colour("color"), 0.7, 1, 0.35);
      this._bar(colour("--mine"), 0.3, this._voices.mine);
      this._bar(colour("--theirs"), 0.7, this._voices.theirs);
      return;
    }
    this._brush.globalAlpha = 1;
    this._brush.fillStyle = colour("color");
    this._brush.fillRect(0, height / 2 - devicePixelRatio / 2, width, devicePixelRatio);
    this._ribbon(colour("--theirs"), this._voices.theirs, now, 1);
    this._ribbon(colour("--mine"), this._voices.mine, -now, 1.25);
    this._brush.globalAlpha = 1;
  }

  _bar(colour, place, share, alpha = 1) {
    const { width, height } = this._canvas;
    this._brush.globalAlpha = alpha;
    this._brush.fillStyle = colour;
    const thick = Math.max(4 * devicePixelRatio, height * 0.12);
    this._brush.fillRect((width * (1 - share)) / 2, height * place - thick / 2, width * share, thick);
  }

  /** Between a wave and its mirror image; towards both ends it becomes a line. */
  _ribbon(colour, level, now, turning) {
    if (level < STILL) return;
    const { width, height } = this._canvas;
    this._brush.fillStyle = colour;
    for (const { height: share, turns, pace, alpha } of STRANDS) {
      const at = (n) => {
        const x = (2 * n) / POINTS - 1;
        const swing = Math.sin(x * Math.PI * turns * turning + now * pace);
        return (height / 2) * level * share * (1 - x * x) ** 2 * (0.35 + 0.65 * swing);
      };
      this._brush.globalAlpha = alpha;
      this._brush.beginPath();
      for (let n = 0; n <= POINTS; n += 1) this._brush.lineTo((width * n) / POINTS, height / 2 - at(n));
      for (let n = POINTS; n >= 0; n -= 1) this._brush.lineTo((width * n) / POINTS, height / 2 + at(n));
      this._brush.fill();
    }
  }
}
