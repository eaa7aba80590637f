// What the page does: a grid of seeds, one of them large, and the way from one seed to another.

import { labelOf, make, open, recordOf, toBytes } from "./generator.js";
import { encode, pixelsDigest } from "./png.js";

const COUNT = 16;
const FRAMES = 8;
const at = (id) => document.getElementById(id);
const PARTS = { grid: "Seeds", way: "Way", middle: "Between" };
const busy = { grid: 0, way: 0, middle: 0 }; // the newest drawing of each part; an older one ends
const channel = new MessageChannel();
const waiting = []; // what goes on with each of its messages
let running = 0; // drawings
let stopped = false; // all were, and none was begun since
let wayDue = false; // the way is to be drawn when the grid is
let pace = 0; // milliseconds for an image of the grid
const taken = {}; // the numbers of the fields, each as it was when the visitor had typed it
let model = null;
let shown = null; // the wish that is shown large, and its bytes

const say = (text) => at("status").textContent === text || (at("status").textContent = text); // once: it is read aloud

/** Takes the number in a field, within bounds; where there is none, its first one. The field shows what is taken. */
function take(id) {
  const { value, valueAsNumber, defaultValue, min, max, step } = at(id);
  const given = value === "" ? Number(defaultValue) : Math.min(max, Math.max(min, valueAsNumber));
  at(id).value = taken[id] = Number(step) === 1 ? Math.trunc(given) : given;
}

/** What the fields say of every image: asked once for a drawing, so that its images are alike. */
function settings() {
  const { truncation, flow } = model.about;
  const label = at("label").value === "" ? null : Number(at("label").value);
  const all = { label, truncation: truncation ? taken.truncation : 1 };
  if (!flow) return all;
  return { ...all, steps: taken.steps, guidance: flow.guidance === null ? null : taken.guidance };
}

/** Lets the page answer; setTimeout would wait for milliseconds each time. */
const pause = () =>
  new Promise((done) => {
    waiting.push(done);
    channel.port2.postMessage(null);
  });
channel.port1.onmessage = () => waiting.shift()();

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

/** Says whether a button does something. One that does not keeps the focus, as a disabled one would not. */
const allow = (button, can) => button.setAttribute("aria-disabled", !can);

/** An image that is not whole is not to be had large. */
function forbid(button) {
  allow(button, false);
  button.onclick = null;
}

/** Leaves a button without an image, of the size of one, so that nothing moves when it comes. */
function clear(button) {
  forbid(button);
  paint(button.firstChild, new Uint8Array(0));
  button.lastChild.textContent = "";
  button.removeAttribute("aria-label");
  button.tabIndex = -1; // it has no name
}

/** Says how far an image of a flow is; without one, that nothing is being made. */
function tell(part, i, count, step, steps) {
  at("doing").textContent = count ? `${PARTS[part]}: image ${i + 1} of ${count}, step ${step} of ${steps}` : "";
  at("progress").value = count ? step / steps : 0;
}

/** Fills a list with buttons, one for each wish, and draws them one after the other. Returns whether none took over. */
async function draw(part, wishes) {
  const mine = ++busy[part];
  const list = at(part);
  while (list.children.length < wishes.length) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(document.createElement("canvas"), document.createElement("span"));
    clear(button);
    list.append(button);
  }
  allow(at("stop"), ++running);
  if (stopped) say("Making images.");
  stopped = false;
  const began = performance.now();
  try {
    for (const [i, wish] of wishes.entries()) {
      const button = list.children[i];
      const caption = part === "grid" ? String(wish.seed) : "";
      const values = await make(model, wish, async (step, steps, soFar) => {
        await pause();
        if (mine !== busy[part]) return false;
        forbid(button);
        paint(button.firstChild, toBytes(soFar));
        button.lastChild.textContent = caption;
        tell(part, i, wishes.length, step, steps);
        return true;
      });
      if (mine !== busy[part]) break;
      const bytes = toBytes(values);
      paint(button.firstChild, bytes);
      button.lastChild.textContent = caption;
      button.setAttribute("aria-label", nameOf(wish));
      button.onclick = () => enlarge(wish, bytes);
      button.tabIndex = 0;
      allow(button, true);
      await pause(); // so that the page answers
    }
  } catch (error) {
    if (mine === busy[part]) halt(`Stopped: ${error.message ?? error}`);
  } finally {
    allow(at("stop"), --running);
    if (!running) tell();
  }
  const last = mine === busy[part];
  if (last && part === "grid") pace = (performance.now() - began) / wishes.length;
  if (last && !running && pace) say(`${pace.toFixed(0)} ms for an image`);
  return last;
}

/** Ends all drawings and says why; what is half made is taken away. */
function halt(why) {
  stopped = true;
  for (const part of Object.keys(busy)) {
    busy[part]++;
    at(part).querySelectorAll("[aria-disabled=true]").forEach(clear);
  }
  say(why);
}

/** Ends all drawings, as the visitor asks. The focus goes on to the first image that there is. */
function stop() {
  if (!running) return;
  halt("Stopped. Change a setting or a seed to make images again.");
  document.querySelector("#work ~ * [aria-disabled=false]")?.focus();
}

/** Draws the grid, and then the way: that of before ends. */
function drawAll() {
  busy.way++;
  busy.middle++;
  wayDue = true;
  return drawGrid();
}

async function drawGrid() {
  const all = settings();
  const wishes = Array.from({ length: COUNT }, (_, i) => ({ seed: taken.seed + i, ...all }));
  if ((await draw("grid", wishes)) && wayDue) await drawWay();
}

/** The wishes for images between the two seeds. */
function between(fractions) {
  const all = { seed: taken.from, to: taken.to, ...settings() };
  return fractions.map((fraction) => ({ fraction, ...all }));
}

const drawMiddle = () => draw("middle", between([Number(at("fraction").value)]));

async function drawWay() {
  const mine = ++busy.way;
  wayDue = false;
  await drawMiddle(); // another one may take over, as the slider moves: the way goes on
  const fractions = Array.from({ length: FRAMES }, (_, i) => Number((i / (FRAMES - 1)).toFixed(4)));
  if (mine === busy.way) await draw("way", between(fractions));
}

/** Shows an image large. */
function enlarge(wish, bytes) {
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
  take(id);
  at("large").close();
  drawWay();
}

/** Moves the grid to other seeds. */
function go(change) {
  at("seed").value = change(taken.seed);
  take("seed");
  drawGrid();
}

/** Gives a field the number of the model, which is allowed, however large it is. */
function offer(id, number) {
  at(id).max = Math.max(at(id).max, number);
  at(id).defaultValue = number;
}

function listen() {
  const deeds = {
    previous: () => go((seed) => seed - COUNT),
    next: () => go((seed) => seed + COUNT),
    random: () => go(() => crypto.getRandomValues(new Uint32Array(1))[0]),
    stop,
    save,
    start: () => use("from"),
    end: () => use("to"),
    close: () => at("large").close(),
  };
  for (const [id, deed] of Object.entries(deeds)) at(id).addEventListener("click", deed);
  at("label").addEventListener("change", drawAll);
  const fields = { seed: drawGrid, from: drawWay, to: drawWay, truncation: drawAll, steps: drawAll, guidance: drawAll };
  for (const [id, deed] of Object.entries(fields)) {
    take(id);
    at(id).addEventListener("change", () => {
      take(id);
      deed();
    });
  }
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
  at("amounts").hidden = at("work").hidden = !about.flow;
  at("ways").hidden = (about.flow?.guidance ?? null) === null;
  for (const id of ["steps", "guidance"]) offer(id, about.flow?.[id] ?? 0);
  at("note").textContent = about.note;
  listen();
  at("tool").hidden = false;
  say("Making images.");
  await drawAll();
}

begin().catch((error) => say(`The model could not be started: ${error.message ?? error}`));
