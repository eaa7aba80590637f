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
