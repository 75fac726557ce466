/** How the bytes on the wire are laid out. Pure. */

const decoder = new TextDecoder();

/** A binary frame: four bytes of length, that many bytes of the event's JSON, then its audio. */
export function parseFrame(buffer) {
  if (buffer.byteLength < 4) throw new RangeError("a binary frame is shorter than its own header");
  const length = new DataView(buffer).getUint32(0);
  if (buffer.byteLength < 4 + length) throw new RangeError("a binary frame is shorter than it says");
  const event = JSON.parse(decoder.decode(new Uint8Array(buffer, 4, length)));
  return { event, audio: new Uint8Array(buffer, 4 + length) };
}

/** Opus packets, each behind two bytes of length. */
export function opusPackets(bytes) {
  const packets = [];
  for (let at = 0; at < bytes.length;) {
    const length = (bytes[at] << 8) | bytes[at + 1];
    if (Number.isNaN(length) || at + 2 + length > bytes.length) throw new RangeError("an Opus packet is cut off");
    packets.push(bytes.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return packets;
}

/** Little-endian 16-bit samples as floats in [-1, 1). */
export function pcm16ToFloat(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const samples = new Float32Array(bytes.byteLength >> 1);
  for (let i = 0; i < samples.length; i += 1) samples[i] = view.getInt16(2 * i, true) / 32768;
  return samples;
}
