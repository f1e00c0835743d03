"""A head on an encoder, which tells people apart while it is trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from darkroom.verifiers.targets.metrics import Metric

SCALE = 16.0
"""What templates of length one are multiplied by, so that a softmax of cosines can be sure."""


class HeadedEncoder(nn.Module):
    """An encoder, and a linear layer that says who is on a photo.

    After NormFace (Wang, Xiang, Cheng and Yuille 2017); differences: the head's own weights are not
    brought to length one, since the share of each photo in a weight that is used outside of its
    layer could not be told from those of others in one pass, and the scale is fixed. Where
    distances count, templates stay as they are, and the head has a bias.

    Attributes:
        encoder: Stays.
        head: Is dropped after training.
    """

    def __init__(self, encoder: nn.Module, size: int, people: int, metric: Metric) -> None:
        """Puts a head on; its weights come from torch's global generator.

        Args:
            encoder: Returns templates ``(n, size)``.
            size: The numbers in a template.
            people: Of whom it learns.
            metric: How templates are compared.
        """
        super().__init__()
        self.encoder, self.angles = encoder, metric is Metric.COSINE
        self.head = nn.Linear(size, people, bias=not self.angles)

    def forward(self, images: Tensor) -> Tensor:
        """Returns logits ``(n, people)``."""
        found: Tensor = self.encoder(images)
        if self.angles:
            found = SCALE * functional.normalize(found, dim=1)
        logits: Tensor = self.head(found)
        return logits


def headed(encoder: nn.Module, size: int, people: int, metric: Metric, seed: int) -> HeadedEncoder:
    """Returns an encoder with a head whose first weights follow from a seed.

    Args:
        encoder: Is not copied.
        size: The numbers in a template.
        people: Of whom it learns.
        metric: How templates are compared.
        seed: For the head.
    """
    device = next(encoder.parameters()).device
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return HeadedEncoder(encoder, size, people, metric).to(device)
