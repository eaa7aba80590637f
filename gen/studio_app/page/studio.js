// The page of gen.studio: a state in the address, requests to the server, and what they answer. All text is in texts.js.
import { TEXT as T } from "./texts.js";

const $ = (id) => document.getElementById(id);
const VIEWS = ["explore", "walk", "photo", "refine", "verify", "saved"];
const SETTINGS = ["truncation", "temperature", "guidance", "top_p", "top_k", "steps"];
const LARGEST = 2 ** 32 - 1;

// What is made by code, never as HTML: names and prompts are others' text.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// ---- the secret, and requests
const opening = new URLSearchParams(location.hash.slice(1));
if (opening.get("token")) {
  sessionStorage.setItem("token", opening.get("token"));
  opening.delete("token");
  history.replaceState(null, "", "#" + opening);
}
const token = sessionStorage.getItem("token") || "";

async function post(path, body) {
  let answer;
  try {
    answer = await fetch(path, { method: "POST", body: JSON.stringify(body),
      headers: { "content-type": "application/json", "x-gen-token": token } });
  } catch { throw new Error(T.gone); }
  const told = await answer.json().catch(() => ({ error: T.gone }));
  if (!answer.ok) throw new Error(told.error || T.gone);
  return told;
}

const running = {};  // the job of each place on the page: a new one stops the one before
let current = null;

async function ask(action, given, place = "page") {
  if (!token) throw new Error(T.noToken);
  const mine = Symbol(action);
  const before = running[place];
  running[place] = { mine };
  if (before?.job) post("/api/job", { job: before.job, stop: 1 }).catch(() => {});
  const { job } = await post("/api/start", { action, given });
  if (running[place]?.mine === mine) running[place].job = job;
  const shown = setTimeout(() => { current = job; $("stop").hidden = false; say(T.waiting); }, 300);
  try {
    for (;;) {
      const outdated = running[place]?.mine !== mine;
      const told = await post("/api/job", { job, stop: outdated ? 1 : 0 });
      if (told.state === "done") {
        if ($("status").classList.contains("failed")) say(T.ready);
        return outdated ? null : told.result;
      }
      if (told.state === "failed") throw new Error(told.error);
      if (told.state === "stopped") { if (!outdated) say(T.stopped); return null; }
      $("progress").value = told.share;
      if (current === job && told.share) say(T.working(told.share));
    }
  } finally {
    clearTimeout(shown);
    if (current === job) { current = null; $("stop").hidden = true; if (!$("status").classList.contains("failed")) say(T.ready); }
    $("progress").value = 0;
    if (running[place]?.mine === mine) delete running[place];
  }
}

function say(text, failed = false) { $("status").textContent = text; $("status").classList.toggle("failed", failed); }
const tried = (call) => async (...given) => { try { return await call(...given); } catch (error) { say(error.message, true); } };
function tell(result) { $("command").textContent = result.command ?? ""; $("python").textContent = result.python ?? ""; }

// ---- the state
let state = {}, model = null, tiles = [];

function read() {
  const given = new URLSearchParams(location.hash.slice(1)), number = (name) => given.has(name) ? Number(given.get(name)) : null;
  const seeds = (given.get("seeds") ?? "0-15").split(",").flatMap((part) => {
    const [from, to] = part.split("-").map(Number);
    return to === undefined ? [from] : Array.from({ length: Math.max(1, Math.min(64, to - from + 1)) }, (_, i) => from + i);
  }).filter((seed) => Number.isInteger(seed) && seed >= 0 && seed <= LARGEST).slice(0, 64);
  const found = { view: VIEWS.includes(given.get("view")) ? given.get("view") : "explore", run: number("run") ?? 0,
    step: number("step"), seeds: seeds.length ? seeds : [0], label: number("label"), axis: given.get("axis") ?? "",
    prompt: given.get("prompt"), negative: given.get("negative"), refine: given.get("refine"),
    u: number("u") ?? 0, v: number("v") ?? 0, walk: (given.get("walk") ?? "0,1,2").split(",").map(Number) };
  for (const name of SETTINGS) found[name] = number(name);
  return found;
}

function written(of) {
  const text = new URLSearchParams(), { seeds } = of;
  const inRow = seeds.length > 1 && seeds.every((seed, i) => seed === seeds[0] + i);
  for (const [name, value] of Object.entries({ ...of, seeds: inRow ? `${seeds[0]}-${seeds.at(-1)}` : seeds.join(","), walk: of.walk.join(",") }))
    if (value !== null && value !== "" && value !== undefined) text.set(name, value);
  return "#" + text;
}

function change(part, { quiet = false } = {}) {
  state = { ...state, ...part };
  if (written(state) !== location.hash) history[quiet ? "replaceState" : "pushState"](null, "", written(state));
  if (!quiet) show();
}

function asked(of = state) {
  const given = { run: of.run, step: of.step, seeds: of.seeds };
  for (const name of ["label", "prompt", "negative", "refine", ...SETTINGS]) if (of[name] !== null && of[name] !== "" && of[name] !== undefined) given[name] = of[name];
  return given;
}

// ---- favorites
// By the digest of their run and their checkpoint, as another studio may have the runs in another order.
const kept = () => { try { return JSON.parse(localStorage.getItem("favorites") ?? "[]"); } catch { return []; } };
const favorites = () => kept().filter((one) => model.digests.includes(one.digest)).map((one) => ({ ...one, state: { ...one.state, run: model.digests.indexOf(one.digest) } }));
const fixed = (of) => ({ ...of, seeds: [of.seeds[0]], step: of.step ?? model.step });
const keyOf = (of) => model.digests[of.run] + JSON.stringify(asked({ ...fixed(of), run: 0 }));
const isFavorite = (of) => favorites().some((one) => keyOf(one.state) === keyOf(of));
function toggle(of, image) {
  const digest = model.digests[of.run], marked = isFavorite(of);
  const others = kept().filter((one) => one.digest !== digest || keyOf({ ...one.state, run: of.run }) !== keyOf(of));
  localStorage.setItem("favorites", JSON.stringify(marked ? others : [...others, { digest, state: fixed(of), image }].slice(-64)));
}

// ---- explore
function controls() {
  const form = $("controls"), rows = [];
  const field = (name, input, shown) => { input.id = `c-${name}`; rows.push(make("label", {}, make("span", {}, T[name]), input, shown ?? make("output"))); };
  field("seeds", make("input", { type: "number", min: 0, max: LARGEST, value: state.seeds[0],
    onchange: (e) => first(Number(e.target.value)) }));
  field("count", make("input", { type: "number", min: 1, max: 64, value: state.seeds.length,
    onchange: (e) => first(state.seeds[0], Number(e.target.value)) }));
  if (model.classes.length) {
    const select = make("select", { onchange: (e) => change({ label: e.target.value === "" ? null : Number(e.target.value) }) },
      make("option", { value: "" }, T.any), ...model.classes.map((name, i) => make("option", { value: i }, name)));
    select.value = state.label ?? "";
    field("label", select);
  }
  if (model.captions) for (const name of ["prompt", "negative"])
    field(name, make("input", { type: "text", value: state[name] ?? "", onchange: (e) => change({ [name]: e.target.value || null }) }));
  for (const { name, low, high, by } of model.settings) {
    const shown = make("output", {}, state[name] ?? T.default);
    field(name, make("input", { type: "range", min: low, max: high, step: by, value: state[name] ?? 1,
      oninput: (e) => { shown.textContent = e.target.value; }, onchange: (e) => change({ [name]: Number(e.target.value) }) }), shown);
  }
  form.replaceChildren(...rows);
  const axes = [["", T.none], ...(model.classes.length ? [["label", T.label]] : []), ...(model.steps.length > 1 ? [["step", T.step]] : []),
    ...model.settings.map(({ name }) => [name, T[name]])];
  $("axis").replaceChildren(...axes.map(([value, name]) => make("option", { value }, name)));
  $("axis").value = state.axis;
}

function first(seed, count = state.seeds.length) {
  const from = Math.max(0, Math.min(LARGEST - 63, Math.floor(seed) || 0)), many = Math.max(1, Math.min(64, Math.floor(count) || 1));
  change({ seeds: Array.from({ length: many }, (_, i) => from + i) });
}

function tile(image, of, name) {
  const button = make("button", { class: "tile", type: "button", "aria-label": T.seed(of.seeds[0], name), "aria-pressed": String(isFavorite(of)),
    onclick: () => open(of, image, name) }, make("img", { src: image, alt: "" }));
  button.state = of; button.image = image;
  return button;
}

const grid = tried(async () => {
  if (state.axis) return table();
  const placeholders = $("grid").children.length !== state.seeds.length || $("grid").querySelector("table");
  if (placeholders) $("grid").replaceChildren(...state.seeds.map(() => make("div", { class: "tile" })));
  const result = await ask("grid", asked(), "grid");
  if (!result) return;
  tell(result);
  const at = tiles.indexOf(document.activeElement);
  tiles = result.images.map((image, i) => tile(image, { ...state, seeds: [state.seeds[i]] }, result.labels?.[i]));
  $("grid").replaceChildren(...tiles);
  if (at >= 0) tiles[Math.min(at, tiles.length - 1)].focus();
});

async function table() {
  const setting = model.settings.find(({ name }) => name === state.axis), seeds = state.seeds.slice(0, 6);
  const spread = (all, most) => all.length <= most ? all : Array.from({ length: most }, (_, i) => all[Math.round(i * (all.length - 1) / (most - 1))]);
  const whole = ["top_k", "steps"].includes(state.axis);
  const values = state.axis === "label" ? spread(model.classes.map((_, i) => i), 10) : state.axis === "step" ? spread(model.steps, 6)
    : Array.from({ length: 5 }, (_, i) => setting.low + i * (setting.high - setting.low) / 4).map((x) => whole ? Math.round(x) : Number(x.toFixed(2)));
  const result = await ask("axes", { ...asked({ ...state, seeds }), axis: state.axis, values: values.map((value) => ({ value })) }, "grid");
  if (!result) return;
  tell(result);
  const title = (value) => state.axis === "label" ? model.classes[value] : String(value);
  tiles = [];
  const rows = seeds.map((seed, r) => make("tr", {}, make("th", { scope: "row" }, String(seed)), ...values.map((value, c) => {
    const one = tile(result.columns[c][r], { ...state, seeds: [seed], [state.axis]: value }, title(value));
    tiles.push(one);
    return make("td", {}, one);
  })));
  const head = make("tr", {}, make("td"), ...values.map((value) => make("th", { scope: "col" }, title(value))));
  $("grid").replaceChildren(make("div", { class: "wide-table" }, make("table", { class: "axes" }, head, ...rows)));
}

// ---- one image, large
let shown = null;
function open(of, image, name) {
  shown = { of, image };
  $("large-name").textContent = T.seed(of.seeds[0], name);
  $("large-image").src = image;
  $("large-image").alt = T.seed(of.seeds[0], name);
  const button = (text, call) => make("button", { type: "button", onclick: tried(call) }, text);
  const leave = (call) => async () => { $("large").close(); await call(); };
  const mark = button(isFavorite(of) ? T.unfavorite : T.favorite, () => { toggle(of, image); mark.textContent = isFavorite(of) ? T.unfavorite : T.favorite; marks(); });
  $("large-buttons").replaceChildren(...[mark, button(T.save, () => save([of])),
    model.can.walk && button(T.walkFrom, leave(() => change({ view: "walk", walk: distinct([of.seeds[0], ...state.walk.slice(1)]), label: of.label, u: 0, v: 0 }))),
    button(T.refineThis, leave(() => taken(of, "refine"))), model.can.inpaint && button(T.photoThis, leave(() => taken(of, "photo"))),
    button(T.verifyThis, leave(() => taken(of, "verify"))), button(T.nearest, () => near(of)), button(T.close, () => $("large").close())].filter(Boolean));
  $("large-more").replaceChildren(); $("large-note").textContent = "";
  if (!$("large").open) $("large").showModal();
}

async function near(of) {
  const result = await ask("nearest", asked({ ...of, seeds: [of.seeds[0]] }), "large");
  if (!result) return;
  $("large-more").replaceChildren(...result.images.map((image, i) => picture(image, T.near(result.distances[i], result.usual))));
  $("large-note").textContent = T.searched(result.searched);
}

const picture = (image, text) => make("figure", {}, make("img", { src: image, alt: text }), make("figcaption", {}, text));
function marks() { for (const one of tiles) one.setAttribute("aria-pressed", String(isFavorite(one.state))); if (state.view === "saved") saved(); }

async function save(states) {
  const result = await ask("save", { states: states.map((of) => asked({ ...of, seeds: [of.seeds[0]] })) }, "save");
  if (result) say(T.savedAs(result.files, result.folder));
}

// ---- walk
const distinct = (seeds) => [...new Set([...seeds, 0, 1, 2])].slice(0, 3);
let busy = false, again = false;
const walk = tried(async () => {
  $("spot").style.left = `${100 * state.u}%`; $("spot").style.top = `${100 * state.v}%`;
  $("u").value = state.u; $("v").value = state.v;
  if (busy) { again = true; return; }
  busy = true;
  try {
    do {
      again = false;
      const result = await ask("plane", { ...asked({ ...state, seeds: state.walk }), points: [{ u: state.u, v: state.v }] }, "walk");
      if (result) { $("walked").src = result.images[0]; $("walked").alt = T.place; tell(result); }
    } while (again);
  } finally { busy = false; }
});

let film = 0;
const play = tried(async () => {
  const result = await ask("interpolate", { ...asked({ ...state, seeds: state.walk }), frames: 12 }, "walk");
  if (!result) return;
  tell(result);
  clearInterval(film);
  let at = 0;
  film = setInterval(() => { if (at >= result.images.length) return clearInterval(film); $("walked").src = result.images[at++]; }, 60);
});

let strengths = new Array(8).fill(0);
function sliders() {
  $("moving").hidden = !model.can.directions;
  $("sliders").replaceChildren(...strengths.map((value, i) => make("label", {}, make("span", {}, T.direction(i)),
    make("input", { type: "range", min: -3, max: 3, step: 0.1, value, oninput: (e) => { strengths[i] = Number(e.target.value); move(); } }))));
}
let moving = false, moveAgain = false;
const move = tried(async () => {
  if (moving) { moveAgain = true; return; }
  moving = true;
  try {
    do {
      moveAgain = false;
      const result = await ask("edit", { ...asked({ ...state, seeds: [state.walk[0]] }), strengths: strengths.map((strength) => ({ strength })) }, "move");
      if (result) { $("moved").src = result.image; $("moved").alt = T.seed(state.walk[0]); tell(result); }
    } while (moveAgain);
  } finally { moving = false; }
});

// ---- images that are handed over
const held = { photo: null, refine: null, verify: null };
const base64 = (file) => new Promise((done, failed) => {
  const reader = new FileReader();
  reader.onload = () => done(String(reader.result).split(",")[1] ?? "");
  reader.onerror = () => failed(new Error(T.first));
  reader.readAsDataURL(file);
});

const handed = tried(async (file, view) => {
  if (!file) return;
  if (file.size > 32 * 2 ** 20) throw new Error(T.tooLarge);
  const result = await ask("upload", { name: file.name, content: await base64(file) }, view);
  if (result) await arrived(result, view);
});

async function taken(of, view) {
  const result = await ask("take", asked({ ...of, seeds: [of.seeds[0]] }), view);
  if (!result) return;
  change({ view });
  await arrived(result, view);
}

async function arrived(result, view) {
  held[view] = result;
  if (view === "photo") { $("photo-image").src = result.image; $("photo-image").alt = result.name; $("photo-tools").hidden = false; unpaint(); $("photo-results").replaceChildren(); }
  if (view === "refine") { at = null; $("overlay").hidden = true; for (const id of ["before", "after"]) { $(id).src = result.image; $(id).alt = T[id]; } await refine(); }
  if (view === "verify") await verify(result);
}

for (const view of Object.keys(held)) {
  const input = $(`${view}-file`), drop = input.closest(".drop");
  input.addEventListener("change", () => { handed(input.files[0], view); input.value = ""; });
  for (const name of ["dragover", "dragleave", "drop"]) $(view).addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop") handed(event.dataTransfer.files[0], view);
  });
}

// ---- photo
const paint = $("mask").getContext("2d");
let painted = false;
function unpaint() { paint.fillStyle = "#000"; paint.clearRect(0, 0, 256, 256); painted = false; }
$("mask").addEventListener("pointerdown", (event) => { $("mask").setPointerCapture(event.pointerId); stroke(event); });
$("mask").addEventListener("pointermove", (event) => { if (event.buttons) stroke(event); });
function stroke(event) {
  const box = $("mask").getBoundingClientRect(), x = 256 * (event.clientX - box.left) / box.width, y = 256 * (event.clientY - box.top) / box.height;
  paint.fillStyle = "#ff7a1a";
  paint.beginPath(); paint.arc(x, y, Number($("brush").value), 0, 7); paint.fill();
  painted = true; $("region").value = "";
}
function maskContent() {
  const plain = document.createElement("canvas"); plain.width = plain.height = 256;
  const to = plain.getContext("2d"), from = paint.getImageData(0, 0, 256, 256);
  for (let i = 0; i < from.data.length; i += 4) { const on = from.data[i + 3] > 127 ? 255 : 0; from.data.set([on, on, on, 255], i); }
  to.putImageData(from, 0, 0);
  return plain.toDataURL("image/png").split(",")[1];
}
const answersOf = async (action) => {
  if (!held.photo) throw new Error(T.first);
  const count = Math.max(1, Math.min(8, Number($("answers").value) || 1)), seeds = Array.from({ length: count }, (_, i) => i);
  const given = { ...asked({ ...state, refine: null, seeds }), id: held.photo.id };
  if (action === "inpaint") Object.assign(given, $("region").value ? { region: $("region").value } : painted ? { mask: maskContent() } : {});
  const result = await ask(action, given, "photo");
  if (!result) return;
  tell(result);
  const maps = Object.entries(result.maps ?? {}).map(([name, image]) => picture(image, T[name]));
  $("photo-results").replaceChildren(picture(result.given, T.given), ...result.images.map((image, i) => picture(image, result.psnr === undefined ? T.answer(seeds[i]) : T.psnr(result.psnr))), ...maps);
};

// ---- refine
let catalog = null, steps = [], at = null;
const presets = () => { try { return JSON.parse(localStorage.getItem("presets") ?? "{}"); } catch { return {}; } };
const literal = (value, kind) => value === "" ? null : kind === "str" ? `'${String(value).replaceAll("'", "")}'` : String(value);

const catalogue = tried(async () => {
  if (catalog) return;
  catalog = await ask("operators", {}, "operators");
  listed(); presetButtons();
});
function presetButtons() {
  $("presets").replaceChildren(...Object.entries({ ...catalog.presets, ...presets() }).map(([name, text]) =>
    make("button", { type: "button", onclick: () => { setChain(text); } }, name)));
}
function listed() {
  const text = $("search").value.toLowerCase();
  const fitting = catalog.operators.filter(({ name, about }) => `${name} ${about}`.toLowerCase().includes(text)).slice(0, 40);
  $("operators").replaceChildren(...fitting.map((one) => make("li", {},
    make("button", { type: "button", "aria-label": `${T.add} ${one.name}`, onclick: () => add(one) }, T.add), make("span", {}, make("b", {}, one.name), ` ${one.about}`))));
}
function add(one) {
  steps.push({ one, values: one.arguments.map(({ default: value, required, choices, kind }) => value ?? (required ? (choices ? choices[0] : kind === "str" ? "" : 1) : "")) });
  compose();
}
function compose() {
  const texts = steps.map(({ one, values }) => {
    const given = one.arguments.map((argument, i) => [argument, values[i]]).filter(([argument, value]) => value !== "" && value !== null && value !== argument.default);
    return given.length ? `${one.name}(${given.map(([argument, value]) => `${argument.name}=${literal(value, argument.kind === "bool" ? "bool" : argument.choices ? (Number.isNaN(Number(argument.choices[0])) ? "str" : "number") : argument.kind)}`).join(", ")})` : one.name;
  });
  $("chain").value = texts.join("|");
  forms(); refine();
}
function forms() {
  $("chain-steps").replaceChildren(...steps.map((step, s) => make("div", { class: "step" }, make("b", {}, step.one.name),
    ...step.one.arguments.map((argument, i) => {
      const set = (event) => { const raw = event.target.type === "checkbox" ? (event.target.checked ? "True" : "False") : event.target.value; step.values[i] = argument.choices || argument.kind === "str" || argument.kind === "bool" || raw === "" ? raw : Number(raw); compose(); };
      const input = argument.choices ? make("select", { onchange: set }, ...argument.choices.map((value) => make("option", { value, selected: String(step.values[i]) === value }, value)))
        : argument.kind === "bool" ? make("input", { type: "checkbox", checked: step.values[i] === true || step.values[i] === "True", onchange: set })
        : make("input", { type: argument.kind === "str" ? "text" : "number", step: "any", value: step.values[i], onchange: set, title: argument.help });
      return make("label", {}, make("span", {}, argument.name), input);
    }), make("button", { type: "button", "aria-label": `${T.remove} ${step.one.name}`, onclick: () => { steps.splice(s, 1); compose(); } }, T.remove))));
}
function setChain(text) { steps = []; forms(); $("chain").value = text; refine(); }

const refine = tried(async () => {
  const text = $("chain").value.trim();
  if (!held.refine) { if (text) say(T.first, true); return; }
  if (!text) { $("after").src = $("before").src; return; }
  const result = await ask("refine", { id: held.refine.id, chain: text, ...(at ? { at } : {}) }, "refine");
  if (!result) return;
  $("before").src = result.before; $("after").src = result.after; $("reduced").hidden = !result.reduced;
  tell(result);
});
$("split").addEventListener("input", () => { $("after").style.clipPath = `inset(0 0 0 ${$("split").value}%)`; });
$("compare").addEventListener("click", tried(async (event) => {
  if (!$("only-region").checked || !held.refine) return;
  const box = $("compare").getBoundingClientRect(), [height, width] = held.refine.size, scale = Math.min(box.width / width, box.height / height);
  const x = ((event.clientX - box.left) - (box.width - width * scale) / 2) / (width * scale), y = ((event.clientY - box.top) - (box.height - height * scale) / 2) / (height * scale);
  if (x < 0 || x > 1 || y < 0 || y > 1) return;
  at = { x, y };
  const result = await ask("find_region", { id: held.refine.id, x, y }, "region");
  if (result) { $("overlay").src = result.overlay; $("overlay").hidden = false; setTimeout(() => { $("overlay").hidden = true; }, 1200); }
  await refine();
}));
$("only-region").addEventListener("change", () => { if (!$("only-region").checked) { at = null; $("overlay").hidden = true; refine(); } });

// ---- verify
async function verify(result) {
  $("verified").src = result.image; $("verified").alt = result.name; $("verdict").replaceChildren();
  const found = await ask("verify", { id: result.id }, "verify");
  if (!found) return;
  tell(found);
  const entries = Object.entries(found.record);
  $("verdict").replaceChildren(...[make("p", { class: "verdict" }, found.title), make("p", {}, found.text), ...found.problems.map((text) => make("p", {}, text)),
    found.state && make("button", { type: "button", onclick: () => change({ ...read(), view: "explore", axis: "", prompt: null, negative: null, refine: null,
      ...Object.fromEntries(SETTINGS.map((name) => [name, null])), ...found.state, walk: state.walk }) }, T.again),
    make("h3", {}, T.record), entries.length ? make("dl", {}, ...entries.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))])) : make("p", {}, T.noRecord)].filter(Boolean));
}

// ---- favorites
function saved() {
  const all = favorites();
  $("save-all").disabled = !all.length;
  tiles = all.map(({ state: of, image }) => tile(image, of));
  $("favorites").replaceChildren(...(tiles.length ? tiles : [make("p", { class: "quiet" }, T.noFavorites)]));
}

// ---- all
let described = "";
const show = tried(async () => {
  const which = JSON.stringify([state.run, state.step]);
  if (which !== described) {
    model = await ask("describe", { run: state.run, step: state.step }, "describe");
    if (!model) return;
    described = which; strengths.fill(0);
  }
  $("run").replaceChildren(...model.runs.map((name, i) => make("option", { value: i }, name)));
  $("run").value = state.run;
  $("step").max = model.steps.length - 1; $("step").value = Math.max(0, model.steps.indexOf(model.step)); $("step").disabled = model.steps.length < 2;
  $("step-shown").textContent = state.step === null ? `${model.step} (${T.best})` : model.step;
  $("about").textContent = T.model(model);
  $("pages").replaceChildren(...Object.entries(model.pages).flatMap(([name, place]) => [make("a", { href: place, target: "_blank", rel: "noopener" }, T.pages[name]), " "]));
  const allowed = { explore: model.can.sample, walk: model.can.walk, photo: model.can.inpaint || model.can.upscale || model.can.project };
  if (allowed[state.view] === false) { change({ view: VIEWS.find((view) => allowed[view] ?? true) }); return; }
  $("tabs").replaceChildren(...VIEWS.filter((view) => allowed[view] ?? true).map((view) => make("button", { type: "button",
    "aria-current": view === state.view ? "page" : null, onclick: () => change({ view }) }, T[view])));
  for (const view of VIEWS) $(view).hidden = view !== state.view;
  for (const name of ["upscale", "project"]) $(name).hidden = !model.can[name];
  for (const name of ["inpaint", "region", "brush", "clear"]) ($(name).closest("label") ?? $(name)).hidden = !model.can.inpaint;
  $("mask").hidden = !model.can.inpaint;
  $("photo-image").parentElement.style.aspectRatio = `${model.size[1]} / ${model.size[0]}`;
  document.title = `${T[state.view]} · ${model.name}`;
  if (state.view === "explore") { controls(); await grid(); }
  if (state.view === "walk") { ["a", "b", "c"].forEach((name, i) => { $(`seed-${name}`).value = state.walk[i]; }); sliders(); await walk(); if (model.can.directions) await move(); }
  if (state.view === "refine") await catalogue();
  if (state.view === "saved") saved();
});

for (const element of document.querySelectorAll("[data-t]")) element.textContent = T[element.dataset.t];
$("region").replaceChildren(...["", "bottom_half", "top_half", "left_half", "right_half", "center", "border"].map((name) => make("option", { value: name }, T[name || "painted"])));
$("after").style.clipPath = "inset(0 0 0 50%)";
$("controls").addEventListener("submit", (event) => event.preventDefault());
$("run").addEventListener("change", () => change({ run: Number($("run").value), step: null, label: null, axis: "", prompt: null, negative: null, refine: null,
  ...Object.fromEntries(SETTINGS.map((name) => [name, null])) }));
$("step").addEventListener("change", () => change({ step: model.steps[Number($("step").value)] }));
$("previous").addEventListener("click", () => first(state.seeds[0] - state.seeds.length));
$("next").addEventListener("click", () => first(state.seeds[0] + state.seeds.length));
const random = () => first(crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000);
$("random").addEventListener("click", random);
$("axis").addEventListener("change", () => change({ axis: $("axis").value }));
$("undo").addEventListener("click", () => history.back());
addEventListener("popstate", () => { state = read(); show(); });
["a", "b", "c"].forEach((name, i) => $(`seed-${name}`).addEventListener("change", (event) => {
  const seed = Math.max(0, Math.min(LARGEST, Math.floor(Number(event.target.value)) || 0));
  const before = state.walk.indexOf(seed);  // two seeds that would be equal change places
  change({ walk: state.walk.map((old, j) => j === i ? seed : j === before ? state.walk[i] : old) });
}));
for (const name of ["u", "v"]) $(name).addEventListener("input", () => { change({ [name]: Number($(name).value) }, { quiet: true }); walk(); });
const drag = (event) => {
  const box = $("pad").getBoundingClientRect(), part = (x) => Math.round(100 * Math.max(0, Math.min(1, x))) / 100;
  change({ u: part((event.clientX - box.left) / box.width), v: part((event.clientY - box.top) / box.height) }, { quiet: true });
  walk();
};
$("pad").addEventListener("pointerdown", (event) => { $("pad").setPointerCapture(event.pointerId); drag(event); });
$("pad").addEventListener("pointermove", (event) => { if (event.buttons) drag(event); });
$("play").addEventListener("click", play);
$("save-way").addEventListener("click", tried(async () => {
  const result = await ask("save_interpolation", { ...asked({ ...state, seeds: state.walk }), frames: 12 }, "save");
  if (result) say(T.savedAs(result.files, result.folder));
}));
$("reset").addEventListener("click", () => { strengths.fill(0); sliders(); move(); });
$("clear").addEventListener("click", unpaint);
for (const name of ["inpaint", "upscale", "project"]) $(name).addEventListener("click", tried(() => answersOf(name)));
$("chain").addEventListener("change", () => { steps = []; forms(); refine(); });
$("search").addEventListener("input", () => catalog && listed());
$("keep-preset").addEventListener("click", () => {
  const text = $("chain").value.trim();
  if (!text) return;
  localStorage.setItem("presets", JSON.stringify({ ...presets(), [text.slice(0, 30)]: text }));
  presetButtons();
});
$("save-refined").addEventListener("click", tried(async () => {
  if (!held.refine) throw new Error(T.first);
  const result = await ask("save_refined", { id: held.refine.id, chain: $("chain").value.trim(), ...(at ? { at } : {}) }, "save");
  if (!result) return;
  say(T.savedAs(result.files, result.folder));
  $("command").textContent = result.command;
}));
$("save-all").addEventListener("click", tried(() => save(favorites().map((one) => one.state))));
$("stop").addEventListener("click", () => { if (current) post("/api/job", { job: current, stop: 1 }).catch(() => {}); });
for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", tried(async () => {
  await navigator.clipboard.writeText($(button.dataset.from).textContent); say(T.copied);
}));
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  const on = tiles.indexOf(document.activeElement), focused = tiles[on] ?? ($("large").open && shown ? { state: shown.of, image: shown.image } : null);
  if (event.key === "u") history.back();
  if (event.key === "r" && state.view === "explore" && !$("large").open) random();
  if (event.key === " " && focused && !event.target.closest("dialog")) { event.preventDefault(); toggle(focused.state, focused.image); marks(); tiles[on]?.focus(); }
  if (event.key === "s" && focused) tried(() => save([focused.state]))();
  if (event.key.startsWith("Arrow") && tiles.length && !$("large").open && ["explore", "saved"].includes(state.view)) {
    const columns = Math.max(1, tiles.filter((one) => Math.abs(one.getBoundingClientRect().top - tiles[0].getBoundingClientRect().top) < 4).length);
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    event.preventDefault();
    tiles[Math.max(0, Math.min(tiles.length - 1, (on < 0 ? -by : on) + by))]?.focus();
  }
});
state = read();
history.replaceState(null, "", written(state));
if (!token) say(T.noToken, true); else show();
