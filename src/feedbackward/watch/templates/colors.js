// Diverging colors: orange below zero, blue above it, the paper's own shade at zero. Orange and blue are told apart by
// any color vision, and in both schemes what is farther from zero stands out more from the page.
const ANCHORS = {
  light: [[179, 88, 6], [241, 163, 64], [254, 224, 182], [246, 246, 247], [200, 222, 240], [103, 169, 207], [33, 102, 172]],
  dark: [[255, 180, 84], [201, 122, 38], [104, 62, 22], [36, 39, 45], [24, 63, 100], [52, 124, 190], [126, 196, 255]],
};
const darkness = matchMedia("(prefers-color-scheme: dark)");

function shade(v, scale) {
  if (Number.isNaN(v)) return [200, 60, 160];
  const anchors = ANCHORS[darkness.matches ? "dark" : "light"];
  const at = (Math.max(-1, Math.min(1, scale ? v / scale : 0)) + 1) * 3;
  const k = Math.min(5, Math.floor(at));
  return anchors[k].map((c, i) => Math.round(c + (anchors[k + 1][i] - c) * (at - k)));
}

function css(rgb) {
  return `rgb(${rgb.join(",")})`;
}

// Black or white, whichever stands out more: at this luminance both have a contrast of 4.6.
function inkOn(rgb) {
  const [r, g, b] = rgb.map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// A canvas with one unit per CSS pixel, sharp on every screen.
function surface(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

function drawLegend() {
  const canvas = document.getElementById("legend");
  const context = surface(canvas, 240, 12);
  for (let i = 0; i < 240; i++) {
    context.fillStyle = css(shade(i / 119.5 - 1, 1));
    context.fillRect(i, 0, 1.5, 12);
  }
}
