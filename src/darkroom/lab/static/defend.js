// The same attack against several defences at once, and how many days it takes.
import { byId, chart, count, make, opened, speak, tell } from "./lab.js";
import { caption, Followed, Sitter } from "./sitter.js";

const RATES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000];
const MOST = 4;
const form = byId("knobs");
let people = [];
let judges = [];
let attacks = [];

/** An attack against one defence. */
class Against extends Followed {
  constructor(choice, name, label) {
    super(choice);
    this.label = label;
    this.sitter = new Sitter(choice.people[0], name, false, tell);
    this.sitter.part("h2").textContent = label;
    this.sitter.root.setAttribute("aria-label", label);
    this.queries = 0;
    this.recovered = null;
  }

  begun(event) {
    this.identity = event.identity;
    this.sitter.judges = event.judges;
    enable();
  }

  preparing(event) {
    tell(`${event.what} …`);
  }

  attacking() {
    tell("");
  }

  frame(event) {
    this.shown(event, `Now, after ${count(event.queries[0])} queries`);
  }

  milestone(event) {
    this.shown(event, caption(event.queries[0]));
    this.sitter.add(event.people[0], event.queries[0], event.number, () => {});
    if (event.people[0].recovered) this.recovered ??= event.queries[0];
    else this.recovered = null;
    refresh();
  }

  shown(event, words) {
    const [shown] = event.people;
    this.queries = event.queries[0];
    if (!this.sitter.judges.length) this.sitter.judges = judges;
    this.sitter.remember(shown, this.queries);
    this.sitter.show(shown, this.queries, words);
    redraw();
  }

  ended(event) {
    this.identity = null;
    if (event.why === "mistake" || event.why === "fault") tell(event.sentence, true);
    else speak(`${this.label}: ${this.sitter.part(".outcome").textContent}`);
    const last = this.sitter.milestones.at(-1);
    if (last) this.sitter.show(last.shown, last.queries, caption(last.queries));
    this.isOver = true;
    refresh();
    enable();
  }
}

/** Writes days, from minutes to years. */
export function days(queries, rate) {
  const several = (number, one) => `${count(number)} ${one}${number === 1 ? "" : "s"}`;
  const value = queries / rate;
  if (value < 1 / 24) return several(Math.max(1, Math.ceil(value * 1440)), "minute");
  if (value < 1) return several(Math.round(value * 24), "hour");
  if (value < 365) return several(Math.round(value), "day");
  return several(Math.round(value / 36.5) / 10, "year");
}

const rate = () => RATES[byId("per-day").value] * Number(document.querySelector("[name=accounts]:checked").value);

let asked = false;

/** Draws at most once a frame of the screen. */
function redraw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    refresh();
  });
}

function refresh() {
  const perDay = count(RATES[byId("per-day").value]);
  byId("per-day-shown").textContent = `${perDay} for each account`;
  byId("per-day").setAttribute("aria-valuetext", `${perDay} queries a day`);
  byId("held").replaceChildren(...attacks.map((one) => {
    const words = one.recovered !== null ? `after ${count(one.recovered)} queries: ${days(one.recovered, rate())}` : one.isOver ? `not in ${count(one.queries)} queries` : "not yet";
    return make("tr", {}, make("th", { scope: "row", textContent: one.label }), make("td", { className: "num", textContent: count(one.queries) }), make("td", { className: "num", textContent: one.queries ? days(one.queries, rate()) : "–" }), make("td", { className: one.recovered === null ? "" : "yes", textContent: words }));
  }));
  const bits = attacks.map((one) => one.sitter.bits);
  byId("chart-figure").hidden = !bits.some((one) => one.length);
  const most = Math.max(4, ...bits.flat().map((point) => Math.ceil(point[1])));
  chart(byId("chart"), bits, { most, ticks: [0, most / 2, most], label: String });
}

function enable() {
  const runs = attacks.some((one) => one.identity);
  byId("start").disabled = people.length === 0 || chosen().length === 0;
  byId("stop").disabled = !runs;
}

const chosen = () => [...form.querySelectorAll("[name=defense]:checked")];

function start(event) {
  event.preventDefault();
  for (const one of attacks) one.end();
  tell("");
  const name = form.person.selectedOptions[0].textContent;
  attacks = chosen().map((box) => {
    const choice = { people: [Number(form.person.value)], access: "scores", prior: form.prior.value, defense: box.value, told: form.told.checked, pace: "watch" };
    return new Against(choice, name, box.dataset.label);
  });
  byId("sitters").replaceChildren(...attacks.map((one) => one.sitter.root));
  byId("legend").replaceChildren(...attacks.map((one, place) => {
    const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
    for (const [key, value] of Object.entries({ class: `run-line s${place + 1}`, x1: 1, x2: 33, y1: 5, y2: 5 })) line.setAttribute(key, value);
    const sample = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    sample.setAttribute("viewBox", "0 0 34 10");
    sample.setAttribute("aria-hidden", "true");
    sample.append(line);
    return make("li", {}, sample, ` ${one.label}`);
  }));
  for (const one of attacks) one.run(tell).then(enable);
  refresh();
  enable();
}

form.addEventListener("submit", start);
form.addEventListener("change", () => {
  const isFull = chosen().length >= MOST;
  for (const box of form.querySelectorAll("[name=defense]")) box.disabled = isFull && !box.checked;
  enable();
});
byId("stop").addEventListener("click", () => attacks.forEach((one) => one.control("stop", tell)));
byId("per-day").addEventListener("input", refresh);
document.querySelectorAll("[name=accounts]").forEach((one) => one.addEventListener("change", refresh));
addEventListener("resize", redraw);
addEventListener("pagehide", () => attacks.forEach((one) => one.end()));

function fill(state) {
  people = state.people;
  form.person.replaceChildren(...people.map((one) => make("option", { value: String(one.person), textContent: one.name })));
  for (const option of form.prior.options) option.disabled = !state.public && option.value !== "mean";
  if (!state.public) form.prior.value = "mean";
  refresh();
  enable();
}

opened(fill, (state) => {
  judges = state.judges ?? [];
});
