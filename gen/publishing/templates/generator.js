// The model: seeds and classes in, pixels out. It runs in the browser by ONNX Runtime, on the processor.

import * as ort from "./ort.wasm.min.mjs";
import { guided, solve } from "./flow.js";
import { drawnLabel, normal } from "./random.js";

ort.env.wasm.numThreads = 1; // more need headers that few static hosts send
ort.env.logLevel = "error";

/** Loads what gen.export wrote about the model, and the model. */
export async function open() {
  const about = await (await fetch("page.json")).json();
  const options = { executionProviders: ["wasm"], logSeverityLevel: 3 }; // errors
  const session = await ort.InferenceSession.create("model.onnx", options);
  return { about, session };
}

/** The class that an image is of: the given one, else that of the seed; null for a model without classes. */
export function labelOf({ classes }, seed, label) {
  return classes.length ? (label ?? drawnLabel(seed, classes.length)) : null;
}

/** The great arc between two latents (Shoemake 1985), as gen.sample --interpolate has it. */
export function slerp(start, end, fraction) {
  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const norms = Math.sqrt(dot(start, start) * dot(end, end));
  const angle = norms > 0 ? Math.acos(Math.min(1, Math.max(-1, dot(start, end) / norms))) : 0;
  const straight = Math.sin(angle) < 1e-6;
  const weight = (part) => (straight ? part : Math.sin(part * angle) / Math.sin(angle));
  return start.map((value, i) => weight(1 - fraction) * value + weight(fraction) * end[i]);
}

/** The latent of a seed, or between it and a second one. */
export function latentOf({ latent }, { seed, to = null, fraction = 0 }) {
  const start = normal(seed, latent);
  return to === null ? start : slerp(start, normal(to, latent), fraction);
}

const one = (kind, values, shape = []) => new ort.Tensor(kind, values, [1, ...shape]);

/**
 * Makes an image: values in [0, 1] of [h w c]. seen: of a flow, async (step, steps, values so far) -> whether to go on;
 * returns null where it did not.
 */
export async function make(model, wish, seen = () => true) {
  const { about, session } = model;
  const latent = latentOf(about, wish).map((value) => value * Math.fround(wish.truncation ?? 1));
  const label = labelOf(about, wish.seed, wish.label);
  if (about.flow) return flowed(model, wish, latent, label, seen);
  const inputs = { latent: one("float32", latent, [about.latent]) };
  if (label !== null) inputs.label = one("int32", Int32Array.of(label));
  return (await session.run(inputs)).images.data;
}

/** The settings of a flow that decide an image; guidance is null where it has none. */
export function sampling({ flow }, wish) {
  return { steps: wish.steps ?? flow.steps, guidance: flow.guidance === null ? null : (wish.guidance ?? flow.guidance) };
}

async function flowed({ about, session }, wish, noise, label, seen) {
  const { unknown, last, shift, guidance_times } = about.flow;
  const { steps, guidance } = sampling(about, wish);
  const velocity = async (z, time, known) => {
    const inputs = { z: one("float32", z, about.shape), time: one("float32", Float32Array.of(time)) };
    if (label !== null) inputs.label = one("int32", Int32Array.of(known ? label : unknown));
    return (await session.run(inputs)).velocity.data;
  };
  const slope = guided(velocity, { guidance: guidance ?? 1, between: guidance_times });
  const pixels = (z) => z.map((value) => Math.min(1, Math.max(0, (value + 1) / 2)));
  const image = await solve(slope, noise, { steps, last, shift }, (step, z) => seen(step, steps, pixels(z)));
  return image && pixels(image);
}

/** Rounds values to bytes as gen does: to the nearest, halves to the even one. Refuses values that are not finite. */
export function toBytes(values) {
  if (!values.every(Number.isFinite)) throw new Error("the model makes images that are not finite, as it is set now");
  return Uint8Array.from(values, (value) => {
    const level = Math.fround(Math.min(1, Math.max(0, value)) * 255);
    const whole = Math.round(level);
    return whole - level === 0.5 && whole % 2 ? whole - 1 : whole;
  });
}

/** The record of an image, as gen writes it: `about.record` with what is of this image alone. */
export function recordOf(about, wish) {
  const label = labelOf(about, wish.seed, wish.label);
  const between = (wish.to ?? null) !== null;
  const { steps, guidance } = about.flow ? sampling(about, wish) : { steps: null, guidance: null };
  return {
    ...about.record,
    "gen:seed": between ? `${wish.seed},${wish.to}` : wish.seed,
    ...(label === null ? {} : { "gen:label": about.classes[label] }),
    ...(between ? { "gen:interpolation": wish.fraction } : {}),
    "gen:truncation": wish.truncation ?? 1,
    ...(steps === null ? {} : { "gen:steps": steps }),
    ...(guidance === null ? {} : { "gen:guidance": guidance }),
    "gen:date": `${new Date().toISOString().slice(0, 19)}Z`,
  };
}
