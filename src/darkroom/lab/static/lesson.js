// The page of the lesson: guesses, and answers that the lab measures.
import { ask, byId, lines, make, speak, tell } from "./lab.js";

const KEPT = "darkroom-lesson-guess-";
const running = new Map();

const of = (key) => document.querySelector(`[data-answer="${key}"]`);

/** Shows a measured answer. */
function show(answer) {
  const place = of(answer.question);
  const head = make("tr", {}, ...answer.columns.map((title) => make("th", { scope: "col", textContent: title })));
  const rows = answer.rows.map(([name, ...cells]) => make("tr", {}, make("th", { scope: "row", textContent: name }), ...cells.map((cell) => make("td", { textContent: cell }))));
  const table = make("table", { className: "held" }, make("thead", {}, head), make("tbody", {}, ...rows));
  const label = document.getElementById(`${answer.question}-title`).textContent.trim();
  place.querySelector(".measured").replaceChildren(
    make("p", { className: "sentence", textContent: answer.sentence }),
    make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": `Measured: ${label}` }, table),
    make("p", { className: "foot", textContent: `Measured on ${answer.about}, in ${Math.max(1, Math.round(answer.seconds))} seconds.` }),
  );
  place.querySelector(".meaning").hidden = false;
  place.querySelector(".measure").textContent = "Measure it again";
  document.querySelector(`[data-mark="${answer.question}"]`).textContent = "✓ measured";
}

/** Measures one answer, and returns when it is there, or cannot be. */
async function measure(key) {
  if (running.has(key)) return;
  const abort = new AbortController();
  running.set(key, abort);
  const place = of(key);
  const [button, end, doing] = [".measure", ".end", ".doing"].map((one) => place.querySelector(one));
  button.disabled = true;
  end.hidden = false;
  end.onclick = () => abort.abort();
  doing.classList.remove("mistake");
  doing.textContent = "Beginning …";
  let last = null;
  try {
    const answer = await ask("/lesson/experiments", { body: { question: key }, signal: abort.signal });
    for await (const event of lines(answer)) {
      last = event;
      if (event.event === "doing") doing.textContent = event.share === null ? `${event.what} …` : `${event.what}: ${Math.round(100 * event.share)}%`;
      if (event.event === "answer") {
        show(event);
        speak(event.sentence);
      }
    }
    if (last?.event !== "ended") throw new Error("The lab does not answer any more.");
    doing.textContent = last.why === "done" ? "" : last.sentence;
    doing.classList.toggle("mistake", last.why === "mistake" || last.why === "fault");
  } catch (error) {
    doing.textContent = error.name === "AbortError" ? "Stopped." : error.message;
    doing.classList.toggle("mistake", error.name !== "AbortError");
  }
  button.disabled = false;
  end.hidden = true;
  running.delete(key);
}

for (const button of document.querySelectorAll("[data-measure]")) button.addEventListener("click", () => measure(button.dataset.measure));
byId("measure-all").addEventListener("click", async () => {
  byId("measure-all").disabled = true;
  for (const button of document.querySelectorAll("[data-measure]")) if (!document.querySelector(`[data-mark="${button.dataset.measure}"]`).textContent) await measure(button.dataset.measure);
  byId("measure-all").disabled = false;
});
byId("print").addEventListener("click", () => print());
addEventListener("pagehide", () => running.forEach((one) => one.abort()));

// Guesses stay in this tab's own memory, and on paper.
for (const area of document.querySelectorAll("[data-guess]")) {
  const key = KEPT + area.dataset.guess;
  const written = area.parentElement.querySelector(".written");
  area.value = sessionStorage.getItem(key) ?? "";
  written.textContent = area.value;
  area.addEventListener("input", () => {
    sessionStorage.setItem(key, area.value);
    written.textContent = area.value;
  });
}

try {
  const answers = await (await ask("/lesson/answers")).json();
  Object.values(answers).forEach(show);
} catch (error) {
  tell(error.message, true);
}
