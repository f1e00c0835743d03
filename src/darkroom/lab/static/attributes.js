// The page of one patient: what the model answers to each value, and what follows.
import { ask, byId, count, make, loaded, percent, presets, speak, tell } from "./lab.js";

const form = byId("knobs");
const seen = new Map();
let state = null;
let patient = null;
let latest = 0;

const chosen = () => ({ who: form.who.value, place: Number(form.place.value) - 1, attack: form.attack.value });
const path = ({ who, place }) => `/attributes/patients/${who}/${place}`;
const likeliest = (name) => patient.values.reduce((best, one) => (one[name] > best[name] ? one : best));

/** A share as a bar with its figure. */
function bar(share, kind) {
  const fill = make("span", { className: `fill ${kind}` });
  fill.style.setProperty("--share", `${100 * share}%`);
  return make("td", { className: "share" }, make("span", { className: "rail", "aria-hidden": "true" }, fill), make("span", { className: "figure", textContent: percent(share) }));
}

async function show() {
  const limit = state[form.who.value];
  form.place.max = limit;
  form.place.value = Math.min(limit, Math.max(1, Math.round(Number(form.place.value)) || 1));
  const asked = chosen();
  const mine = ++latest;
  try {
    const found = await (await ask(`${path(asked)}?attack=${encodeURIComponent(asked.attack)}`)).json();
    if (mine !== latest) return;
    patient = { ...found, ...asked, truth: null };
  } catch (error) {
    tell(error.message, true);
    return;
  }
  tell("");
  draw();
  totals();
  byId("reveal").textContent = "Show the truth";
  speak(`Patient ${asked.place + 1}. ${byId("outcome").textContent}`);
}

function draw() {
  byId("patient-title").textContent = `Patient ${count(patient.place + 1)} of ${count(state[patient.who])}`;
  byId("known").replaceChildren(
    ...[...patient.known, patient.response].map((one, place) => make("div", { className: place === patient.known.length ? "happened" : "" }, make("dt", { textContent: one.column }), make("dd", { textContent: one.value }))),
    make("div", { className: "hidden-value" }, make("dt", { textContent: patient.sensitive }), make("dd", { textContent: patient.truth ?? "hidden" })),
  );
  byId("sensitive").textContent = patient.sensitive;
  byId("queries").textContent = `${count(patient.queries)} ${patient.queries === 1 ? "row" : "rows"} about this patient`;
  byId("values").replaceChildren(...patient.values.map((one) => {
    const isTrue = patient.truth === one.value;
    const name = make("th", { scope: "row", textContent: one.value }, ...(isTrue ? [make("span", { className: "true-mark", textContent: " true" })] : []));
    return make("tr", { className: isTrue ? "is-true" : "" }, name, make("td", { className: "num", textContent: one.answer }), make("td", { className: "num", textContent: one.off === null ? "–" : one.off.toPrecision(3) }), bar(one.imputed, "imputed"), bar(one.posterior, "posterior"));
  }));
  const [attacker, imputation] = [likeliest("posterior"), likeliest("imputed")];
  const words = `The attacker takes ${attacker.value} (${percent(attacker.posterior)} sure); without the model one would take ${imputation.value} (${percent(imputation.imputed)}).`;
  const verdict = patient.truth === null ? "" : ` It is ${patient.truth}: the attacker is ${attacker.value === patient.truth ? "right" : "wrong"}, imputation ${imputation.value === patient.truth ? "right" : "wrong"}.`;
  byId("outcome").textContent = words + verdict;
  byId("outcome").classList.toggle("found", patient.truth !== null && attacker.value === patient.truth && imputation.value !== patient.truth);
}

/** Shows how often each guesser is right about all patients. */
function totals() {
  const of = state.attacks.find((one) => one.attack === form.attack.value).right[form.who.value];
  if (!of) return;
  const between = (one) => `${percent(one.low)} to ${percent(one.high)}`;
  const rows = [["The attacker, who asked the model", of.attack], [`Imputation without the model (${state.imputer})`, of.imputation]];
  byId("right").replaceChildren(...rows.map(([name, one]) => make("tr", {}, make("th", { scope: "row", textContent: name }), make("td", { className: "num", textContent: percent(one.estimate) }), make("td", { textContent: between(one) }))));
  const points = (value) => `${value < 0 ? "−" : "+"}${Math.abs(100 * value).toFixed(1)}`;
  const { estimate, low, high } = of.advantage;
  byId("advantage").textContent = `The model adds ${points(estimate)} points (${points(low)} to ${points(high)}).`;
  byId("advantage").classList.toggle("found", low > 0);
  tally();
}

/** Counts the patients whose truth was looked at. */
function tally() {
  const mine = [...seen.values()].filter((one) => one.who === form.who.value && one.attack === form.attack.value);
  const right = (name) => mine.filter((one) => one[name]).length;
  byId("tally").textContent = mine.length ? `Of the ${count(mine.length)} that you looked at, the attacker is right about ${right("attacker")}, imputation about ${right("imputation")}.` : "";
}

async function reveal() {
  const asked = patient;
  try {
    const { truth } = await (await ask(`${path(asked)}/truth`)).json();
    if (asked !== patient) return;
    patient.truth = truth;
  } catch (error) {
    tell(error.message, true);
    return;
  }
  const key = [asked.who, asked.place, asked.attack].join(" ");
  seen.set(key, { ...chosen(), attacker: likeliest("posterior").value === patient.truth, imputation: likeliest("imputed").value === patient.truth });
  byId("reveal").textContent = "Next patient";
  draw();
  tally();
  speak(byId("outcome").textContent);
}

function move(by) {
  const limit = state[form.who.value];
  form.place.value = ((Number(form.place.value) - 1 + by + limit) % limit) + 1;
  show();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (patient?.truth === null) reveal();
  else move(1);
});
form.addEventListener("change", show);
byId("former").addEventListener("click", () => move(-1));
byId("next").addEventListener("click", () => move(1));

function fill(told) {
  state = told;
  for (const who of ["members", "others"]) byId(`${who}-count`).textContent = `${count(state[who])} patients`;
  form.querySelector("[name=who][value=others]").disabled = state.others === 0;
  byId("attacks").append(...state.attacks.map((one, place) => make("label", { className: "choice" }, make("input", { type: "radio", name: "attack", value: one.attack, checked: place === 0 }), make("span", {}, one.access === "weights" ? "Has the model" : "Asks the model", make("small", { textContent: one.about })))));
  presets(form);
  byId("bench").hidden = false;
  show();
}

loaded("/attributes/model", fill);
