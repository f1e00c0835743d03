"""ResNet-50, as He et al. 2016 have it, with strides where torchvision has them."""

from __future__ import annotations

from torch import Tensor, nn

BLOCKS = ((3, 64), (4, 128), (6, 256), (3, 512))
"""Blocks of each stage, and their width within."""

WIDER = 4
"""How many times as wide a block ends."""


class Bottleneck(nn.Module):
    """Three convolutions beside a short cut."""

    def __init__(self, entering: int, width: int, stride: int) -> None:
        """Makes one with fresh weights.

        Args:
            entering: Channels that come in.
            width: Within; four times as many go out.
            stride: Of the middle convolution.
        """
        super().__init__()
        leaving = WIDER * width
        self.way = nn.Sequential(
            *_convolved(entering, width, 1),
            nn.ReLU(inplace=True),
            *_convolved(width, width, 3, stride),
            nn.ReLU(inplace=True),
            *_convolved(width, leaving, 1),
        )
        straight = stride == 1 and entering == leaving
        self.short = nn.Sequential(*([] if straight else _convolved(entering, leaving, 1, stride)))

    def forward(self, images: Tensor) -> Tensor:
        """Returns maps of four times the width."""
        found: Tensor = nn.functional.relu(self.way(images) + self.short(images))
        return found


def resnet50(classes: int) -> nn.Module:
    """Returns an untrained ResNet-50 of colour images.

    Args:
        classes: How many it tells apart.
    """
    layers: list[nn.Module] = [
        *_convolved(3, 64, 7, 2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
    ]
    entering = 64
    for stage, (count, width) in enumerate(BLOCKS):
        for block in range(count):
            layers.append(Bottleneck(entering, width, 2 if stage and not block else 1))
            entering = WIDER * width
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(entering, classes)
    )


def _convolved(entering: int, leaving: int, side: int, stride: int = 1) -> list[nn.Module]:
    """Returns a convolution that keeps sides, divided by the stride, and its normalisation."""
    convolution = nn.Conv2d(entering, leaving, side, stride, side // 2, bias=False)
    return [convolution, nn.BatchNorm2d(leaving)]
