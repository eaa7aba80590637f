// The steps of a flow from noise to an image, as gen.tasks.flow and gen.tasks.ode take them. Values are in single
// precision, z and dz/dt arrays of one image, around [-1, 1] at time 0; time 1 is noise.

const f = Math.fround;

/** Moves a time towards noise by a shift above 1, as gen.tasks.ode.shifted. */
const shifted = (time, shift) => (shift === 1 ? time : f(time / f(time + f(f(1 - time) / f(shift)))));

/** The times of so many steps: from 1 to that from which the last step goes to the image. */
export function times(steps, last, shift = 1) {
  const end = Math.max(f(1 / steps), f(last));
  const passed = (i) => f(f(f(1 - shifted(end, 1 / shift)) * i) / Math.max(steps - 1, 1));
  return Float32Array.from({ length: steps }, (_, i) => (i < steps - 1 ? shifted(f(1 - passed(i)), shift) : end));
}

/** The velocity that goes `guidance` of the way from that of the unknown class to that of the given one. */
export function guided(velocity, { guidance, between: [low, high] }) {
  const away = f(guidance);
  return async (z, time) => {
    const given = await velocity(z, time, true);
    if (away === 1 || time < f(low) || time > f(high)) return given;
    const unknown = await velocity(z, time, false);
    return given.map((value, i) => unknown[i] + away * (value - unknown[i]));
  };
}

const moved = (z, velocity, by) => z.map((value, i) => value + by * velocity[i]);

/**
 * Goes from noise to an image by Heun's method. velocity: async (z, time) -> dz/dt. seen: async (steps done, image that
 * is expected now) -> whether to go on. Returns null where it did not.
 */
export async function solve(velocity, noise, { steps, last, shift }, seen) {
  const grid = times(steps, last, shift);
  let z = noise;
  for (const [i, time] of grid.entries()) {
    const first = await velocity(z, time);
    const expected = moved(z, first, -time);
    if (i === steps - 1) return expected;
    if (!(await seen(i + 1, expected))) return null;
    const by = f(grid[i + 1] - time);
    const second = await velocity(moved(z, first, by), grid[i + 1]);
    z = z.map((value, k) => value + (by * (first[k] + second[k])) / 2);
  }
}
