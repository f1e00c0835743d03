"""What experiments of the lesson work in: the lab's models."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from darkroom.auditing.plan import BasePlan
    from darkroom.lab.attributes.model import AttributesModel
    from darkroom.lab.secrets.model import SecretsModel
    from darkroom.lab.studio.loading import Studio


class Rooms(NamedTuple):
    """The lab's models.

    Attributes:
        studio: The model of faces, and its judges.
        secrets: The language model.
        attributes: The model of patients.
    """

    studio: Studio
    secrets: SecretsModel
    attributes: AttributesModel

    def about(self, question: str) -> str:
        """Says on which model a question was measured.

        Args:
            question: Its key.
        """
        plan: BasePlan = self.studio.job.plan
        if question == "secret":
            plan = self.secrets.job.plan
        if question == "attribute":
            plan = self.attributes.job.job.plan
        return f"the model of the plan {plan.run.name}, seed {plan.run.seed}"
