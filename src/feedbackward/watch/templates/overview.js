// The whole run at a glance: time to the right, channels downward; what is not computed yet is pale. Of complex numbers,
// many channels are shown by their magnitudes; one channel by both of its parts, with its magnitude around them.
const overview = document.getElementById("overview");

function overviewRow({ track: trackIndex, quantity: quantityIndex, label: name }, position) {
  const track = run.tracks[trackIndex];
  const q = track.quantities[quantityIndex];
  const label = document.createElement("div");
  label.className = "label";
  label.textContent = q.complex && q.shown > 1 ? `magnitude of ${name}` : name;
  if (q.complex && q.shown === 1) {
    for (const [kind, text] of [["real", "real"], ["imaginary", "imaginary"], ["magnitude", "±magnitude"]]) {
      const key = document.createElement("span");
      key.className = `key ${kind}`;
      key.textContent = text;
      label.append(" ", key);
    }
  }
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${label.textContent}, ${q.channels} channels over ${run.steps} steps`);
  overview.append(label, canvas);
  canvas.addEventListener("pointerdown", (event) => {
    const box = canvas.getBoundingClientRect();
    const time = Math.max(0, Math.min(run.steps - 1, Math.floor(((event.clientX - box.left) / box.width) * run.steps)));
    if (position > 0) chooseTrack(trackIndex);
    go(positionOf(time));
  });

  return () => {
    const chosen = run.tracks.length > 1 && trackIndex === view.track && position > 0;
    label.classList.toggle("chosen", chosen);
    const width = canvas.clientWidth || 600;
    const line = q.shown === 1;
    const high = line ? 56 : Math.max(20, Math.min(110, q.shown * Math.max(3, Math.min(9, 90 / q.shown))));
    canvas.style.height = `${high}px`;
    const context = surface(canvas, width, high);
    const across = width / run.steps;
    const reverse = position > 0 ? track.reverse : run.tracks[view.track].reverse;
    const now = reverse ? run.steps - 1 - view.position : view.position;
    (line ? drawLine : drawHeat)(context, q, track, { width, high, across, now, reverse });
    context.strokeStyle = ink("ink");
    context.lineWidth = 1.5;
    context.strokeRect(now * across + 0.75, 0.75, Math.max(across - 1.5, 1), high - 1.5);
  };
}

function drawHeat(context, q, track, { high, across, now, reverse }) {
  const down = high / q.shown;
  for (let t = 0; t < run.steps; t++) {
    const values = q.at(t, view.lane);
    const future = reverse ? t < now : t > now;
    const ended = hasEnded(track, t);
    context.globalAlpha = ended ? 0.12 : future ? 0.28 : 1;
    for (let i = 0; i < q.shown; i++) {
      context.fillStyle = css(shade(q.complex ? magnitude(values[i]) : values[i], q.scale));
      context.fillRect(t * across, i * down, across - (across > 6 ? 1 : -0.3), down - (down > 5 ? 1 : -0.3));
    }
  }
  context.globalAlpha = 1;
}

function drawLine(context, q, track, { width, high, across, now }) {
  const middle = high / 2;
  const unit = q.scale ? (high / 2 - 5) / q.scale : 0;
  context.strokeStyle = ink("line");
  context.beginPath();
  context.moveTo(0, middle);
  context.lineTo(width, middle);
  context.stroke();
  for (let t = 0; t < run.steps; t++) {
    const v = q.at(t, view.lane)[0];
    context.globalAlpha = t > now ? 0.3 : 1;
    drawNumber(context, v, (t + 0.5) * across, middle, unit, across);
  }
  context.globalAlpha = 1;
}

// A stem; of a complex number one for either part, and its magnitude around them.
function drawNumber(context, v, x, middle, unit, across) {
  const parts = partsOf(v);
  if (parts.length > 1) drawAround(context, x, middle, magnitude(v) * unit, across);
  parts.forEach((part, k) => {
    context.fillStyle = context.strokeStyle = ink(k ? "second" : "accent");
    drawStem(context, x + (parts.length > 1 ? (k - 0.5) * Math.min(5, across / 3) : 0), middle, part * unit, across);
  });
}

function drawStem(context, x, middle, high, across) {
  context.lineWidth = Math.min(2, Math.max(0.6, across / 4));
  context.beginPath();
  context.moveTo(x, middle);
  context.lineTo(x, middle - high);
  context.stroke();
  context.beginPath();
  context.arc(x, middle - high, Math.max(1, Math.min(3.2, across / 3)), 0, 7);
  context.fill();
}

function drawAround(context, x, middle, high, across) {
  context.strokeStyle = ink("quiet");
  context.lineWidth = 1;
  for (const y of [middle - high, middle + high]) {
    context.beginPath();
    context.moveTo(x - across / 2, y);
    context.lineTo(x + across / 2, y);
    context.stroke();
  }
}

const drawOverview = run.overview.map(overviewRow);
const axis = document.createElement("div");
axis.className = "axis";
axis.append(...[`${run.clock} = ${run.start}`, `${run.clock} = ${run.start + run.steps - 1}`].map((text) => {
  const end = document.createElement("span");
  end.textContent = text;
  return end;
}));
overview.append(axis);
