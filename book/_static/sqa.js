// Figures to step through. Their data are in the page beside them; a player moves a cursor over what it plays.
function followSound(box, seconds) {
  const audio = box.querySelector("audio"), cursors = box.querySelectorAll(".sqa-cursor");
  if (!audio) return cursors.forEach((cursor) => cursor.remove());
  const move = () => {
    cursors.forEach((cursor) => (cursor.style.left = Math.min(100, (100 * audio.currentTime) / seconds) + "%"));
    if (!audio.paused) requestAnimationFrame(move);
  };
  ["play", "seeked", "timeupdate"].forEach((event) => audio.addEventListener(event, move));
}

// The reader chooses and moves a mask; the score under it is shown as text.
function startStepper(box) {
  const data = JSON.parse(box.querySelector('script[type="application/json"]').textContent);
  const select = box.querySelector("select"), slider = box.querySelector('input[type="range"]');
  const mask = box.querySelector(".sqa-mask"), readout = box.querySelector(".sqa-readout");
  const percent = (part, whole) => (100 * part) / whole + "%";

  function show() {
    const [band, bands, frame, frames, score] = data.groups[select.value][slider.value];
    mask.style.left = percent(frame, data.frames);
    mask.style.width = percent(frames, data.frames);
    mask.style.bottom = percent(band, data.bands);
    mask.style.height = percent(bands, data.bands);
    const change = score - data.score;
    readout.textContent =
      `Bands ${band + 1} to ${band + bands}, ${(frame * data.hop).toFixed(2)} to ${((frame + frames) * data.hop).toFixed(2)} s hidden: ` +
      `predicted MOS ${score.toFixed(2)} (${change >= 0 ? "+" : "−"}${Math.abs(change).toFixed(2)} against ${data.score.toFixed(2)}).`;
    slider.setAttribute("aria-valuetext", readout.textContent);
  }
  function choose() {
    slider.max = data.groups[select.value].length - 1;
    slider.value = 0;
    show();
  }
  select.addEventListener("change", choose);
  slider.addEventListener("input", show);
  followSound(box, data.frames * data.hop);
  choose();
}

// One map of several, below the spectrogram of the sound.
function startChooser(box) {
  const data = JSON.parse(box.querySelector('script[type="application/json"]').textContent);
  const select = box.querySelector("select"), map = box.querySelector(".sqa-map"), readout = box.querySelector(".sqa-readout");
  function choose() {
    const [image, text] = data.images[select.value];
    map.src = "data:image/png;base64," + image;
    map.alt = `Map of ${select.value}: orange raises it, violet lowers it`;
    readout.textContent = text;
  }
  select.addEventListener("change", choose);
  followSound(box, data.seconds);
  choose();
}

// One figure of several; the button goes to the next.
function startGallery(box) {
  const data = JSON.parse(box.querySelector('script[type="application/json"]').textContent);
  const select = box.querySelector("select"), image = box.querySelector("img"), button = box.querySelector("button");
  function choose() {
    image.src = data.images[select.value];
    image.alt = `${data.alt}: ${select.value}`;
  }
  select.addEventListener("change", choose);
  button.addEventListener("click", () => {
    select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
    choose();
  });
}

// Long tables are sorted, searched and paged by DataTables, which is loaded on pages that have such a table. Without it they stay whole.
const here = document.currentScript.src;
function startTables(settings) {
  if (!settings.length) return;
  const style = document.createElement("link"), script = document.createElement("script");
  style.rel = "stylesheet";
  style.href = new URL("datatables.css", here);
  script.src = new URL("datatables.js", here);
  script.onload = () =>
    settings.forEach((one) => {
      const common = { order: [], autoWidth: false, lengthMenu: [10, 20, 50, { label: "All", value: -1 }] };
      new DataTable(document.getElementById(one.dataset.table), { ...common, ...JSON.parse(one.textContent) });
    });
  document.head.append(style, script);
}

document.addEventListener("DOMContentLoaded", () => {
  startTables(document.querySelectorAll(".sqa-interactive"));
  document.querySelectorAll(".sqa-gallery").forEach(startGallery);
  document.querySelectorAll(".sqa-stepper").forEach(startStepper);
  document.querySelectorAll(".sqa-chooser").forEach(startChooser);
});
