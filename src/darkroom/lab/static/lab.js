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

const pause = (milliseconds) => new Promise((resume) => setTimeout(resume, milliseconds));
const staged = (stage) => (stage.share === null ? `${stage.title} …` : `${stage.title}: ${Math.round(100 * stage.share)}%`);

/** Asks for a state until something is done with it; says what is wrong where it cannot be had. */
async function polled(path, isDone, isWanted = () => true) {
  const notice = byId("loading");
  notice.classList.remove("mistake");
  for (;;) {
    let state;
    try {
      state = await (await ask(path)).json();
    } catch (error) {
      state = { mistake: error.message };
    }
    if (!isWanted()) return;
    if (state.mistake) {
      notice.hidden = false;
      notice.textContent = state.mistake;
      notice.classList.add("mistake");
      return;
    }
    if (await isDone(state, notice)) return;
    await pause(500);
  }
}

/** Asks until a model is there; says meanwhile how far it is. */
export const loaded = (path, fill) =>
  polled(path, (state, notice) => {
    notice.hidden = state.ready;
    if (state.ready) fill(state);
    else notice.textContent = staged(state.stage);
    return state.ready;
  });

/** The same of a model that must first be made, which nobody has asked for yet. */
export const made = (path, isDone) => polled(path, (state, notice) => isDone(state, notice, staged));

/** Asks until the model and the judges are there; says meanwhile how far they are. */
export function opened(path, fill, every = () => {}, isWanted = () => true) {
  let isFilled = false;
  return polled(path, (state, notice) => {
    if (state.ready && !isFilled) fill(state);
    isFilled ||= state.ready;
    every(state);
    const waits = state.judges_stage.title;
    const isVain = waits.startsWith("There are no judges");
    notice.hidden = state.ready && !waits;
    notice.textContent = !state.ready ? staged(state.stage) : isVain ? waits : `You can start. ${staged(state.judges_stage)}`;
    return state.ready && (!waits || isVain);
  }, isWanted);
}

/** Sets knobs as the page's address says; what it does not know, or may not be chosen, it leaves. */
export function presets(form) {
  const wanted = new URLSearchParams(location.search);
  for (const name of new Set(wanted.keys())) {
    const values = wanted.getAll(name);
    for (const control of form.elements) {
      if (control.name !== name || control.disabled) continue;
      if (control.type === "radio") control.checked ||= values.includes(control.value);
      else if (control.type === "checkbox") control.checked = values.includes(control.value);
      else if (control.tagName !== "SELECT" || [...control.options].some((one) => one.value === values[0] && !one.disabled)) control.value = values[0];
    }
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
