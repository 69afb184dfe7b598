// The chosen channel of a linear recurrence: its block diagram, its state in the complex plane, its memory.
const memory = { ...page.memory, canvas: document.getElementById("memory"), numbers: unpack(page.memory.values), pointed: null };
const channelChoice = document.getElementById("channel");
const terms = Object.fromEntries(run.tracks[0].quantities.map((q) => [q.name, q]));

function chosenChannel() {
  return channelChoice ? Number(channelChoice.value) : 0;
}

// What is shared by all channels has one number for all.
function numberOf(name, time = timeNow()) {
  const values = terms[name].at(time, view.lane);
  return values[Math.min(chosenChannel(), values.length - 1)];
}

// How much of x[k] is in the state of a step; k = -1 is the state before the first step.
function weightOf(time, k) {
  const element = memory.elements > 1 ? view.lane : 0;
  const channel = memory.own ? chosenChannel() : 0;
  const at = ((time * memory.elements + element) * memory.channels + channel) * (memory.steps + 1) + k + 1;
  return memory.complex ? { re: memory.numbers[2 * at], im: memory.numbers[2 * at + 1] } : memory.numbers[at];
}

// Why there is no memory to draw, if there is none: a page holds that of the first steps and channels.
function noMemory() {
  if (memory.own && chosenChannel() >= memory.channels) return `is on this page for the first ${memory.channels} channels`;
  return timeNow() >= memory.steps ? `is on this page for the first ${memory.steps} steps` : "";
}

function drawDecays() {
  const place = (page.decays.elements > 1 ? view.lane : 0) * page.decays.channels + (page.decays.channels > 1 ? chosenChannel() : 0);
  for (const part of document.querySelectorAll("[data-place]")) {
    const mine = Number(part.dataset.place) === place;
    part.classList.toggle("chosen", mine);
    if (mine && part.tagName !== "TR") part.parentNode.append(part); // above the others
  }
  for (const part of document.querySelectorAll("[data-far]")) part.hidden = Number(part.dataset.far) !== place;
  for (const text of document.querySelectorAll("[data-coefficient]")) text.textContent = medium(numberOf("decay"));
  for (const text of document.querySelectorAll("[data-live]")) {
    const name = text.dataset.live;
    if (name === "h before") write(text, numberOf(name), "h[t−1] = ");
    else text.textContent = short(numberOf(name));
  }
  drawPhasor();
  drawMemory();
}

function drawPhasor() {
  const picture = document.getElementById("phasor");
  if (!picture) return;
  const sizes = ["h before", "decay h", "h after"].flatMap((name) => Array.from({ length: run.steps }, (_, t) => magnitude(numberOf(name, t))));
  const largest = Math.max(0, ...sizes.filter(Number.isFinite));
  const unit = largest ? 132 / largest : 0;
  const place = (v) => {
    const [re, im = 0] = partsOf(v).map((part) => (Number.isFinite(part) ? part : 0));
    return [180 + unit * re, 150 - unit * im];
  };
  const arrow = (name, from, to) => picture.querySelector(`.${name}`).setAttribute("d", arrowPath(place(from), place(to)));
  const now = timeNow();
  arrow("before", 0, numberOf("h before"));
  arrow("kept", 0, numberOf("decay h"));
  arrow("added", numberOf("decay h"), numberOf("h after"));
  arrow("after", 0, numberOf("h after"));
  const way = Array.from({ length: now + 1 }, (_, t) => place(numberOf("h after", t)));
  picture.querySelector(".trail").setAttribute("d", `M${way.map((at) => at.map((c) => c.toFixed(1)).join(" ")).join("L")}`);
}

function arrowPath([x, y], [toX, toY]) {
  const length = Math.hypot(toX - x, toY - y);
  if (length < 0.5) return "";
  const head = Math.min(9, length / 2);
  const [alongX, alongY] = [((toX - x) / length) * head, ((toY - y) / length) * head];
  const side = (sign) => `M${toX} ${toY}L${toX - alongX - sign * 0.45 * alongY} ${toY - alongY + sign * 0.45 * alongX}`;
  return `M${x} ${y}L${toX} ${toY}${side(1)}${side(-1)}`;
}

function drawMemory() {
  const now = timeNow();
  const why = noMemory();
  const shown = why ? [] : Array.from({ length: now + 1 }, (_, k) => weightOf(now, k));
  const largest = Math.max(1, ...shown.map(magnitude).filter(Number.isFinite));
  const whose = channelChoice ? `of channel ${chosenChannel()}` : "";
  const most = largest > 1 ? `up to ${long(largest)}` : ""; // where the state grows, what is old counts most
  document.getElementById("memory-of").textContent = why || [whose, most].filter(Boolean).join(", ");
  document.getElementById("memory-end").textContent = `t = ${run.start + run.steps - 1}`;
  const width = memory.canvas.clientWidth || 600;
  const high = 96;
  const context = surface(memory.canvas, width, high);
  readMemory();
  if (why) return memory.canvas.setAttribute("aria-label", why);
  const across = width / run.steps;
  const below = memory.complex || page.decays.negative;
  const middle = below ? high / 2 : high - 6;
  const unit = (below ? high / 2 - 6 : high - 12) / largest;
  context.strokeStyle = ink("line");
  context.beginPath();
  context.moveTo(0, middle);
  context.lineTo(width, middle);
  context.stroke();
  shown.forEach((v, k) => drawNumber(context, v, (k + 0.5) * across, middle, unit, across));
  memory.canvas.setAttribute("aria-label", `The newest x count ${shown.slice(-4).reverse().map(short).join(", ")} times`);
}

// What is pointed at; else what is left of the state before the first step.
function readMemory() {
  const k = memory.pointed;
  const read = document.getElementById("memory-read");
  const now = timeNow();
  const known = !noMemory() && (k === null || k <= now);
  if (!known) return (read.textContent = "");
  const weight = long(weightOf(now, k ?? -1));
  const what = k === null ? sign(`h[${run.start - 1}]`) : `x[${run.start + k}]`;
  read.textContent = `h[${run.start + now}] = … + ${memory.complex || weight.startsWith("\u2212") ? `(${weight})` : weight} ${what} + …`;
}

memory.canvas.addEventListener("pointermove", (event) => {
  const box = memory.canvas.getBoundingClientRect();
  memory.pointed = Math.max(0, Math.min(run.steps - 1, Math.floor(((event.clientX - box.left) / box.width) * run.steps)));
  readMemory();
});
memory.canvas.addEventListener("pointerleave", () => {
  memory.pointed = null;
  readMemory();
});
if (channelChoice) {
  channelChoice.addEventListener("change", drawDecays);
  document.getElementById("player").addEventListener("click", (event) => {
    if (!event.target.closest(".values") || !view.pointed || view.pointed.channels === 1) return;
    channelChoice.value = view.pointed.channel;
    drawDecays();
  });
}
document.addEventListener("step", drawDecays);
