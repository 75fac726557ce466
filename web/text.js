/** Unicode code points, which the log counts, against UTF-16 units, which JavaScript counts. Pure. */

/** The positions, in code points from `from`, of those characters of `text` that take two units. */
export function widePositions(text, from = 0) {
  const wide = [];
  let at = from;
  for (const character of text) {
    if (character.length === 2) wide.push(at);
    at += 1;
  }
  return wide;
}

export function codePoints(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** The unit at which code point `at` begins, given the (ascending) `wide` positions of its text. */
export function unitAt(wide, at) {
  let low = 0;
  let high = wide.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (wide[middle] < at) low = middle + 1;
    else high = middle;
  }
  return at + low;
}
