// The random numbers of jax, in JavaScript: what jax.random draws from jax.random.key(seed), with the partitionable
// Threefry that is its default. Words are unsigned 32-bit integers; a key is two of them.

const ROTATIONS = [[13, 15, 26, 6], [17, 29, 16, 24]];

/** Threefry-2x32 with 20 rounds (Salmon et al. 2011). */
function threefry([k0, k1], x0, x1) {
  const keys = [k0, k1, k0 ^ k1 ^ 0x1bd11bda];
  x0 = (x0 + k0) | 0;
  x1 = (x1 + k1) | 0;
  for (let i = 0; i < 5; i++) {
    for (const turn of ROTATIONS[i % 2]) {
      x0 = (x0 + x1) | 0;
      x1 = ((x1 << turn) | (x1 >>> (32 - turn))) ^ x0;
    }
    x0 = (x0 + keys[(i + 1) % 3]) | 0;
    x1 = (x1 + keys[(i + 2) % 3] + i + 1) | 0;
  }
  return [x0 >>> 0, x1 >>> 0];
}

const keyOf = (seed) => [0, seed >>> 0];
const foldIn = (key, data) => threefry(key, 0, data);
const split = (key) => [threefry(key, 0, 0), threefry(key, 0, 1)];

/** The word of a key at a place in an array. */
function word(key, place) {
  const [a, b] = threefry(key, 0, place);
  return (a ^ b) >>> 0;
}

const f = Math.fround;
const CENTRAL = [2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
  -0.00417768164, 0.246640727, 1.50140941].map(f);
const TAIL = [-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613,
  0.00943887047, 1.00167406, 2.83297682].map(f);

/** The inverse of the error function in single precision (Giles 2010), as XLA has it. */
function inverseErf(x) {
  let w = f(-Math.log1p(f(-x * x)));
  const central = w < 5;
  w = central ? f(w - 2.5) : f(f(Math.sqrt(w)) - 3);
  const [first, ...rest] = central ? CENTRAL : TAIL;
  return f(rest.reduce((sum, next) => f(next + f(sum * w)), first) * x);
}

const LOWEST = f(-1 + 2 ** -24);
const SQRT2 = f(Math.SQRT2);
const bits = new Uint32Array(1);
const single = new Float32Array(bits.buffer);

/** jax.random.normal(jax.random.key(seed), (count,)). */
export function normal(seed, count) {
  const key = keyOf(seed);
  return Float32Array.from({ length: count }, (_, place) => {
    bits[0] = (word(key, place) >>> 9) | 0x3f800000; // in [1, 2)
    const uniform = Math.max(LOWEST, f(f(f(single[0] - 1) * 2) + LOWEST));
    return SQRT2 * inverseErf(uniform);
  });
}

/** jax.random.randint(jax.random.fold_in(jax.random.key(seed), 1), (), 0, classes): the class that gen draws. */
export function drawnLabel(seed, classes) {
  const [high, low] = split(foldIn(keyOf(seed), 1)).map((key) => word(key, 0));
  const half = 65536 % classes;
  const factor = Math.imul(half, half) >>> 0; // 2^32 modulo classes, before the last modulo
  const sum = (Math.imul(high % classes, factor % classes) + (low % classes)) >>> 0;
  return sum % classes;
}
