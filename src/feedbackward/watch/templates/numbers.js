// Numbers: from base64, and as text.
const page = JSON.parse(document.getElementById("data").textContent);
const run = page.run;

function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed.s), (c) => c.charCodeAt(0));
  if (packed.t === "u1") return bytes;
  return packed.t === "f8" ? new Float64Array(bytes.buffer) : new Float32Array(bytes.buffer);
}

function sign(text) {
  return text.replace("-", "\u2212");
}

// Three digits, as much as fits into a cell.
function short(v) {
  if (Number.isNaN(v)) return "NaN";
  if (!Number.isFinite(v)) return v > 0 ? "∞" : "\u2212∞";
  const size = Math.abs(v);
  if (size !== 0 && (size < 1e-3 || size >= 1e4)) return sign(v.toExponential(0));
  return sign(size < 1 ? v.toFixed(3) : v.toPrecision(4).slice(0, v < 0 ? 6 : 5).replace(/\.$/, ""));
}

// Four digits: coefficients.
function medium(v) {
  return Number.isFinite(v) ? sign(String(Number(v.toPrecision(4)))) : short(v);
}

// Six digits, as many as single precision keeps through any computation.
function long(v) {
  if (Number.isNaN(v)) return "NaN";
  if (!Number.isFinite(v)) return v > 0 ? "∞" : "\u2212∞";
  return sign(String(Number(v.toPrecision(6))));
}

const lanes = run.choices.reduce((product, c) => product * c.places.length, 1);
for (const track of run.tracks) {
  for (const q of track.quantities) {
    q.numbers = unpack(q.values);
    q.at = (time, lane) => {
      const from = (time * lanes + lane) * q.shown;
      return q.numbers.subarray(from, from + q.shown);
    };
  }
}
