// What belongs to one filter of a bank, and the numbers in the block diagrams.
const filterChoice = run.choices.findIndex((choice) => choice.name === "filter");

function chosenFilter() {
  if (filterChoice < 0) return 0;
  const after = run.choices.slice(filterChoice + 1).reduce((product, c) => product * c.places.length, 1);
  return Math.floor(view.lane / after) % run.choices[filterChoice].places.length;
}

function drawFilter() {
  const chosen = chosenFilter();
  for (const part of document.querySelectorAll("[data-filter]")) {
    const mine = Number(part.dataset.filter) === chosen;
    if (part.classList.contains("curve")) part.classList.toggle("chosen", mine);
    else part.toggleAttribute("hidden", !mine);
    if (mine && part.classList.contains("curve")) part.parentNode.append(part); // above the others
  }
  const track = run.tracks[view.track];
  const time = timeNow();
  const at = (name) => track.quantities.find((q) => q.name === name)?.at(time, view.lane);
  const section = { b: at("b") ?? page.filters[chosen].b[view.track], a: at("a") ?? page.filters[chosen].a[view.track] };
  const here = tracks[view.track];
  for (const text of here.querySelectorAll("[data-coefficient]")) {
    const [letter, index] = [text.dataset.coefficient[0], Number(text.dataset.coefficient.slice(1))];
    const v = section[letter][index] ?? 0;
    text.textContent = medium(letter === "a" ? negative(v) : v);
  }
  const states = at("s before");
  for (const text of here.querySelectorAll("[data-live]")) {
    const name = text.dataset.live;
    const index = Number(name.slice(1));
    if (name[0] === "s") write(text, states[index - 1], `s${subscript(name.slice(1))} = `);
    else text.textContent = short(at(name)[0]);
  }
  for (const text of here.querySelectorAll("[data-section-output]")) {
    const other = run.tracks[Number(text.dataset.sectionOutput)];
    if (other) write(text, other.quantities.find((q) => q.name === "y").at(time, view.lane)[0]);
  }
}

document.addEventListener("step", drawFilter);
