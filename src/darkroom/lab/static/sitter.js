// One person's picture, and what model and judges say of it.
import { ask, byId, count, lines, make, percent } from "./lab.js";

const MOST_POINTS = 400;

/** One person's picture and what is said of it. */
export class Sitter {
  constructor(person, name, { isNoise = false, run = "", tell = () => {} } = {}) {
    this.tell = tell;
    this.run = run;
    this.person = person;
    this.name = name;
    this.isNoise = isNoise;
    this.judges = [];
    this.milestones = [];
    this.hasFrames = false;
    this.confidences = [];
    this.bits = [];
    this.root = byId("sitter").content.cloneNode(true).querySelector("article");
    this.part = (selector) => this.root.querySelector(selector);
    this.part("h2").textContent = isNoise ? `Noise, for ${name}` : name;
    this.root.dataset.person = person;
    this.root.dataset.noise = isNoise;
    this.root.setAttribute("aria-label", isNoise ? `Noise that fools the model for ${name}` : name);
    const reveal = this.part(".reveal");
    if (isNoise) reveal.remove();
    else reveal.addEventListener("click", () => this.reveal(reveal));
  }

  async reveal(button) {
    const figure = this.part(".truth");
    const isShown = button.getAttribute("aria-expanded") === "true";
    if (!isShown) {
      try {
        const { picture } = await (await ask(`/develop/people/${this.person}/photo${this.run ? `?run=${encodeURIComponent(this.run)}` : ""}`)).json();
        figure.querySelector("img").src = picture;
        figure.querySelector("img").alt = `A real photo of ${this.name}`;
      } catch (error) {
        this.tell(error.message, true);
        return;
      }
    } else figure.querySelector("img").removeAttribute("src");
    figure.hidden = isShown;
    button.setAttribute("aria-expanded", String(!isShown));
    button.textContent = isShown ? "Show the real photo" : "Hide the real photo";
  }

  show(shown, queries, when) {
    const image = this.part(".shown img");
    image.src = shown.picture;
    image.alt = `What the attack has of ${this.name} after ${count(queries)} queries`;
    this.part(".shown figcaption").textContent = when;
    this.root.dataset.queries = queries;
    this.part(".queries").textContent = count(queries);
    // Nobody asks a served model about what passes by: what it said last stays.
    if (shown.confidence !== null) this.sure(shown.confidence);
    this.part(".bits").textContent = shown.bits === null ? "–" : shown.bits.toFixed(1);
    this.vote(shown);
  }

  sure(confidence) {
    this.root.dataset.confidence = confidence;
    const meter = this.part(".meter");
    meter.setAttribute("aria-valuenow", (100 * confidence).toFixed(1));
    meter.setAttribute("aria-valuetext", percent(confidence));
    meter.style.setProperty("--share", `${100 * confidence}%`);
    this.part(".figure").textContent = percent(confidence);
    this.part(".words").textContent = this.isNoise && confidence > 0.99 ? "sure of this too" : `sure that this is ${this.name}`;
  }

  vote(shown) {
    const votes = shown.votes;
    const said = JSON.stringify([votes, shown.plausible, shown.recovered, shown.confidence >= 0.99, this.judges]);
    if (said === this.voted) return;
    this.voted = said;
    const list = this.part(".votes");
    if (votes === null) {
      list.replaceChildren();
      this.part(".outcome").textContent = this.judges.length ? "The judges have not looked yet." : "The judges are still learning.";
      return;
    }
    list.replaceChildren(...votes.map((vote, place) => {
      const mark = make("span", { "aria-hidden": "true", textContent: vote ? "✓ " : "✗ " });
      const words = make("span", { className: "unseen", textContent: vote ? ": yes" : ": no" });
      return make("li", { className: vote ? "yes" : "no" }, mark, this.judges[place] ?? `judge ${place + 1}`, words);
    }));
    const agree = votes.filter(Boolean).length;
    this.part(".outcome").textContent = outcome(shown, agree, votes.length);
    this.root.classList.toggle("recovered", shown.recovered);
    this.root.classList.toggle("fooled", !shown.recovered && shown.confidence >= 0.99);
  }

  /** Remembers what passes by. */
  pass(shown, queries) {
    this.hasFrames ||= shown.confidence !== null;
    this.remember(shown, queries);
  }

  remember(shown, queries) {
    if (shown.confidence !== null) push(this.confidences, [queries, shown.confidence]);
    if (shown.bits !== null) push(this.bits, [queries, shown.bits]);
  }

  add(shown, queries, number, choose) {
    this.milestones.push({ shown, queries });
    // Of a served model, milestones alone tell something.
    if (!this.hasFrames || number === 0) this.remember(shown, queries);
    const image = make("img", { src: shown.picture, alt: "" });
    const sure = shown.confidence === null ? "" : `, ${percent(shown.confidence)} sure`;
    const button = make("button", { type: "button", "aria-pressed": "false", "aria-label": `After ${count(queries)} queries${sure}` }, image);
    button.addEventListener("click", () => choose(number));
    this.part(".strip").append(make("li", {}, button));
  }

  press(number) {
    this.root.querySelectorAll(".strip button").forEach((button, place) => button.setAttribute("aria-pressed", String(place === number)));
  }
}

/** Says what judges and model come to. */
function outcome(shown, agree, judges) {
  const sure = shown.confidence >= 0.99 ? "The model is sure, and " : "";
  if (!shown.plausible) return `${sure ? "The model is sure, but it" : "It"} passes for no face, so no vote counts.`;
  if (shown.recovered) return `${agree} of ${judges} judges agree, who share nothing with the model: recovered.`;
  return `${sure}${agree} of ${judges} judges agree: not recovered.`;
}

function push(points, point) {
  // What passes by is told apart from milestones, and one may overtake the other.
  let place = points.length;
  while (place > 0 && points[place - 1][0] > point[0]) place -= 1;
  points.splice(place, 0, point);
  if (points.length > MOST_POINTS) for (let place = points.length - 2; place > 0; place -= 2) points.splice(place, 1);
}

export const caption = (queries) => (queries === 0 ? "Where the attack begins" : `Best after ${count(queries)} queries`);

/** Follows one attack from its start to its end; what it tells goes to the methods of that name. */
export class Followed {
  constructor(choice) {
    this.choice = choice;
    this.abort = new AbortController();
    this.identity = null;
  }

  async run(tell) {
    let last = null;
    try {
      const answer = await ask("/develop/attacks", { body: this.choice, signal: this.abort.signal });
      for await (const event of lines(answer)) {
        last = event;
        this[event.event](event);
      }
      if (last?.event !== "ended") throw new Error("The lab does not answer any more.");
    } catch (error) {
      if (error.name !== "AbortError") tell(error.message, true);
    }
    this.identity = null;
  }

  control(what, tell) {
    if (this.identity) ask(`/develop/attacks/${this.identity}/${what}`, { body: {} }).catch((error) => tell(error.message, true));
  }

  end() {
    this.abort.abort();
    this.identity = null;
  }
}
