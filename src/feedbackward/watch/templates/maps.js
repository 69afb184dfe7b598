// Heat maps of weights. What a structure does not store is left empty.
function prepareMap(canvas) {
  const map = page.maps[Number(canvas.dataset.map)];
  const figure = canvas.closest("figure");
  const values = unpack(map.values);
  const inside = map.inside ? unpack(map.inside) : null;
  let scale = 0;
  for (const v of values) if (Number.isFinite(v)) scale = Math.max(scale, Math.abs(v));
  figure.querySelector(".range").textContent = 
    values.length === 0 ? "empty" : values.length <= 6 ? [...values].map(long).join(",  ") : `±${long(scale)}`;
  canvas.setAttribute("aria-label", `${canvas.getAttribute("aria-label")}, largest magnitude ${long(scale)}`);

  function draw() {
    const room = figure.clientWidth || 240;
    const side = Math.min(map.vector ? 12 : 22, room / map.columns, Math.max(240 / map.rows, 2));
    const high = map.vector ? 14 : side;
    canvas.style.width = `${side * map.columns}px`;
    canvas.style.height = `${high * map.rows}px`;
    const context = surface(canvas, side * map.columns, high * map.rows);
    const gap = side >= 8 ? 1 : 0;
    for (let i = 0; i < map.rows; i++) {
      for (let j = 0; j < map.columns; j++) {
        const at = i * map.columns + j;
        if (inside && !inside[at]) {
          context.fillStyle = ink("line");
          context.fillRect((j + 0.5) * side - 0.5, (i + 0.5) * high - 0.5, 1, 1);
          continue;
        }
        context.fillStyle = css(shade(values[at], scale));
        context.fillRect(j * side, i * high, side - gap + (gap ? 0 : 0.3), high - gap + (gap ? 0 : 0.3));
      }
    }
  }

  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const j = Math.min(map.columns - 1, Math.floor(((event.clientX - box.left) / box.width) * map.columns));
    const i = Math.min(map.rows - 1, Math.floor(((event.clientY - box.top) / box.height) * map.rows));
    if (i < 0 || j < 0) return;
    const at = i * map.columns + j;
    const [down, across] = map.block;
    const column = across > 1 ? `${j * across}…` : j;
    const row = down > 1 ? `${i * down}…` : i;
    const place = map.vector ? `[${column}]` : `[${row}, ${column}]`;
    const what = inside && !inside[at] ? "not stored, 0" : long(values[at]);
    figure.querySelector(".value").textContent = `${place} = ${what}`;
  });
  canvas.addEventListener("pointerleave", () => (figure.querySelector(".value").textContent = ""));
  return draw;
}

const drawMaps = [...document.querySelectorAll("canvas[data-map]")].map(prepareMap);
