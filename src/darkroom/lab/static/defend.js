// The same attack against several defences at once, and how many days it takes.
import { byId, chart, count, draw, make, opened, percent, presets, speak, tell } from "./lab.js";
import { caption, Followed, Sitter } from "./sitter.js";

const RATES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000];
const MOST = 4;
const form = byId("knobs");
let people = [];
let judges = [];
let attacks = [];

/** An attack against one defence. */
class Against extends Followed {
  constructor(choice, name, box) {
    super(choice);
    this.box = box;
    this.label = box.dataset.label;
    const label = this.label;
    this.accuracy = null;
    this.sitter = new Sitter(choice.people[0], name, { tell });
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
    const share = event.share === null ? " …" : `: ${Math.round(100 * event.share)}%`;
    this.sitter.part(".outcome").textContent = `${event.what}${share}`;
  }

  attacking(event) {
    this.accuracy = event.accuracy;
    this.sitter.part(".outcome").textContent = "";
    redraw();
  }

  frame(event) {
    this.sitter.pass(event.people[0], event.queries[0]);
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
    this.sitter.show(shown, this.queries, words);
    redraw();
  }

  ended(event) {
    this.identity = null;
    if (event.why === "mistake" || event.why === "fault") {
      tell(`${this.label}: ${event.sentence}`, true);
      this.sitter.part(".outcome").textContent = event.sentence;
    } else speak(`${this.label}: ${this.sitter.part(".outcome").textContent}`);
    const last = this.sitter.milestones.at(-1);
    if (last) {
      this.sitter.remember(last.shown, last.queries);
      this.sitter.show(last.shown, last.queries, caption(last.queries));
    }
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
    return make("tr", {}, make("th", { scope: "row", textContent: one.label }), make("td", { className: "num", textContent: one.accuracy === null ? "–" : percent(one.accuracy) }), make("td", { className: "num", textContent: count(one.queries) }), make("td", { className: "num", textContent: one.queries ? days(one.queries, rate()) : "–" }), make("td", { className: one.recovered === null ? "" : "yes", textContent: words }));
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

const chosen = () => [...form.querySelectorAll("[name=defense]:checked, [name=training]:checked")];

/** An attack against the defence of a box, as the other knobs are. */
function against(box) {
  const choice = { people: [Number(form.person.value)], access: form.access.value, prior: form.prior.value, told: form.told.checked, pace: "watch", [box.name]: box.value };
  const one = new Against(choice, form.person.selectedOptions[0].textContent, box);
  one.run(tell).then(() => {
    one.isOver = true;
    enable();
  });
  return one;
}

/** Puts the attacks that there are onto the page. */
function place() {
  byId("sitters").replaceChildren(...attacks.map((one) => one.sitter.root));
  byId("legend").replaceChildren(...attacks.map((one, number) => {
    const line = draw("line", { class: `run-line s${number + 1}`, x1: 1, x2: 33, y1: 5, y2: 5 });
    const sample = draw("svg", { viewBox: "0 0 34 10", "aria-hidden": "true" });
    sample.append(line);
    return make("li", {}, sample, ` ${one.label}`);
  }));
  refresh();
  enable();
}

function start(event) {
  event.preventDefault();
  for (const one of attacks) one.end();
  tell("");
  attacks = chosen().map(against);
  place();
}

/** Switches a defence on or off while the others go on. */
function toggle(box) {
  if (attacks.every((one) => one.isOver)) return;
  if (box.checked) attacks.push(against(box));
  else {
    attacks.filter((one) => one.box === box).forEach((one) => one.end());
    attacks = attacks.filter((one) => one.box !== box);
  }
  speak(`${box.dataset.label} is switched ${box.checked ? "on" : "off"}.`);
  place();
}

function limit() {
  const isFull = chosen().length >= MOST;
  for (const box of form.querySelectorAll("[name=defense], [name=training]")) box.disabled = isFull && !box.checked;
}

form.addEventListener("submit", start);
form.addEventListener("change", (event) => {
  limit();
  if (event.target.matches("[name=defense], [name=training]")) toggle(event.target);
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
  const ranks = ["weights", "scores", "label"];
  for (const option of form.access.options) option.disabled = ranks.indexOf(option.value) < ranks.indexOf(state.access);
  if (form.access.selectedOptions[0].disabled) form.access.value = "label";
  presets(form);
  limit();
  refresh();
  enable();
}

opened("/develop/studio", fill, (state) => {
  judges = state.judges ?? [];
});
