// The terms of one step: a row of cells with numbers where there are few channels, a strip of colors where many. A
// complex number has two lines, the real part above the imaginary part.
const FEW = 16;
const readout = document.getElementById("readout");
const tracks = [...document.querySelectorAll(".track")];

function rowsOf(trackIndex) {
  return [...tracks[trackIndex].querySelectorAll(".row")].map((row) => {
    const q = run.tracks[trackIndex].quantities[Number(row.dataset.quantity)];
    const box = row.querySelector(".values");
    box.classList.toggle("complex", q.complex);
    row.querySelector(".scale").textContent = q.scale ? `±${short(q.scale)}` : "";
    if (q.shown <= FEW) {
      for (let i = 0; i < q.shown; i++) {
        const cell = document.createElement("div");
        cell.className = "cell";
        cell.dataset.channel = i;
        if (q.complex) cell.append(document.createElement("div"), document.createElement("div"));
        box.append(cell);
      }
    } else {
      box.append(document.createElement("canvas"));
    }
    const pointed = (event) => {
      const cell = event.target.closest(".cell");
      if (cell) return point(trackIndex, q, Number(cell.dataset.channel));
      const area = event.target.getBoundingClientRect();
      if (event.target.tagName === "CANVAS")
        point(trackIndex, q, Math.min(q.shown - 1, Math.max(0, Math.floor(((event.clientX - area.left) / area.width) * q.shown))));
    };
    box.addEventListener("pointermove", pointed);
    box.addEventListener("pointerdown", pointed);
    return { row, q, box };
  });
}

const rows = tracks.map((_, index) => rowsOf(index));

// As few lines of cells as the width allows, all of the same length.
function layOut(box, count) {
  const most = Math.max(1, Math.floor((box.clientWidth || 300) / 50));
  const across = Math.ceil(count / Math.ceil(count / most));
  box.style.gridTemplateColumns = `repeat(${across}, minmax(0, ${count > 4 ? "1fr" : "5.5rem"}))`;
}

function drawTerms() {
  tracks.forEach((element, index) => (element.hidden = index !== view.track));
  const time = timeNow();
  const track = run.tracks[view.track];
  const ended = hasEnded(track, time);
  for (const { row, q, box } of rows[view.track]) {
    const values = q.at(time, view.lane);
    const blank = ended && Number.isNaN(values[0]);
    if (q.shown <= FEW) {
      layOut(box, q.shown);
      [...box.children].forEach((cell, i) => {
        cell.classList.toggle("ended", blank);
        const lines = linesOf(values[i], shortReal);
        partsOf(values[i]).forEach((part, k) => {
          const line = q.complex ? cell.children[k] : cell;
          const rgb = shade(part, q.scale);
          line.style.backgroundColor = blank ? "" : css(rgb);
          line.style.color = blank ? "" : inkOn(rgb);
          line.textContent = blank ? "–" : lines[k];
        });
      });
    } else {
      const width = box.clientWidth || 300;
      const context = surface(box.firstChild, width, q.complex ? 56 : 28);
      const across = width / q.shown;
      for (let i = 0; i < q.shown && !blank; i++) {
        partsOf(values[i]).forEach((part, k) => {
          context.fillStyle = css(shade(part, q.scale));
          context.fillRect(i * across, 28 * k, across - (across > 5 ? 1 : -0.3), 28);
        });
      }
    }
    const spoken = blank ? "the sequence has ended" : [...values.slice(0, 4)].map(short).join(", ") + (q.shown > 4 ? ", …" : "");
    box.setAttribute("aria-label", `${q.name}: ${spoken}`);
    row.classList.toggle("blank", blank);
  }
  drawReadout();
  drawTable();
}

// One channel through all terms that have it.
function point(trackIndex, q, channel) {
  view.pointed = { track: trackIndex, channels: q.channels, channel, name: q.name };
  drawReadout();
}

function drawReadout() {
  for (const cell of document.querySelectorAll(".cell.pointed")) cell.classList.remove("pointed");
  const at = view.pointed;
  if (!at || at.track !== view.track) return;
  const time = timeNow();
  const parts = [];
  let name = `channel ${at.channel}`;
  for (const { q, box } of rows[view.track]) {
    if (q.channels !== at.channels || (!run.sameChannels && (q.role === "input") !== (at.name === "x"))) continue;
    if (q.labels.length) name = q.labels[at.channel];
    const v = q.at(time, view.lane)[at.channel];
    parts.push(`${q.name} = ${long(v)}${q.complex ? ` = ${polar(v)}` : ""}`);
    if (q.shown <= FEW) box.children[at.channel].classList.add("pointed");
  }
  readout.textContent = `${name}: ${parts.join(",  ")}`;
}

const table = document.querySelector("#table");
table.addEventListener("toggle", drawTable);

function drawTable() {
  if (!table.open) return;
  const time = timeNow();
  const shown = run.tracks[view.track].quantities;
  const most = Math.max(...shown.map((q) => q.shown));
  const cell = (tag, text, scope) => {
    const element = document.createElement(tag);
    element.textContent = text;
    if (scope) element.scope = scope;
    return element;
  };
  const head = document.createElement("tr");
  head.append(cell("th", "channel", "col"), ...Array.from({ length: most }, (_, i) => cell("th", i, "col")));
  const body = shown.map((q) => {
    const line = document.createElement("tr");
    line.dataset.name = q.name;
    line.append(cell("th", q.name, "row"), ...[...q.at(time, view.lane)].map((v) => cell("td", long(v))));
    return line;
  });
  const top = document.createElement("thead");
  top.append(head);
  const rest = document.createElement("tbody");
  rest.append(...body);
  table.querySelector("table").replaceChildren(top, rest);
}
