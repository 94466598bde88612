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
    const group = data.groups[select.value], size = (one) => Math.abs(one[4] - data.score);
    slider.max = group.length - 1;
    slider.value = group.reduce((best, one, i) => (size(one) > size(group[best]) ? i : best), 0); // the largest effect first
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
    map.alt = `Map of ${select.value}: ${data.meaning}`;
    readout.textContent = text;
  }
  select.addEventListener("change", choose);
  followSound(box, data.seconds);
  choose();
}

// A listening test: A, B, and X, which is one of them. Answers stay here; the share of right ones by gap is drawn in the end.
function startAbx(box) {
  const data = JSON.parse(box.querySelector('script[type="application/json"]').textContent);
  const audio = box.querySelector("audio"), progress = box.querySelector(".sqa-progress"), result = box.querySelector(".sqa-result");
  const answers = box.querySelectorAll("[data-answer]");
  let order, sides, at, right, heard;

  function start() {
    order = data.gaps.map((_, i) => i);
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(Math.random() * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    sides = order.map(() => [Math.random() < 0.5, Math.random() < 0.5]); // whether A and B change places, and whether X is B
    at = 0; right = []; result.replaceChildren();
    next();
  }
  function next() {
    heard = new Set();
    audio.pause();
    const over = at === order.length;
    progress.textContent = over ? "That was the last pair." : `Pair ${at + 1} of ${order.length}`;
    box.querySelectorAll("[data-play]").forEach((button) => (button.disabled = over));
    answers.forEach((button) => (button.disabled = true)); // until all three were played
    if (over) show();
    if (at) box.querySelector(over ? ".sqa-again" : '[data-play="a"]').focus(); // the answer's button, now disabled, had the focus
  }
  function play(which) {
    const [turned, isB] = sides[at], second = which === "x" ? isB : which === "b";
    audio.src = "data:audio/mpeg;base64," + data.sounds[order[at]][turned !== second ? 1 : 0];
    audio.play().catch(() => {}); // another sound was asked for before this one began
    heard.add(which);
    if (heard.size === 3) answers.forEach((button) => (button.disabled = false));
  }
  function answer(saidB) {
    right.push(saidB === sides[at][1]);
    at += 1;
    next();
  }
  function show() {
    const gaps = [...new Set(data.gaps)].sort((a, b) => a - b);
    const share = (gap) => {
      const of = right.filter((_, i) => data.gaps[order[i]] === gap);
      return [of.filter(Boolean).length, of.length];
    };
    const rows = gaps.map((gap) => [gap, ...share(gap)]);
    const x = (gap) => 40 + (240 * gap) / Math.max(...gaps), y = (part) => 150 - 130 * part;
    const line = (points) => points.map(([gap, part]) => `${x(gap)},${y(part)}`).join(" ");
    const spoken = rows.map(([gap, good, all]) => `${gap} dB: ${good} of ${all} right`).join("; ");
    result.innerHTML =
      `<svg viewBox="0 0 300 185" aria-hidden="true">` +
      `<line x1="40" y1="150" x2="290" y2="150"/><line x1="40" y1="20" x2="40" y2="150"/><line x1="40" y1="${y(0.5)}" x2="290" y2="${y(0.5)}" class="sqa-chance"/>` +
      [0, 0.5, 1].map((part) => `<text x="34" y="${y(part) + 4}" text-anchor="end">${100 * part} %</text>`).join("") +
      gaps.map((gap) => `<text x="${x(gap)}" y="165" text-anchor="middle">${gap}</text>`).join("") +
      `<text x="165" y="180" text-anchor="middle">gap, dB</text>` +
      data.curves.map(([, points], i) => `<polyline class="sqa-model sqa-model-${i}" points="${line(points)}"/>`).join("") +
      `<polyline class="sqa-you" points="${line(rows.map(([gap, good, all]) => [gap, good / all]))}"/>` +
      rows.map(([gap, good, all]) => `<circle cx="${x(gap)}" cy="${y(good / all)}" r="4"/>`).join("") + "</svg>" +
      `<p>You, solid: ${spoken}. By guessing, half are right. ${data.curves.map(([what], i) => `${["Dashed", "Dotted"][i]}: ${what}.`).join(" ")} ${right.filter(Boolean).length} of ${right.length} right in all.</p>`;
  }
  box.querySelectorAll("[data-play]").forEach((button) => button.addEventListener("click", () => play(button.dataset.play)));
  answers.forEach((button) => button.addEventListener("click", () => answer(button.dataset.answer === "1")));
  box.querySelector(".sqa-again").addEventListener("click", start);
  start();
}

// Buttons before and after a list go to the previous and to the next entry.
function stepThrough(box, select, choose) {
  const [back, on] = box.querySelectorAll("button"), count = select.options.length;
  const go = (by) => {
    select.selectedIndex = (select.selectedIndex + by + count) % count;
    choose();
  };
  select.addEventListener("change", choose);
  back.addEventListener("click", () => go(-1));
  on.addEventListener("click", () => go(1));
}

// One figure of several.
function startGallery(box) {
  const data = JSON.parse(box.querySelector('script[type="application/json"]').textContent);
  const select = box.querySelector("select"), image = box.querySelector("img");
  stepThrough(box, select, () => {
    image.src = data.images[select.value];
    image.alt = `${data.alt}: ${select.value}`;
  });
}

// A small table of numbers with both axes named.
function crossTable({ axes, columns, rows, values }) {
  const table = document.createElement("table");
  const add = (row, kind, text, scope) => {
    const cell = row.appendChild(document.createElement(kind));
    cell.textContent = text;
    if (scope) cell.scope = scope;
  };
  const head = table.createTHead().insertRow();
  add(head, "td", axes.join(" \\ "));
  columns.forEach((name) => add(head, "th", name, "col"));
  rows.forEach((name, i) => {
    const row = table.insertRow();
    add(row, "th", name, "row");
    values[i].forEach((value) => add(row, "td", value));
  });
  return table;
}

// Bars of one group of several, with a line to compare them with.
function startBars(box) {
  const data = JSON.parse(box.querySelector('script[type="application/json"]').textContent);
  const select = box.querySelector("select"), rows = box.querySelector(".sqa-rows"), cross = box.querySelector(".sqa-cross");
  function choose() {
    const lines = data.lines[select.value] ?? {};
    rows.replaceChildren(
      ...Object.entries(data.groups[select.value]).map(([name, value]) => {
        const row = document.createElement("div");
        row.innerHTML = '<span></span><span class="sqa-track"><span class="sqa-fill"></span></span><span></span>';
        row.children[0].textContent = name;
        row.children[2].textContent = value.toFixed(1);
        row.querySelector(".sqa-fill").style.width = value + "%";
        const line = lines[name];
        if (line !== undefined) row.querySelector(".sqa-track").insertAdjacentHTML("beforeend", `<span class="sqa-line" style="left:${line}%"></span>`);
        return row;
      })
    );
    const said = document.createElement("p");
    const values = [...new Set(Object.values(lines))].join(", ");
    said.textContent = `${data.unit}${values && `; line (${data.line}): ${values}`}`;
    rows.append(said);
    if (cross) cross.replaceChildren(crossTable(data.tables[select.value]));
  }
  stepThrough(box, select, choose);
  choose();
}

// Long tables are sorted, searched and paged by DataTables, each when it comes near the window: twenty at once would block a slow machine
// for seconds. The first one loads DataTables. Without it they stay whole.
const here = document.currentScript.src;
let dataTables;
function loadDataTables() {
  dataTables ??= new Promise((loaded) => {
    const style = document.createElement("link"), script = document.createElement("script");
    style.rel = "stylesheet";
    style.href = new URL("datatables.css", here);
    script.src = new URL("datatables.js", here);
    script.onload = loaded;
    document.head.append(style, script);
  });
  return dataTables;
}
function startTables(settings) {
  const common = { order: [], autoWidth: false, lengthMenu: [10, 20, 50, { label: "All", value: -1 }] };
  const watch = new IntersectionObserver(
    (seen) =>
      seen.filter((one) => one.isIntersecting).forEach(({ target }) => {
        watch.unobserve(target);
        const setting = [...settings].find((one) => one.dataset.table === target.id);
        loadDataTables().then(() => new DataTable(target, { ...common, ...JSON.parse(setting.textContent) }));
      }),
    { rootMargin: "300px" }
  );
  settings.forEach((one) => watch.observe(document.getElementById(one.dataset.table)));
}

// On paper everything is open, and tables are whole.
window.addEventListener("beforeprint", () => {
  document.querySelectorAll("details:not([open])").forEach((one) => (one.open = true));
  if (window.DataTable) document.querySelectorAll("table.dataTable").forEach((one) => new DataTable.Api(one).page.len(-1).draw());
});

// A link to something inside closed details opens them.
function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let box = target && target.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
  if (target) target.scrollIntoView();
}
window.addEventListener("hashchange", openTarget);

// What the theme and MathJax leave without a name or out of reach of the keyboard.
function mendMarkup() {
  document.querySelectorAll(".bd-sidenav summary").forEach((one) => {
    const page = one.closest("li").querySelector("a");
    one.setAttribute("aria-label", "Pages below " + (page ? page.textContent.trim() : "this one"));
  });
  document.querySelectorAll(".citation-list[role]").forEach((one) => one.removeAttribute("role"));
  document.querySelectorAll('mjx-container[display="true"]').forEach((one) => (one.tabIndex = 0));
}
window.addEventListener("load", () => window.MathJax?.startup?.promise?.then(mendMarkup));

document.addEventListener("DOMContentLoaded", () => {
  mendMarkup();
  if (document.querySelector("details " + (location.hash || "nothing").replace(/[^#\w-]/g, ""))) openTarget();
  startTables(document.querySelectorAll(".sqa-interactive"));
  document.querySelectorAll(".sqa-gallery").forEach(startGallery);
  document.querySelectorAll(".sqa-bars").forEach(startBars);
  document.querySelectorAll(".sqa-stepper").forEach(startStepper);
  document.querySelectorAll(".sqa-abx").forEach(startAbx);
  document.querySelectorAll(".sqa-chooser").forEach(startChooser);
});
