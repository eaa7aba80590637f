// Writes a PNG file with the record of how its image was made, in two of the places where gen looks for it: a text for
// each field, and XMP.

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n;
});
const utf8 = (text) => new TextEncoder().encode(text);

function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}

function number(value) {
  const four = new Uint8Array(4);
  new DataView(four.buffer).setUint32(0, value);
  return four;
}

function chunk(kind, content) {
  const body = joined(utf8(kind), content);
  const crc = ~body.reduce((c, byte) => CRC[(c ^ byte) & 255] ^ (c >>> 8), -1);
  return joined(number(content.length), body, number(crc >>> 0));
}

const text = (name, value) => chunk("iTXt", joined(utf8(name), new Uint8Array(5), utf8(value)));

async function compressed(content) {
  const stream = new Blob([content]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const escaped = (value) => value.replace(/[&<>]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign]);

/** The sha256 of pixels as gen has it, or null where the browser gives none: on a page that came by plain http. */
export async function pixelsDigest(pixels, [height, width, channels]) {
  if (!globalThis.crypto?.subtle) return null;
  const content = joined(utf8(`uint8[${height}, ${width}, ${channels}]`), pixels);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Encodes bytes [h w c], c 1 or 3, with a record. packet: XMP with "@record@" and "@date@" to be filled in. */
export async function encode(pixels, [height, width, channels], record, packet) {
  const row = width * channels;
  const lines = new Uint8Array(height * (row + 1)); // each begins with 0: stored as it is
  for (let y = 0; y < height; y++) lines.set(pixels.subarray(y * row, (y + 1) * row), y * (row + 1) + 1);
  const header = joined(number(width), number(height), Uint8Array.of(8, channels === 1 ? 0 : 2, 0, 0, 0));
  const fields = { "@record@": escaped(JSON.stringify(record)), "@date@": escaped(record["gen:date"]) };
  return joined(
    Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10),
    chunk("IHDR", header),
    ...Object.entries(record).map(([name, value]) => text(name, String(value))),
    text("XML:com.adobe.xmp", packet.replace(/@record@|@date@/g, (place) => fields[place])),
    chunk("IDAT", await compressed(lines)),
    chunk("IEND", new Uint8Array(0)),
  );
}
