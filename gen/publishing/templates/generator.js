// The model: seeds and classes in, pixels out. It runs in the browser by ONNX Runtime, on the processor.

import * as ort from "./ort.wasm.min.mjs";
import { drawnLabel, normal } from "./random.js";

ort.env.wasm.numThreads = 1; // more need headers that few static hosts send
ort.env.logLevel = "error";

/** Loads what gen.export wrote about the model, and the model. */
export async function open() {
  const about = await (await fetch("page.json")).json();
  const session = await ort.InferenceSession.create("model.onnx", { executionProviders: ["wasm"] });
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

/** Makes an image: values in [0, 1] of [h w c]. */
export async function make({ about, session }, wish) {
  const latent = latentOf(about, wish).map((value) => value * Math.fround(wish.truncation ?? 1));
  const inputs = { latent: new ort.Tensor("float32", latent, [1, about.latent]) };
  const label = labelOf(about, wish.seed, wish.label);
  if (label !== null) inputs.label = new ort.Tensor("int32", Int32Array.of(label), [1]);
  return (await session.run(inputs)).images.data;
}

/** Rounds values to bytes as gen does: to the nearest, halves to the even one. */
export function toBytes(values) {
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
  return {
    ...about.record,
    "gen:seed": between ? `${wish.seed},${wish.to}` : wish.seed,
    ...(label === null ? {} : { "gen:label": about.classes[label] }),
    ...(between ? { "gen:interpolation": wish.fraction } : {}),
    "gen:truncation": wish.truncation ?? 1,
    "gen:date": `${new Date().toISOString().slice(0, 19)}Z`,
  };
}
