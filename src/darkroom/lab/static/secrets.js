// The page where a search for a secret grows.
import { ask, byId, count, draw, lines, made, make, percent, presets, speak, tell } from "./lab.js";

const WIDE = 58, HIGH = 24, MARGIN = 26;
const form = byId("knobs");
let canaries = [];
let counts = [];
let searches = [];
let isPaused = false;

const times = (number) => (number === 0 ? "never" : number === 1 ? "once" : `${number} times`);
const chosen = () => canaries.find((one) => one.canary === Number(form.canary.value));

/** One search: its stream, and where it is shown. */
class Search {
  constructor(canary, attack) {
    this.canary = canary;
    this.attack = attack;
    this.isTree = attack === "best-first";
    this.abort = new AbortController();
    this.identity = null;
    this.panel = document.querySelector(`[data-attack="${attack}"]`);
    this.part = (selector) => this.panel.querySelector(selector);
    this.clear();
  }

  clear() {
    this.part(".asked").textContent = "0";
    this.part(".outcome").textContent = "";
    this.part(".outcome").classList.remove("found");
    if (this.isTree) byId("tree").replaceChildren();
    else this.part(".candidates").replaceChildren();
  }

  async run(choice) {
    let last = null;
    try {
      const answer = await ask("/secrets/searches", { body: { ...choice, attack: this.attack }, signal: this.abort.signal });
      for await (const event of lines(answer)) {
        last = event;
        this[event.event](event);
      }
      if (last?.event !== "ended") throw new Error("The lab does not answer any more.");
    } catch (error) {
      if (error.name !== "AbortError") tell(error.message, true);
    }
    this.identity = null;
    enable();
  }

  begun(event) {
    this.identity = event.identity;
    if (isPaused) this.control("pause");
    enable();
  }

  grown(event) {
    this.part(".asked").textContent = count(event.asked);
    grow(event.nodes, event.asked);
  }

  weighed(event) {
    this.part(".asked").textContent = count(event.asked);
    const share = (one) => 2 ** -one.surprise;
    const most = Math.max(...event.candidates.map(share));
    this.part(".candidates").replaceChildren(...event.candidates.map((one) => {
      const fill = make("span", { className: `fill ${one.right ? "right" : ""}` });
      fill.style.setProperty("--share", `${(100 * share(one)) / most}%`);
      const words = this.attack === "sampling" ? percent(share(one)) : `${one.surprise.toFixed(1)} bits`;
      return make("li", {}, make("code", { textContent: one.text }), make("span", { className: "rail", "aria-hidden": "true" }, fill), make("span", { className: "figure", textContent: words }), ...(one.right ? [make("b", { className: "true-mark", textContent: "the secret" })] : []));
    }));
  }

  ended(event) {
    this.part(".asked").textContent = count(event.asked);
    this.part(".outcome").textContent = event.sentence;
    this.part(".outcome").classList.toggle("found", event.found);
    if (event.guess && this.isTree) byId("secret").textContent = event.guess;
    if (event.why === "mistake" || event.why === "fault") tell(event.sentence, true);
    else speak(event.sentence);
    if (event.why !== "done") return;
    const words = event.found ? "found" : event.guess ? "another candidate is likelier" : "not found";
    byId("past").prepend(make("tr", {}, make("td", { textContent: times(this.canary.repetitions) }), make("th", { scope: "row", textContent: this.canary.owner }), make("td", { textContent: this.panel.dataset.name }), make("td", { className: "num", textContent: count(event.asked) }), make("td", { className: event.found ? "yes" : "", textContent: words })));
  }

  control(what) {
    if (this.identity) ask(`/secrets/searches/${this.identity}/${what}`, { body: {} }).catch((error) => tell(error.message, true));
  }

  end() {
    this.abort.abort();
    this.identity = null;
  }
}

/** Draws the tree: what grew from what, left to right. */
function grow(nodes, asked) {
  const children = nodes.map(() => []);
  const roots = [];
  nodes.forEach((node, place) => (node.parent < 0 ? roots : children[node.parent]).push(place));
  const places = [];
  let leaves = 0;
  const put = (place, depth) => {
    const below = children[place].map((child) => put(child, depth + 1));
    const y = below.length ? (below[0] + below.at(-1)) / 2 : leaves++;
    places[place] = { x: MARGIN + depth * WIDE, y: MARGIN + y * HIGH };
    return y;
  };
  roots.forEach((root) => put(root, 0));
  const width = Math.max(...places.map((one) => one.x)) + WIDE, height = 2 * MARGIN + Math.max(1, leaves) * HIGH;
  const svg = byId("tree");
  const parts = [];
  nodes.forEach((node, place) => {
    const { x, y } = places[place];
    const kind = node.right ? "right" : "wrong";
    if (node.parent >= 0) {
      const from = places[node.parent];
      parts.unshift(draw("path", { class: `branch ${kind}`, d: `M${from.x},${from.y} C${from.x + WIDE / 2},${from.y} ${x - WIDE / 2},${y} ${x},${y}` }));
    }
    parts.push(draw("circle", { class: `dot ${kind}`, cx: x, cy: y, r: 5 }));
    if (node.text) parts.push(draw("text", { class: kind, x: x + 8, y: y + 4 }, node.text));
  });
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
  svg.setAttribute("aria-label", `A tree of ${count(asked)} beginnings, ${nodes.filter((node) => node.right).length} of them right`);
  svg.replaceChildren(...parts);
}

function enable() {
  const runs = searches.some((one) => one.identity);
  for (const id of ["pause", "step", "stop"]) byId(id).disabled = !runs;
  byId("start").textContent = runs ? "Start anew" : "Start";
  byId("pause").textContent = runs && isPaused ? "Go on" : "Pause";
}

/** Shows the sentence, with its secret hidden. */
function show() {
  const one = chosen();
  if (!one) return;
  byId("before").textContent = one.before;
  byId("secret").textContent = one.masked;
  byId("after").textContent = one.after;
  byId("candidates").textContent = `2^${one.bits.toFixed(1)}`;
}

function group() {
  const number = counts[byId("repetitions").value] ?? 0;
  byId("times").textContent = times(number);
  byId("repetitions").setAttribute("aria-valuetext", times(number));
  const options = canaries.filter((one) => one.repetitions === number).slice(0, 12);
  form.canary.replaceChildren(...options.map((one) => make("option", { value: String(one.canary), textContent: one.owner })));
  show();
}

function control(what) {
  for (const one of searches) one.control(what);
  enable();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  for (const one of searches) one.end();
  tell("");
  show();
  isPaused = false;
  const canary = chosen();
  const beside = [...form.querySelectorAll("[name=beside]")];
  for (const one of beside) document.querySelector(`[data-attack="${one.value}"]`).hidden = !one.checked;
  const names = ["best-first", ...beside.filter((one) => one.checked).map((one) => one.value)];
  searches = names.map((name) => new Search(canary, name));
  for (const one of searches) one.run({ canary: canary.canary, reveal: form.reveal.checked, pace: form.pace.value });
  enable();
});
byId("repetitions").addEventListener("input", group);
form.canary.addEventListener("change", show);
byId("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  control(isPaused ? "pause" : "resume");
});
byId("step").addEventListener("click", () => {
  isPaused = true;
  control("step");
});
byId("stop").addEventListener("click", () => control("stop"));
addEventListener("pagehide", () => searches.forEach((one) => one.end()));

let isAsked = false;

/** Lets the language model be loaded, or made. */
function prepare() {
  isAsked = true;
  return ask("/secrets/model/load", { body: {} }).catch((error) => tell(error.message, true));
}

byId("prepare").addEventListener("click", () => {
  byId("prepare").hidden = true;
  prepare();
});

function fill(state) {
  canaries = state.canaries;
  counts = [...new Set(canaries.map((one) => one.repetitions))].sort((one, other) => one - other);
  byId("repetitions").max = counts.length - 1;
  byId("repetitions").value = Math.floor(counts.length / 2);
  byId("loading").hidden = true;
  byId("prepare").hidden = true;
  byId("bench").hidden = false;
  presets(form);
  group();
}

made("/secrets/model", async (state, notice, words) => {
  if (state.ready) fill(state);
  else {
    if (state.is_there && !isAsked) await prepare();
    byId("prepare").hidden = isAsked;
    notice.textContent = isAsked ? words(state.stage) : "There is no language model yet. darkroom demo leaves one, or train a small one here.";
  }
  return state.ready;
});
