// Which step is shown, and everything that changes it.
const slider = document.getElementById("slider");
const where = document.getElementById("where");
const player = document.getElementById("player");
const playButton = player.querySelector('[data-do="play"]');
const STEP_MS = 700;
let timer = 0;
const view = { position: 0, track: 0, lane: 0, pointed: null };


// Positions count in the order of the computation: a reverse direction begins at the last element.
function positionOf(time) {
  return run.tracks[view.track].reverse ? run.steps - 1 - time : time;
}

function timeNow() {
  return positionOf(view.position);
}

function hasEnded(track, time) {
  return track.lengths.length > 0 && run.start + time >= track.lengths[view.lane];
}

function draw() {
  const time = run.start + timeNow();
  const track = run.tracks[view.track];
  slider.value = view.position;
  const ended = hasEnded(track, timeNow()) ? ", after the end of this sequence" : "";
  where.textContent = `step ${view.position + 1} of ${run.steps}: ${run.clock} = ${time}${ended}`;
  slider.setAttribute("aria-valuetext", where.textContent);
  for (const update of drawOverview) update();
  drawTerms();
  document.dispatchEvent(new CustomEvent("step"));
}

function go(position) {
  view.position = Math.max(0, Math.min(run.steps - 1, position));
  draw();
}

function chooseTrack(index) {
  view.track = index;
  const radio = player.querySelector(`input[name="track"][value="${index}"]`);
  if (radio) radio.checked = true;
  draw();
}

function play(on) {
  clearInterval(timer);
  timer = 0;
  if (on) {
    if (view.position === run.steps - 1) go(0);
    timer = setInterval(() => {
      go(view.position + 1);
      if (view.position === run.steps - 1) play(false);
    }, STEP_MS);
  }
  player.classList.toggle("playing", Boolean(timer));
  playButton.setAttribute("aria-label", timer ? "Pause" : "Play");
}

const actions = {
  first: () => go(0),
  back: () => go(view.position - 1),
  play: () => play(!timer),
  forward: () => go(view.position + 1),
  last: () => go(run.steps - 1),
};

slider.max = run.steps - 1;
if (run.steps === 1) for (const part of [slider, player.querySelector(".buttons")]) part.hidden = true;
slider.addEventListener("input", () => go(Number(slider.value)));
for (const button of player.querySelectorAll("button[data-do]")) {
  button.addEventListener("click", () => {
    if (button.dataset.do !== "play") play(false);
    actions[button.dataset.do]();
  });
}
for (const radio of player.querySelectorAll('input[name="track"]')) {
  radio.addEventListener("change", () => chooseTrack(Number(radio.value)));
  radio.addEventListener("click", (event) => event.detail && radio.blur()); // so that arrows go on stepping
}
for (const select of player.querySelectorAll("select[data-choice]")) {
  select.addEventListener("change", () => {
    view.lane = 0;
    for (const other of player.querySelectorAll("select[data-choice]")) {
      view.lane = view.lane * run.choices[Number(other.dataset.choice)].places.length + Number(other.value);
    }
    draw();
  });
}

const KEYS = { ArrowLeft: "back", ArrowRight: "forward", Home: "first", End: "last", " ": "play" };
document.addEventListener("keydown", (event) => {
  const action = KEYS[event.key];
  if (!action || event.ctrlKey || event.altKey || event.metaKey) return;
  const target = event.target;
  if (target.matches("select, summary, textarea, input:not(#slider)")) return;
  if (event.key === " " && target.matches("button")) return;
  event.preventDefault();
  if (action !== "play") play(false);
  actions[action]();
});

function drawAll() {
  drawLegend();
  for (const update of drawMaps) update();
  draw();
}

// page.html#step=7 opens the page at its seventh step.
function followLink() {
  const asked = /^#step=(\d+)$/.exec(location.hash);
  if (asked) go(Number(asked[1]) - 1);
}

addEventListener("hashchange", followLink);
darkness.addEventListener("change", drawAll);
new ResizeObserver(drawAll).observe(document.querySelector("main"));
drawAll();
followLink();
