"""The page where a face emerges, and the requests that it sends."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from darkroom.errors import DarkroomError
from darkroom.lab.develop.choices import ACCESSES, DEFENSES, MOST_PEOPLE, PRIORS, Choice
from darkroom.lab.develop.events import Begun, Ended
from darkroom.lab.rendering import page
from darkroom.lab.requests import control, read
from darkroom.lab.streams import streamed

if TYPE_CHECKING:
    from darkroom.lab.develop.attack import LiveAttack
    from darkroom.lab.studio.loading import Studio

MOST_ATTACKS = 8
"""Attacks at a time: each keeps a processor busy."""


class Develop:
    """Attacks of all pages, each with its stream.

    Attributes:
        running: Those that are not over, by identity.
    """

    def __init__(self, studio: Studio) -> None:
        """Runs none yet.

        Args:
            studio: The model and the judges.
        """
        self._studio = studio
        self.running: dict[str, LiveAttack] = {}

    @property
    def routes(self) -> list[Route]:
        """What is answered where."""
        return [
            Route("/develop", self._page),
            Route("/defend", self._defences),
            Route("/develop/studio", self._state),
            Route("/develop/people/{person:int}/photo", self._photo),
            Route("/develop/attacks", self._attack, methods=["POST"]),
            Route("/develop/attacks/{identity}/{what}", self._control, methods=["POST"]),
        ]

    async def _page(self, request: Request) -> Response:
        return page(
            request,
            "develop.html.jinja",
            accesses=ACCESSES,
            priors=PRIORS,
            defenses=DEFENSES,
            most=MOST_PEOPLE,
        )

    async def _defences(self, request: Request) -> Response:
        return page(request, "defend.html.jinja", priors=PRIORS, defenses=DEFENSES)

    async def _state(self, request: Request) -> Response:
        """Says what is there already, and whom there is."""
        del request
        studio = self._studio
        state = {
            "stage": studio.stage._asdict(),
            "judges_stage": studio.judges_stage._asdict(),
            "mistake": studio.mistake,
            "ready": studio.ready,
            "people": [],
            "judges": [] if studio.bench is None else list(studio.bench.panel.names),
        }
        if studio.ready:
            subject = studio.subject
            names = subject.private.names
            state |= {
                "people": [{"person": int(one), "name": names[one]} for one in subject.goals],
                "access": str(subject.target.access),
                "public": subject.public is not None,
                "chance": 1 / subject.target.classes,
            }
        return JSONResponse(state)

    async def _photo(self, request: Request) -> Response:
        """Shows a real photo that the model was trained on, for somebody asked."""
        from darkroom.lab.develop.appraisal import SIDE, as_pixels
        from darkroom.report.faces.pictures import data_address

        try:
            seen, subject = self._studio.subject.seen, self._studio.subject
        except DarkroomError as error:
            raise HTTPException(409, str(error)) from error
        rows = np.flatnonzero(seen.people == request.path_params["person"])
        if len(rows) == 0:
            raise HTTPException(404, "there is no such person")
        pixels = as_pixels(subject, seen.images[rows[:1]])[0]
        return JSONResponse({"picture": data_address(pixels, SIDE)})

    async def _attack(self, request: Request) -> Response:
        """Begins an attack that lasts as long as its stream is read."""
        choice = await read(request, Choice)
        if not self._studio.ready:
            raise HTTPException(409, self._studio.mistake or "the model is being loaded")
        if len(self.running) >= MOST_ATTACKS:
            raise HTTPException(429, f"{MOST_ATTACKS} attacks run already: end one of them")
        from darkroom.lab.develop.attack import LiveAttack

        identity, attack = secrets.token_hex(8), LiveAttack(self._studio, choice)
        self.running[identity] = attack
        bench = self._studio.bench
        begun = Begun(identity=identity, judges=() if bench is None else bench.panel.names)
        attack.begin()

        def end() -> None:
            attack.stop()
            self.running.pop(identity, None)

        return streamed(begun, attack.events, lambda event: isinstance(event, Ended), end)

    async def _control(self, request: Request) -> Response:
        """Pauses an attack, lets it go on, or lets it take a step."""
        attack = self.running.get(request.path_params["identity"])
        return control(attack, request.path_params["what"])

    def stop(self) -> None:
        """Ends all attacks."""
        for attack in list(self.running.values()):
            attack.stop()
