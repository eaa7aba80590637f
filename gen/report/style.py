"""The looks and the few motions of the report page: CSS that follows the theme, JavaScript without libraries."""

STYLE = """
:root { color-scheme: light dark; --paper: #fcfcfa; --card: #fff; --ink: #22262a; --quiet: #666c72; --rule: #e3e3de;
  --c0: #2b6c9e; --c1: #c4622a; --c2: #3b8757; --c3: #8659a8; --c4: #a8842a; --c5: #68707a; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181b; --card: #1d2024; --ink: #e4e4df; --quiet: #9aa1a8;
  --rule: #33373c; --c0: #74b3e0; --c1: #ee9b6b; --c2: #7cc795; --c3: #c0a0e2; --c4: #d9bb68; --c5: #aab1b9; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI",
  Roboto, "Noto Sans", "DejaVu Sans", sans-serif; -webkit-text-size-adjust: 100%; }
main { max-width: 66rem; margin: 0 auto; padding: 3rem 1.25rem 5rem; }
h1 { font-size: 2.1rem; line-height: 1.15; margin: 0 0 .5rem; font-weight: 650; letter-spacing: -.01em;
  overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 0 0 .75rem; font-weight: 620; }
h3 { font-size: .95rem; margin: 0; font-weight: 600; }
p { margin: 0 0 .5rem; }
section { margin-top: 3rem; }
figure { margin: 0; min-width: 0; }
.quiet, .eyebrow, figcaption p, dt { color: var(--quiet); }
.quiet, figcaption p { font-size: .9rem; }
.eyebrow { margin: 0; font-size: .9rem; }
.now { margin-top: 1.75rem; }
.now > p:first-child { display: flex; flex-wrap: wrap; gap: .35rem .9rem; align-items: center; }
.status { font-weight: 600; }
.status::before { content: ""; display: inline-block; width: .6rem; height: .6rem; border-radius: 50%;
  margin-right: .5rem; background: currentColor; }
.status.running { color: var(--c0); } .status.finished { color: var(--c2); } .status.stopped { color: var(--c1); }
.bar { height: .5rem; border-radius: .25rem; background: var(--rule); overflow: hidden; margin: .25rem 0 .5rem; }
.bar i { display: block; height: 100%; background: var(--c0); }
.bar i.finished { background: var(--c2); } .bar i.stopped { background: var(--c1); }
dl { display: flex; flex-wrap: wrap; gap: .75rem 2.25rem; margin: 1rem 0 0; }
dt { font-size: .82rem; } dd { margin: 0; font-size: 1.2rem; font-variant-numeric: tabular-nums; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1.5rem; }
.pair h3 { margin-bottom: .5rem; }
.pair img { display: block; width: calc(100% * var(--share)); height: auto; border-radius: 3px; }
.pair img[hidden] { display: none; }
.pair figcaption { margin-top: .5rem; }
.player { display: flex; gap: .75rem; align-items: center; }
.player input { flex: 1; min-width: 0; accent-color: var(--c0); height: 1.75rem; }
button { font: inherit; font-size: .9rem; color: var(--ink); background: var(--card); border: 1px solid var(--rule);
  border-radius: .4rem; padding: .2rem .8rem; min-width: 4.6rem; cursor: pointer; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }
.chart { background: var(--card); border: 1px solid var(--rule); border-radius: .5rem; padding: .8rem .9rem .4rem;
  display: flex; flex-direction: column; justify-content: space-between; }
.chart ul { list-style: none; display: flex; flex-wrap: wrap; gap: 0 1rem; margin: .15rem 0 .4rem; padding: 0;
  font-size: .85rem; color: var(--quiet); }
.chart b { color: var(--ink); font-weight: 550; font-variant-numeric: tabular-nums; }
.swatch { display: inline-block; width: .9rem; height: .2rem; border-radius: .1rem; margin-right: .4rem;
  vertical-align: .25rem; background: currentColor; }
svg { display: block; width: 100%; height: auto; font: 12px system-ui, "Noto Sans", "DejaVu Sans", sans-serif; }
svg text { fill: var(--quiet); font-variant-numeric: tabular-nums; }
.label, .middle { text-anchor: middle; } .end { text-anchor: end; }
.rule, .tick { stroke: var(--rule); stroke-width: 1; }
.line { fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linejoin: round; } .dot { fill: currentColor; }
.line0 { color: var(--c0); } .line1 { color: var(--c1); } .line2 { color: var(--c2); }
.line3 { color: var(--c3); } .line4 { color: var(--c4); } .line5 { color: var(--c5); }
pre, code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .86rem; }
pre { background: var(--card); border: 1px solid var(--rule); border-radius: .5rem; padding: .8rem 1rem;
  overflow-x: auto; margin: 0 0 .5rem; }
.command { white-space: pre-wrap; overflow-wrap: anywhere; user-select: all; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
td, th { text-align: left; vertical-align: top; padding: .28rem 1rem .28rem 0; border-bottom: 1px solid var(--rule);
  overflow-wrap: anywhere; }
.facts td:first-child { width: 38%; color: var(--quiet); }
.group th { padding-top: 1.1rem; font-weight: 620; }
@media (max-width: 36rem) { main { padding-top: 1.75rem; } section { margin-top: 2.25rem; } svg { font-size: 13px; }
  .facts td:first-child { width: 46%; } }
details { margin-top: 1rem; } summary { cursor: pointer; margin-bottom: .5rem; }
"""

# The page is loaded anew while training goes on: scroll, opened parts and the chosen preview are carried over.
SCRIPT = """
(() => {
  const key = "gen " + location.pathname, details = [...document.querySelectorAll("details")];
  let kept = {};
  try { kept = JSON.parse(sessionStorage.getItem(key)) || {}; } catch {}
  const images = [...document.querySelectorAll("#samples img")], slider = document.querySelector("#samples input");
  const caption = document.querySelector("#samples .caption"), play = document.querySelector("#samples button");
  let timer = 0;
  const show = (index) => {
    images.forEach((image, i) => { image.hidden = i !== index; });
    caption.textContent = images[index].dataset.caption;
    slider.value = index;
  };
  const stop = () => { clearInterval(timer); timer = 0; play.textContent = "Play"; };
  if (slider) {
    slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
    play.addEventListener("click", () => {
      if (timer) { stop(); return; }
      play.textContent = "Stop";
      let index = Number(slider.value) === images.length - 1 ? 0 : Number(slider.value);
      show(index);
      timer = setInterval(() => { index += 1; show(index); if (index === images.length - 1) stop(); }, 600);
    });
    const chosen = images.findIndex((image) => image.dataset.caption === kept.preview);
    if (chosen >= 0) show(chosen);
  }
  details.forEach((part, i) => { part.open = Boolean(kept.open && kept.open[i]); });
  if (kept.scroll) { history.scrollRestoration = "manual"; scrollTo(0, kept.scroll); }
  addEventListener("pagehide", () => {
    const shown = images.findIndex((image) => !image.hidden), old = shown >= 0 && shown < images.length - 1;
    const state = { scroll: scrollY, open: details.map((part) => part.open),
      preview: old && !timer ? images[shown].dataset.caption : null };
    try { sessionStorage.setItem(key, JSON.stringify(state)); } catch {}
  });
  const time = document.querySelector("time"), status = document.querySelector(".status");
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const age = () => {
    const seconds = Math.max(0, (Date.now() - new Date(time.dateTime)) / 1000);
    const [size, name] = units.find(([size]) => seconds >= size) || [1, "s"];
    time.title = time.dateTime;
    time.textContent = Math.floor(seconds / size) + " " + name + " ago";
    if (time.dataset.stale && seconds > Number(time.dataset.stale)) {
      status.textContent = "no news: the run may have been interrupted";
      status.className = "status stopped";
    }
  };
  age();
  setInterval(age, 5000);
})();
"""
