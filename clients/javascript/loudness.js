/** How loud sound is, for the eye. Pure. */

const SILENCE_DB = -60;
const LOUD_DB = -12;

/** Root mean square of 16-bit samples; 1 is the loudest there can be. */
export function rmsOf(pcm) {
  let power = 0;
  for (const sample of pcm) power += (sample / 32_768) ** 2;
  return pcm.length ? Math.sqrt(power / pcm.length) : 0;
}

/** 0 is silence, 1 is loud. */
export function loudness(rms) {
  const db = 20 * Math.log10(Math.max(rms, 1e-9));
  return Math.max(0, Math.min(1, (db - SILENCE_DB) / (LOUD_DB - SILENCE_DB)));
}
