// What all pages of the lab share. Text becomes text alone, never markup.

/** Makes an element with properties, attributes and children. */
export function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/** Makes an element of a drawing. */
export function draw(tag, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}

export const byId = (id) => document.getElementById(id);

/** Asks the lab for something, and throws a sentence if it will not. */
export async function ask(path, { body, signal } = {}) {
  const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  let answer;
  try {
    answer = await fetch(path, { ...options, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The lab does not answer. Is darkroom lab still running?");
  }
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    throw new Error(told.sentence ?? `The lab answered ${answer.status}.`);
  }
  return answer;
}

/** Yields what a stream tells, line by line. */
export async function* lines(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) if (part) yield JSON.parse(part);
  }
}

/** Writes a confidence so that what is not certain never reads as 100%. */
export function percent(share) {
  if (share > 0 && share < 0.001) return "under 0.1%";
  const tenths = Math.floor(share * 1000) / 10;
  return `${tenths >= 100 ? 100 : tenths.toFixed(1)}%`;
}

export const count = (number) => number.toLocaleString("en");

const COLOURS = 6;
const DASHES = ["", "7 3", "2 2.5", "8 3 2 3", "", "7 3"];

/** Draws lines against queries into an SVG element, as wide as it is. */
export function chart(svg, series, { most, ticks, label, here }) {
  const width = Math.max(240, svg.clientWidth || 320), height = 150;
  const left = 40, right = 10, top = 8, bottom = 30;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const last = Math.max(1, ...series.flatMap((one) => one.map((point) => point[0])));
  const x = (queries) => left + ((width - left - right) * queries) / last;
  const y = (value) => height - bottom - ((height - top - bottom) * Math.max(0, Math.min(most, value))) / most;
  const parts = [];
  for (const tick of ticks) {
    parts.push(draw("line", { class: "axis", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }));
    parts.push(draw("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, label(tick)));
  }
  parts.push(draw("text", { x: left, y: height - 8 }, "0"));
  parts.push(draw("text", { x: width - right, y: height - 8, "text-anchor": "end" }, `${count(last)} queries`));
  if (here !== undefined) parts.push(draw("line", { class: "here", x1: x(here), x2: x(here), y1: top, y2: height - bottom }));
  series.forEach((one, place) => {
    const line = draw("polyline", { class: "trace", points: one.map(([q, v]) => `${x(q).toFixed(1)},${y(v).toFixed(1)}`).join(" "), "stroke-dasharray": DASHES[place % COLOURS] });
    line.style.setProperty("stroke", `var(--series-${(place % COLOURS) + 1})`);
    parts.push(line);
  });
  svg.replaceChildren(...parts);
}

/** Asks until the model and the judges are there; says meanwhile how far they are. */
export async function opened(fill, every = () => {}) {
  const words = (stage) => (stage.share === null ? `${stage.title} …` : `${stage.title}: ${Math.round(100 * stage.share)}%`);
  const notice = byId("loading");
  let isFilled = false;
  for (;;) {
    let state;
    try {
      state = await (await ask("/develop/studio")).json();
    } catch (error) {
      state = { mistake: error.message };
    }
    if (state.mistake) {
      notice.textContent = state.mistake;
      notice.classList.add("mistake");
      return;
    }
    if (state.ready && !isFilled) fill(state);
    isFilled ||= state.ready;
    every(state);
    const waits = state.judges_stage.title;
    notice.hidden = state.ready && !waits;
    notice.textContent = !state.ready ? words(state.stage) : waits.startsWith("There are no judges") ? waits : `You can start. ${words(state.judges_stage)}`;
    if (state.ready && (!waits || waits.startsWith("There are no judges"))) return;
    await new Promise((resume) => setTimeout(resume, 500));
  }
}

/** Says something to people, and to screen readers. */
export function tell(sentence, isMistake = false) {
  const state = byId("state");
  state.textContent = sentence;
  state.hidden = !sentence;
  state.classList.toggle("mistake", isMistake);
  if (isMistake) state.setAttribute("role", "alert");
  else state.removeAttribute("role");
}

/** Says something to screen readers alone. */
export function speak(sentence) {
  byId("spoken").textContent = sentence;
}
