"""The page where a face emerges, and the requests that it sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from darkroom.errors import DarkroomError
from darkroom.lab.develop.choices import (
    ACCESSES,
    DEFENSES,
    MOST_PEOPLE,
    PRIORS,
    TRAININGS,
    Choice,
)
from darkroom.lab.develop.events import Begun
from darkroom.lab.live.requests import read
from darkroom.lab.live.running import Running
from darkroom.lab.rendering import page

if TYPE_CHECKING:
    from darkroom.lab.develop.attack import LiveAttack
    from darkroom.lab.studio.choosing import Studios
    from darkroom.lab.studio.loading import Studio

MOST_ATTACKS = 8
"""Attacks at a time: each keeps a processor busy."""


class Develop:
    """Attacks of all pages, each with its stream.

    Attributes:
        running: Those that are not over.
    """

    def __init__(self, studios: Studios) -> None:
        """Runs none yet.

        Args:
            studios: Models and judges.
        """
        self._studios = studios
        self.running: Running[LiveAttack] = Running(MOST_ATTACKS, "attacks")

    @property
    def routes(self) -> list[Route]:
        """What is answered where."""
        return [
            Route("/develop", self._page),
            Route("/defend", self._defences),
            Route("/develop/studio", self._state),
            Route("/develop/people/{person:int}/photo", self._photo),
            Route("/develop/attacks", self._attack, methods=["POST"]),
            Route("/develop/attacks/{identity}/{what}", self.running.control, methods=["POST"]),
        ]

    async def _page(self, request: Request) -> Response:
        return page(
            request,
            "develop.html.jinja",
            accesses=ACCESSES,
            priors=PRIORS,
            defenses=DEFENSES,
            most=MOST_PEOPLE,
            runs=await run_in_threadpool(self._studios.names),
        )

    async def _defences(self, request: Request) -> Response:
        return page(
            request, "defend.html.jinja", priors=PRIORS, defenses=DEFENSES, trainings=TRAININGS
        )

    async def _state(self, request: Request) -> Response:
        """Says what is there already, and whom there is."""
        studio = self._studio(request.query_params.get("run", ""))
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
                "served": studio.is_remote,
                "chance": 1 / subject.target.classes,
            }
        return JSONResponse(state)

    async def _photo(self, request: Request) -> Response:
        """Shows a real photo that the model was trained on, for somebody asked."""
        from darkroom.lab.develop.appraisal import SIDE, as_pixels
        from darkroom.report.faces.pictures import data_address

        try:
            subject = self._studio(request.query_params.get("run", "")).subject
        except DarkroomError as error:
            raise HTTPException(409, str(error)) from error
        seen = subject.seen
        rows = np.flatnonzero(seen.people == request.path_params["person"])
        if len(rows) == 0:
            raise HTTPException(404, "there is no such person")
        pixels = as_pixels(subject, seen.images[rows[:1]])[0]
        return JSONResponse({"picture": data_address(pixels, SIDE)})

    async def _attack(self, request: Request) -> Response:
        """Begins an attack that lasts as long as its stream is read."""
        choice = await read(request, Choice)
        studio = self._studio(choice.run)
        if not studio.ready:
            raise HTTPException(409, studio.mistake or "the model is being loaded")
        from darkroom.lab.develop.attack import LiveAttack

        judges = () if studio.bench is None else studio.bench.panel.names
        return self.running.begin(
            lambda: LiveAttack(studio, choice),
            lambda identity: Begun(identity=identity, judges=judges),
        )

    def _studio(self, run: str) -> Studio:
        """Returns the studio of a run; the usual one for an empty name.

        Raises:
            HTTPException: If there is no such run.
        """
        try:
            return self._studios.of(run)
        except DarkroomError as error:
            raise HTTPException(404, str(error)) from error
