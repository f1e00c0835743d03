"""The page of one patient, and the requests that it sends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from darkroom.errors import DarkroomError
from darkroom.lab.attributes.model import AttributesModel
from darkroom.lab.rendering import page

if TYPE_CHECKING:
    from darkroom.lab.attributes.model import Attacked
    from darkroom.tables.subject import Who

ATTACKS = {
    "map": "Asks the model about the patient with each value, and weighs how far it is off.",
    "tree-counts": "Has the model's trees, and counts the patients at each leaf.",
}
"""What attacks of the page do, in a sentence each."""


class _Asked(NamedTuple):
    """Which row a request is about."""

    who: Who
    place: int


class AttributePages:
    """The page of attributes.

    Attributes:
        model: The table, which is loaded when somebody first opens the page.
    """

    def __init__(self, out: Path) -> None:
        """Loads nothing yet.

        Args:
            out: The folder of all runs.
        """
        self.model = AttributesModel(out)

    @property
    def routes(self) -> list[Route]:
        """What is answered where."""
        return [
            Route("/attributes", self._page),
            Route("/attributes/model", self._state),
            Route("/attributes/patients/{who}/{place:int}", self._patient),
            Route("/attributes/patients/{who}/{place:int}/truth", self._truth),
        ]

    async def _page(self, request: Request) -> Response:
        self.model.load()
        return page(request, "attributes.html.jinja")

    async def _state(self, request: Request) -> Response:
        """Says what is there already, and what attacks come to over all patients."""
        del request
        model = self.model
        state = {
            "stage": model.stage._asdict(),
            "mistake": model.mistake,
            "ready": model.ready,
        }
        if model.ready:
            subject = model.job.job.subject
            state |= {
                "attacks": [_told(one) for one in model.job.attacks.values()],
                "members": len(subject.data.members.rows),
                "others": len(subject.data.others.rows),
                "imputer": model.job.bench.imputer,
            }
        return JSONResponse(state)

    async def _patient(self, request: Request) -> Response:
        asked, attack = _asked(request), request.query_params.get("attack", "")
        from darkroom.lab.attributes.patients import patient_of

        try:
            found = await run_in_threadpool(patient_of, self.model.job, attack, *asked)
        except DarkroomError as error:
            raise HTTPException(409, str(error)) from error
        return JSONResponse(found.model_dump())

    async def _truth(self, request: Request) -> Response:
        """Tells what is true of a patient, for somebody asked."""
        asked = _asked(request)
        from darkroom.lab.attributes.patients import truth_of

        try:
            return JSONResponse({"truth": truth_of(self.model.job, *asked)})
        except DarkroomError as error:
            raise HTTPException(409, str(error)) from error


def _asked(request: Request) -> _Asked:
    who, place = request.path_params["who"], request.path_params["place"]
    if who not in ("members", "others"):
        raise HTTPException(404, "patients are members or others")
    return _Asked(who, place)


def _told(one: Attacked) -> dict[str, object]:
    """Returns what an attack comes to over all patients."""
    details = one.cell.details
    parts = {"members": details.members, "others": details.others}
    return {
        "attack": one.plan.attack.name,
        "about": ATTACKS.get(one.plan.attack.name, ""),
        "access": str(one.plan.access),
        "right": {
            who: {
                "attack": part.success.attack.model_dump(),
                "imputation": part.success.imputation.model_dump(),
                "advantage": part.advantage.model_dump(),
            }
            for who, part in parts.items()
            if part is not None
        },
    }
