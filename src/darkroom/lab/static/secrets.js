// The page where a search for a secret grows.
import { ask, byId, count, draw, lines, make, speak, tell } from "./lab.js";

const WIDE = 58, HIGH = 24, MARGIN = 26;
const form = byId("knobs");
let canaries = [];
let counts = [];
let search = null;

const times = (number) => (number === 0 ? "never" : number === 1 ? "once" : `${number} times`);
const chosen = () => canaries.find((one) => one.canary === Number(form.canary.value));

/** One search: its stream and its tree. */
class Search {
  constructor(canary) {
    this.canary = canary;
    this.abort = new AbortController();
    this.identity = null;
    this.isPaused = false;
  }

  async run(choice) {
    let last = null;
    try {
      const answer = await ask("/secrets/searches", { body: choice, signal: this.abort.signal });
      for await (const event of lines(answer)) {
        last = event;
        this[event.event](event);
      }
      if (last?.event !== "ended") throw new Error("The lab does not answer any more.");
    } catch (error) {
      if (error.name !== "AbortError") tell(error.message, true);
    }
    this.identity = null;
    if (search === this) enable();
  }

  begun(event) {
    this.identity = event.identity;
    enable();
  }

  grown(event) {
    byId("asked").textContent = count(event.asked);
    grow(event.nodes, event.asked);
  }

  ended(event) {
    byId("outcome").textContent = event.sentence;
    byId("outcome").classList.toggle("found", event.found);
    if (event.guess) byId("secret").textContent = event.guess;
    if (event.why === "mistake" || event.why === "fault") tell(event.sentence, true);
    else speak(event.sentence);
    if (event.why !== "done") return;
    const words = event.found ? "found" : event.guess ? "another candidate is likelier" : "not found";
    byId("past").prepend(make("tr", {}, make("td", { textContent: times(this.canary.repetitions) }), make("th", { scope: "row", textContent: this.canary.owner }), make("td", { className: "num", textContent: count(event.asked) }), make("td", { className: event.found ? "yes" : "", textContent: words })));
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
  const runs = Boolean(search?.identity);
  for (const id of ["pause", "step", "stop"]) byId(id).disabled = !runs;
  byId("start").textContent = runs ? "Start anew" : "Start";
  byId("pause").textContent = runs && search.isPaused ? "Go on" : "Pause";
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

form.addEventListener("submit", (event) => {
  event.preventDefault();
  search?.end();
  tell("");
  show();
  byId("outcome").textContent = "";
  byId("outcome").classList.remove("found");
  byId("asked").textContent = "0";
  byId("tree").replaceChildren();
  search = new Search(chosen());
  search.run({ canary: search.canary.canary, reveal: form.reveal.checked, pace: form.pace.value });
  enable();
});
byId("repetitions").addEventListener("input", group);
form.canary.addEventListener("change", show);
byId("pause").addEventListener("click", () => {
  search.isPaused = !search.isPaused;
  search.control(search.isPaused ? "pause" : "resume");
  enable();
});
byId("step").addEventListener("click", () => {
  search.isPaused = true;
  search.control("step");
  enable();
});
byId("stop").addEventListener("click", () => search?.control("stop"));
addEventListener("pagehide", () => search?.end());

async function load() {
  const notice = byId("loading");
  let isAsked = false;
  byId("prepare").addEventListener("click", () => {
    byId("prepare").hidden = true;
    isAsked = true;
    ask("/secrets/model/load", { body: {} }).catch((error) => tell(error.message, true));
  });
  for (;;) {
    let state;
    try {
      state = await (await ask("/secrets/model")).json();
    } catch (error) {
      state = { mistake: error.message };
    }
    if (state.mistake) {
      notice.textContent = state.mistake;
      notice.classList.add("mistake");
      return;
    }
    if (state.ready) {
      canaries = state.canaries;
      counts = [...new Set(canaries.map((one) => one.repetitions))].sort((one, other) => one - other);
      byId("repetitions").max = counts.length - 1;
      byId("repetitions").value = Math.floor(counts.length / 2);
      notice.hidden = true;
      byId("bench").hidden = false;
      group();
      return;
    }
    if (state.is_there && !isAsked) {
      isAsked = true;
      await ask("/secrets/model/load", { body: {} });
    }
    byId("prepare").hidden = isAsked;
    const share = state.stage.share === null ? " …" : `: ${Math.round(100 * state.stage.share)}%`;
    notice.textContent = isAsked ? `${state.stage.title}${share}` : "There is no language model yet. darkroom demo leaves one, or train a small one here.";
    await new Promise((resume) => setTimeout(resume, 500));
  }
}

load();
