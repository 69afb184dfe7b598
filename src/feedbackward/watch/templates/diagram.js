// Text in a block diagram.
// A number where there is little room to its right: a complex one on two lines.
function write(text, v, before = "") {
  const [first, second] = linesOf(v, shortReal);
  text.textContent = before + first;
  if (second === undefined) return;
  const line = document.createElementNS("http://www.w3.org/2000/svg", "tspan");
  line.setAttribute("x", text.getAttribute("x"));
  line.setAttribute("dy", "1.15em");
  line.textContent = second;
  text.append(line);
}

function subscript(digits) {
  return [...digits].map((d) => String.fromCharCode(0x2080 + Number(d))).join("");
}
