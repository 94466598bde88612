// The steppable figure: a mask is chosen and moved, and the score under it read out. Data stands in the page beside it.
function startStepper(box) {
  const data = JSON.parse(box.querySelector('script[type="application/json"]').textContent);
  const select = box.querySelector("select"), slider = box.querySelector('input[type="range"]');
  const mask = box.querySelector(".sqa-mask"), cursor = box.querySelector(".sqa-cursor");
  const readout = box.querySelector(".sqa-readout"), audio = box.querySelector("audio");
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
  if (audio) audio.addEventListener("timeupdate", () => (cursor.style.left = percent(audio.currentTime, data.frames * data.hop)));
  else cursor.remove();
  choose();
}

document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".sqa-stepper").forEach(startStepper));
