// The page where a face emerges.
import { byId, chart, count, make, opened, percent, presets, speak, tell } from "./lab.js";
import { caption, Followed, Sitter } from "./sitter.js";

const form = byId("knobs");
const CURVES_EVERY = 500; // milliseconds
let people = [];
let session = null;

/** One attack: its stream, its sitters, and where the page stands in its course. */
class Session extends Followed {
  constructor(choice) {
    super(choice);
    this.sitters = choice.people.map((person) => new Sitter(person, people.find((one) => one.person === person).name, { isNoise: choice.noise, run: choice.run, tell }));
    this.viewed = null;
    this.latest = null;
    this.drawn = 0;
  }

  begun(event) {
    this.identity = event.identity;
    for (const one of this.sitters) one.judges = event.judges;
    if (!this.choice.noise) enable();
  }

  preparing(event) {
    tell(event.share === null ? `${event.what} …` : `${event.what}: ${Math.round(100 * event.share)}%`);
  }

  attacking(event) {
    tell("");
    if (this.choice.noise) return;
    byId("course").hidden = false;
    byId("remarks").replaceChildren(...event.remarks.map((remark) => make("li", { textContent: remark })));
    speak(`The attack ${event.attack} begins.`);
  }

  frame(event) {
    byId("sitters").dataset.frames = Number(byId("sitters").dataset.frames ?? 0) + 1;
    this.latest = event;
    event.people.forEach((shown, place) => {
      const sitter = this.sitters[place];
      if (!sitter.judges.length) sitter.judges = judges;
      sitter.pass(shown, event.queries[place]);
      if (this.viewed === null) this.showNow(sitter, place);
    });
    // The curves change little from one picture to the next.
    const isDue = event.paused || performance.now() - this.drawn > CURVES_EVERY;
    if (!this.choice.noise && isDue) this.redraw();
  }

  showNow(sitter, place) {
    const queries = this.latest.queries[place];
    sitter.show(this.latest.people[place], queries, `${this.latest.paused ? "Paused at" : "Now, after"} ${count(queries)} queries`);
  }

  milestone(event) {
    event.people.forEach((shown, place) => {
      const sitter = this.sitters[place];
      if (!sitter.judges.length) sitter.judges = judges;
      sitter.add(shown, event.queries[place], event.number, (number) => this.view(number));
      if (this.viewed === null) sitter.show(shown, event.queries[place], caption(event.queries[place]));
    });
    if (this.choice.noise) return;
    byId("rewind").max = event.number;
    if (this.viewed === null) byId("rewind").value = event.number;
    const first = event.people[0];
    speak(`After ${count(event.queries[0])} queries the model ${first.confidence === null ? "has answered" : `is ${percent(first.confidence)} sure`}${first.votes === null ? "" : `; ${first.votes.filter(Boolean).length} of ${first.votes.length} judges agree`}.`);
    this.label();
    this.redraw();
  }

  ended(event) {
    this.identity = null;
    byId("sitters").dataset.seconds = event.seconds;
    byId("sitters").dataset.rows = event.rows;
    if (event.why === "mistake" || event.why === "fault") tell(event.sentence, true);
    if (this.choice.noise) return;
    speak(event.sentence);
    this.latest = null;
    const number = this.sitters[0].milestones.length - 1;
    if (number >= 0 && this.viewed === null) this.view(number);
  }

  /** Shows a milestone; `null` is the live picture. */
  view(number) {
    this.viewed = number;
    for (const [place, sitter] of this.sitters.entries()) {
      if (number !== null) {
        const { shown, queries } = sitter.milestones[number];
        sitter.show(shown, queries, caption(queries));
      } else if (this.latest) this.showNow(sitter, place);
      sitter.press(number);
    }
    if (this.choice.noise) return;
    if (number !== null) byId("rewind").value = number;
    this.label();
    this.redraw();
  }

  label() {
    const number = Number(byId("rewind").value);
    const at = this.sitters[0].milestones[number];
    const words = this.viewed === null && this.identity ? "the live picture" : at ? `after ${count(at.queries)} queries` : "";
    byId("rewound").textContent = words;
    byId("rewind").setAttribute("aria-valuetext", words);
    byId("live").hidden = this.viewed === null || this.identity === null;
  }

  redraw() {
    this.drawn = performance.now();
    const here = this.viewed === null ? undefined : this.sitters[0].milestones[this.viewed]?.queries;
    chart(byId("confidence-chart"), this.sitters.map((one) => one.confidences), { most: 1, ticks: [0, 0.5, 1], label: (tick) => `${100 * tick}%`, here });
    const bits = this.sitters.map((one) => one.bits);
    byId("bits-figure").hidden = !bits.some((one) => one.length);
    const most = Math.max(4, ...bits.flat().map((point) => Math.ceil(point[1])));
    chart(byId("bits-chart"), bits, { most, ticks: [0, most / 2, most], label: String, here });
  }
}

let judges = [];
let beside = null;

/** Makes buttons usable as they make sense. */
function enable() {
  const runs = Boolean(session?.identity);
  const isPaused = runs && session.isAsked;
  byId("start").disabled = people.length === 0 || chosen().length === 0;
  byId("start").textContent = runs ? "Start anew" : "Start";
  byId("pause").disabled = byId("stop").disabled = !runs;
  byId("step").disabled = !runs;
  byId("pause").textContent = isPaused ? "Go on" : "Pause";
}

function chosen() {
  return [...form.querySelectorAll(".names input:checked")].map((one) => Number(one.value));
}

function wanted() {
  return {
    people: chosen(),
    access: form.access.value,
    prior: form.prior.value,
    defense: form.defense.value,
    told: form.told.checked,
    pace: form.pace.value,
    run: form.run.value,
  };
}

async function start(event) {
  event.preventDefault();
  session?.end();
  beside?.end();
  tell("");
  const choice = wanted();
  session = new Session({ ...choice, noise: false });
  beside = form.noise.checked ? new Session({ ...choice, people: choice.people.slice(0, 1), noise: true }) : null;
  byId("sitters").dataset.frames = 0;
  delete byId("sitters").dataset.seconds;
  byId("sitters").replaceChildren(...[session, beside].filter(Boolean).flatMap((one) => one.sitters.map((sitter) => sitter.root)));
  byId("rewind").value = byId("rewind").max = 0;
  const mine = session;
  const running = [session.run(tell), beside?.run(tell)];
  enable();
  await running[0];
  if (session !== mine) return;
  session.label();
  enable();
}

function control(what) {
  session?.control(what, tell);
  beside?.control(what, tell);
}

form.addEventListener("submit", start);
form.addEventListener("change", () => {
  limit();
  about();
  enable();
});
byId("pause").addEventListener("click", () => {
  session.isAsked = !session.isAsked;
  control(session.isAsked ? "pause" : "resume");
  enable();
});
byId("step").addEventListener("click", () => {
  session.isAsked = true;
  control("step");
  enable();
});
byId("stop").addEventListener("click", () => control("stop"));
byId("rewind").addEventListener("input", () => session?.view(Number(byId("rewind").value)));
byId("live").addEventListener("click", () => session?.view(null));
addEventListener("resize", () => session?.redraw());
// A page that goes, also into the browser's cache of pages, ends its attacks.
addEventListener("pagehide", () => {
  session?.end();
  beside?.end();
});

/** Lets no more people be chosen than are attacked at once. */
function limit() {
  const names = form.querySelector(".names");
  const isFull = chosen().length >= Number(names.dataset.most);
  for (const one of names.querySelectorAll("input")) one.disabled = isFull && !one.checked;
}

function about() {
  for (const select of [form.prior, form.defense]) byId(`${select.id}-about`).textContent = select.selectedOptions[0].dataset.about;
  const seesThrough = form.access.value === "weights" && form.defense.value !== "none";
  if (seesThrough) byId("defense-about").textContent = "Who has the weights sees through it: choose another access to see what it does.";
  form.told.disabled = form.defense.value === "none" || form.access.value === "weights";
}

function fill(state) {
  people = state.people;
  const boxes = people.map((one, place) =>
    make("label", { className: "choice" }, make("input", { type: "checkbox", name: "people", value: String(one.person), checked: place === 0 }), make("span", { textContent: one.name })),
  );
  form.querySelector(".names").replaceChildren(...boxes);
  for (const option of form.prior.options) option.disabled = !state.public && option.value !== "mean";
  if (!state.public) form.prior.value = "mean";
  const ranks = ["weights", "scores", "label"];
  const most = Math.max(0, ranks.indexOf(state.access));
  for (const [place, radio] of [...form.access].entries()) radio.disabled = place < most;
  form.access[most].checked = true;
  form.noise.disabled = most > 0;
  if (most > 0) form.noise.checked = false;
  byId("served").hidden = !state.served;
  presets(form);
  limit();
  about();
  enable();
}

let opening = 0;

/** Opens the model that is chosen; the one before is forgotten. */
function open() {
  session?.end();
  beside?.end();
  people = [];
  enable();
  const mine = ++opening;
  const run = form.run.value;
  const path = run ? `/develop/studio?run=${encodeURIComponent(run)}` : "/develop/studio";
  const learn = (state) => {
    judges = state.judges ?? [];
  };
  opened(path, fill, learn, () => mine === opening);
}

form.run.addEventListener("change", open);
const wantedRun = new URLSearchParams(location.search).get("run");
if ([...form.run.options].some((one) => one.value === wantedRun)) form.run.value = wantedRun;
open();
