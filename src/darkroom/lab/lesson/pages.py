"""The page of the lesson, and the requests that it sends."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from darkroom.lab.lesson.events import Answer, ExperimentBegun, Wanted
from darkroom.lab.lesson.questions import BY_KEY, QUESTIONS
from darkroom.lab.lesson.rooms import Rooms
from darkroom.lab.lesson.work import LiveExperiment
from darkroom.lab.live.requests import read
from darkroom.lab.live.running import Running
from darkroom.lab.rendering import page

MOST_EXPERIMENTS = 4


class Lesson:
    """The lesson, with the answers that were measured since the lab was started.

    Attributes:
        running: Experiments that are not over.
        answers: By question; the latest of each.
    """

    def __init__(self, rooms: Rooms) -> None:
        """Has measured nothing yet.

        Args:
            rooms: The lab's models.
        """
        self._rooms = rooms
        self.running: Running[LiveExperiment] = Running(MOST_EXPERIMENTS, "experiments")
        self.answers: dict[str, Answer] = {}

    @property
    def routes(self) -> list[Route]:
        """What is answered where."""
        return [
            Route("/lesson", self._page),
            Route("/lesson/answers", self._answers),
            Route("/lesson/experiments", self._experiment, methods=["POST"]),
            Route("/lesson/experiments/{identity}/{what}", self.running.control, methods=["POST"]),
        ]

    async def _page(self, request: Request) -> Response:
        return page(request, "lesson.html.jinja", questions=QUESTIONS)

    async def _answers(self, request: Request) -> Response:
        del request
        return JSONResponse({key: one.model_dump() for key, one in self.answers.items()})

    async def _experiment(self, request: Request) -> Response:
        """Begins an experiment that lasts as long as its stream is read."""
        wanted = await read(request, Wanted)
        if wanted.question not in BY_KEY:
            raise HTTPException(404, "there is no such question")
        from darkroom.lab.lesson.others import EXPERIMENTS

        experiment = EXPERIMENTS[wanted.question]
        return self.running.begin(
            lambda: LiveExperiment(wanted.question, experiment, self._rooms, self._keep),
            lambda identity: ExperimentBegun(identity=identity),
        )

    def _keep(self, answer: Answer) -> None:
        self.answers[answer.question] = answer
