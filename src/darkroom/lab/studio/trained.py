"""The same model trained anew with a defence, for whoever wants to see what that is worth."""

from __future__ import annotations

from dataclasses import replace

import torch

from darkroom.auditing.progress import Reporter
from darkroom.errors import PlanError
from darkroom.images.job import ImageJob
from darkroom.images.targets.load import open_target
from darkroom.images.targets.sections import TorchSection
from darkroom.lab.studio.trainings import SETTINGS, TrainingName
from darkroom.sections import PartSection
from darkroom.training.models import TrainedModel


def trained_job(job: ImageJob, name: TrainingName, reporter: Reporter) -> ImageJob:
    """Returns an audit of the same model, trained anew on the same photos with a defence.

    The model is kept in the run's folder.

    Args:
        job: The audit of the model as it is.
        name: The training defence.
        reporter: Shows the training.

    Raises:
        DarkroomError: If the plan does not say how the model looks before training, or it cannot be
            trained.
    """
    section = job.plan.target
    if not isinstance(section, TorchSection) or section.weights is None:
        raise PlanError(
            "training defences need a PyTorch module whose weights stand in a file of their own, "
            "so that it can be trained anew: give [target] load and weights"
        )
    if section.outputs != "logits":
        raise PlanError(
            'training defences need a module that returns logits: set [target] outputs = "logits"'
        )
    part = PartSection.model_validate({"name": name, **SETTINGS[name]})
    bare = section.model_copy(update={"weights": None})
    plan = job.plan.model_copy(update={"training": [part], "target": bare})
    with torch.random.fork_rng(devices=[]):
        # The module begins with the weights that its code draws.
        torch.default_generator.manual_seed(plan.run.seed)
        target = open_target(bare, folder=job.folder, memory=plan.run.memory)
    untrained = replace(job, plan=plan, subject=replace(job.subject, target=target))
    *_, model = untrained.models()
    assert isinstance(model, TrainedModel)
    model.make(reporter)
    return replace(job, subject=model.trainer.load(model.defense, model.stored.checked()))
