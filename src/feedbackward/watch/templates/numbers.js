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

// A number that is complex is an object {re, im}; its parts are what is drawn, the real one above the other.
function partsOf(v) {
  return typeof v === "number" ? [v] : [v.re, v.im];
}

function magnitude(v) {
  return Math.hypot(...partsOf(v));
}

function imaginary(text) {
  return `${text.startsWith("\u2212") ? "" : "+"}${text}i`;
}

// One line for every part: 0.3, or 0.3 and +0.1i.
function linesOf(v, write) {
  return partsOf(v).map((part, k) => (k ? imaginary(write(part)) : write(part)));
}

function short(v) {
  return linesOf(v, shortReal).join("");
}

// A coefficient: of a complex one the parts that are not zero, with three digits or decimals each, so that both fit in a
// diagram.
function medium(v) {
  if (typeof v === "number" || v.im === 0) return mediumReal(v.re ?? v);
  const [re, im] = partsOf(v).map((part) => mediumReal(Math.abs(part) < 1 && Math.abs(part) >= 1e-3 ? Number(part.toFixed(3)) : part, 3));
  return v.re === 0 ? `${im}i` : re + imaginary(im);
}

function long(v) {
  return linesOf(v, longReal).join("");
}

// A complex number by its length and its angle.
function polar(v) {
  return `${longReal(magnitude(v))} ∠ ${sign(((Math.atan2(v.im, v.re) * 180) / Math.PI).toFixed(1))}°`;
}

function negative(v) {
  return typeof v === "number" ? -v : { re: -v.re, im: -v.im };
}

// Three digits, as much as fits into a cell.
function shortReal(v) {
  if (Number.isNaN(v)) return "NaN";
  if (!Number.isFinite(v)) return v > 0 ? "∞" : "\u2212∞";
  const size = Math.abs(v);
  if (size !== 0 && (size < 1e-3 || size >= 1e4)) return sign(v.toExponential(0));
  return sign(size < 1 ? v.toFixed(3) : v.toPrecision(4).slice(0, v < 0 ? 6 : 5).replace(/\.$/, ""));
}

// Four digits: coefficients.
function mediumReal(v, digits = 4) {
  return Number.isFinite(v) ? sign(String(Number(v.toPrecision(digits)))) : shortReal(v);
}

// Six digits, as many as single precision keeps through any computation.
function longReal(v) {
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
      if (!q.complex) return q.numbers.subarray(from, from + q.shown);
      return Array.from({ length: q.shown }, (_, i) => ({ re: q.numbers[2 * (from + i)], im: q.numbers[2 * (from + i) + 1] }));
    };
  }
}
