// What the page does: a grid of seeds, one of them large, and the way from one seed to another.

import { labelOf, make, open, recordOf, toBytes } from "./generator.js";
import { encode, pixelsDigest } from "./png.js";

const COUNT = 16;
const FRAMES = 8;
const LAST = 2 ** 32 - 1;
const at = (id) => document.getElementById(id);
const busy = { grid: 0, way: 0, middle: 0, large: 0 }; // the newest drawing of each part; an older one ends
let model = null;
let shown = null; // the wish that is shown large

const say = (text) => (at("status").textContent = text);
const seedIn = (id) => Math.min(LAST, Math.max(0, Math.trunc(Number(at(id).value)) || 0));
const settings = () => ({
  label: at("label").value === "" ? null : Number(at("label").value),
  truncation: model.about.truncation ? Number(at("truncation").value) : 1,
});
const pause = () => new Promise((done) => setTimeout(done));

/** Says which image it is. */
function nameOf(wish) {
  const label = labelOf(model.about, wish.seed, wish.label);
  const place = (wish.to ?? null) === null ? `seed ${wish.seed}` : `seed ${wish.seed} to ${wish.to}, ${wish.fraction}`;
  return label === null ? place : `${place}, ${model.about.classes[label]}`;
}

function paint(canvas, bytes) {
  const [height, width, channels] = model.about.shape;
  const picture = new ImageData(width, height);
  for (let i = 0; i < bytes.length / channels; i++) {
    for (let c = 0; c < 3; c++) picture.data[4 * i + c] = bytes[channels * i + (channels === 1 ? 0 : c)];
    picture.data[4 * i + 3] = 255;
  }
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

/** Fills a list with buttons, one for each wish, and draws them one after the other. */
async function draw(part, wishes) {
  const mine = ++busy[part];
  const list = at(part);
  while (list.children.length < wishes.length) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(document.createElement("canvas"), document.createElement("span"));
    paint(button.firstChild, new Uint8Array(0)); // so that nothing moves when the images come
    list.append(button);
  }
  const began = performance.now();
  for (const [i, wish] of wishes.entries()) {
    const bytes = toBytes(await make(model, wish));
    if (mine !== busy[part]) return;
    const button = list.children[i];
    paint(button.firstChild, bytes);
    button.lastChild.textContent = part === "grid" ? String(wish.seed) : "";
    button.setAttribute("aria-label", nameOf(wish));
    button.onclick = () => enlarge(wish);
    await pause(); // so that the page answers
  }
  if (part === "grid") say(`${((performance.now() - began) / wishes.length).toFixed(0)} ms for an image`);
}

function drawGrid() {
  const first = Math.min(seedIn("seed"), LAST - COUNT + 1);
  at("seed").value = first;
  return draw("grid", Array.from({ length: COUNT }, (_, i) => ({ seed: first + i, ...settings() })));
}

const between = (fraction) => ({ seed: seedIn("from"), to: seedIn("to"), fraction, ...settings() });

const drawMiddle = () => draw("middle", [between(Number(at("fraction").value))]);

async function drawWay() {
  await drawMiddle();
  await draw("way", Array.from({ length: FRAMES }, (_, i) => between(Number((i / (FRAMES - 1)).toFixed(4)))));
}

/** Shows an image large. */
async function enlarge(wish) {
  const mine = ++busy.large;
  const bytes = toBytes(await make(model, wish));
  if (mine !== busy.large) return;
  shown = { wish, bytes };
  paint(at("picture"), bytes);
  at("caption").textContent = nameOf(wish);
  at("picture").setAttribute("aria-label", nameOf(wish));
  for (const id of ["start", "end"]) at(id).hidden = (wish.to ?? null) !== null;
  if (!at("large").open) at("large").showModal();
}

async function save() {
  const { wish, bytes } = shown;
  const { shape, packet } = model.about;
  const record = recordOf(model.about, wish);
  const digest = await pixelsDigest(bytes, shape);
  if (digest) record["gen:pixels"] = digest;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([await encode(bytes, shape, record, packet)], { type: "image/png" }));
  link.download = `seed${[wish.seed, wish.to ?? []].flat().map((seed) => String(seed).padStart(4, "0")).join("-")}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function use(id) {
  at(id).value = shown.wish.seed;
  at("large").close();
  drawWay();
}

/** Moves the grid to other seeds. */
function go(change) {
  at("seed").value = Math.min(LAST - COUNT + 1, Math.max(0, change(seedIn("seed"))));
  drawGrid();
}

function listen() {
  const all = () => drawGrid().then(drawWay);
  const deeds = {
    previous: () => go((seed) => seed - COUNT),
    next: () => go((seed) => seed + COUNT),
    random: () => go(() => crypto.getRandomValues(new Uint32Array(1))[0]),
    save,
    start: () => use("from"),
    end: () => use("to"),
    close: () => at("large").close(),
  };
  for (const [id, deed] of Object.entries(deeds)) at(id).addEventListener("click", deed);
  for (const [id, deed] of Object.entries({ seed: drawGrid, label: all, truncation: all, from: drawWay, to: drawWay }))
    at(id).addEventListener("change", deed);
  at("truncation").addEventListener("input", () => (at("shrunk").value = at("truncation").value));
  at("fraction").addEventListener("input", drawMiddle);
}

async function begin() {
  model = await open();
  const { about } = model;
  document.title = at("name").textContent = about.name;
  about.classes.forEach((name, i) => at("label").append(new Option(name, i)));
  at("classes").hidden = !about.classes.length;
  at("truncations").hidden = !about.truncation;
  at("note").textContent = about.note;
  listen();
  at("tool").hidden = false;
  await drawGrid();
  await drawWay();
}

begin().catch((error) => say(`The model could not be started: ${error.message ?? error}`));
