"""Draws what the lab shows while faces emerge as a moving picture.

Example:
    python examples/moving_picture.py runs/demo-inputs/plan.toml docs/images/emerging.gif --people 4
"""

from __future__ import annotations

import argparse
import base64
import io
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from darkroom.lab.develop.attack import LiveAttack
from darkroom.lab.develop.choices import Choice
from darkroom.lab.develop.events import Ended, Frame, Milestone
from darkroom.lab.studio.loading import Studio

SIDE, GAP, BELOW = 144, 14, 64
FRAMES, HOLD = 36, 2200
COLOURS = 80
INK, MUTED, LINE, LEAK, CALM = "#1b1d21", "#5c626c", "#dfe0dd", "#b3261e", "#0072b2"

Moment = Frame | Milestone


def main() -> None:
    """Attacks people as the page does, and writes what it would show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plan", type=Path, help="of an audit of images")
    parser.add_argument("picture", type=Path, help="the GIF to write")
    parser.add_argument("--people", type=int, default=4, help="how many, the first of the model's")
    parser.add_argument("--prior", default="generator", help="what the attacker knows")
    chosen = parser.parse_args()
    studio = Studio(lambda _: chosen.plan)
    studio.load()
    studio.wait()
    people = tuple(int(one) for one in studio.subject.goals[: chosen.people])
    while studio.bench is None:
        time.sleep(0.2)
        if studio.judges_stage.title.startswith("There are no judges"):
            raise SystemExit(studio.judges_stage.title)
    moments = _moments(studio, Choice.model_validate({"people": people, "prior": chosen.prior}))
    pictures = [_drawn(one) for one in _spread(moments)]
    frames = [one.quantize(COLOURS, dither=Image.Dither.NONE) for one in pictures]
    last = [110] * (len(frames) - 1) + [HOLD]
    frames[0].save(
        chosen.picture,
        save_all=True,
        append_images=frames[1:],
        duration=last,
        loop=0,
        optimize=True,
    )
    print(f"{chosen.picture}: {chosen.picture.stat().st_size:,} bytes, {len(frames)} frames")


def _moments(studio: Studio, choice: Choice) -> list[Moment]:
    """Returns all that the page would be sent; the last is the answer."""
    attack, moments = LiveAttack(studio, choice), []
    attack.begin()
    while True:
        for event in attack.events():
            if isinstance(event, Frame | Milestone):
                moments.append(event)
            if isinstance(event, Ended):
                return moments
        time.sleep(0.02)


def _spread(moments: Sequence[Moment]) -> list[Moment]:
    """Chooses moments so that the early ones, when most happens, are seen longest."""
    most = moments[-1].queries[0]
    wanted = [most * (step / (FRAMES - 1)) ** 2 for step in range(FRAMES)]
    chosen = [min(moments, key=lambda one: abs(one.queries[0] - asked)) for asked in wanted]
    return [*chosen[:-1], moments[-1]]


def _drawn(moment: Moment) -> Image.Image:
    width = len(moment.people) * (SIDE + GAP) - GAP
    picture = Image.new("RGB", (width, SIDE + BELOW), "white")
    pen = ImageDraw.Draw(picture)
    font, large = (ImageFont.load_default(size) for size in (12, 17))
    for place, shown in enumerate(moment.people):
        left = place * (SIDE + GAP)
        sent = Image.open(io.BytesIO(base64.b64decode(shown.picture.partition(",")[2])))
        face = sent.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        picture.paste(face, (left, 0))
        confidence = shown.confidence or 0.0  # known: the attack has the weights
        colour = LEAK if shown.recovered else CALM
        pen.rectangle((left, SIDE + 6, left + SIDE - 1, SIDE + 13), fill=LINE)
        pen.rectangle((left, SIDE + 6, left + (SIDE - 1) * confidence, SIDE + 13), fill=colour)
        sure = f"{int(confidence * 1000) / 10:.1f}%"
        pen.text((left, SIDE + 17), sure, INK, large)
        votes = f"{sum(shown.votes or ())} of {len(shown.votes or ())} judges"
        pen.text((left + SIDE, SIDE + 21), votes, colour if shown.recovered else MUTED, font, "ra")
        pen.text((left, SIDE + 41), f"after {moment.queries[place]} queries", MUTED, font)
    return picture


if __name__ == "__main__":
    main()
