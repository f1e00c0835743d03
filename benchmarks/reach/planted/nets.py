"""Small kin of the nets that people have: the same parts in the same places, and few channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.reach.planted.images import PEOPLE, SIDE


def convolutional() -> nn.Sequential:
    """Two convolutions with in-place activations."""
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, 2, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(12, 24, 3, 2, 1),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(24 * (SIDE // 4) ** 2, PEOPLE),
    )


class BasicBlock(nn.Module):
    """torchvision's block: two convolutions, batch norms, in-place ReLU, a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        """Builds it."""
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride > 1 or inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Adds the shortcut."""
        kept = x if self.downsample is None else self.downsample(x)
        inner = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        inner += kept
        out: Tensor = self.relu(inner)
        return out


class ResNet(nn.Module):
    """ResNet-18's layout: stem, four stages of two blocks, average, ``fc``."""

    def __init__(self, width: int = 12, classes: int = PEOPLE, *, small: bool = True) -> None:
        """Builds it."""
        super().__init__()
        stem = (3, 1, 1) if small else (7, 2, 3)
        self.conv1 = nn.Conv2d(3, width, *stem, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, 2, 1)
        widths = [width, width, 2 * width, 4 * width, 8 * width]
        blocks = zip(widths[:-1], widths[1:], (1, 2, 2, 2), strict=True)
        stages = [nn.Sequential(BasicBlock(i, o, s), BasicBlock(o, o, 1)) for i, o, s in blocks]
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d((2, 2) if small else (1, 1))
        self.fc = nn.Linear(widths[-1] * (4 if small else 1), classes)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        out: Tensor = self.fc(torch.flatten(self.avgpool(x), 1))
        return out


class MobileNet(nn.Module):
    """Depthwise convolutions, hard swish, squeeze and excitation, dropout before the classifier."""

    def __init__(self) -> None:
        """Builds it."""
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1, bias=False),
            nn.BatchNorm2d(16),
            nn.Hardswish(inplace=True),
            nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False),
            nn.BatchNorm2d(16),
            nn.Hardswish(inplace=True),
            nn.Conv2d(16, 32, 1, bias=False),
            nn.BatchNorm2d(32),
        )
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(32, 8, 1), nn.ReLU(True), nn.Conv2d(8, 32, 1)
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(32 * 16, PEOPLE))

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits."""
        x = self.features(x)
        x = x * torch.sigmoid(self.squeeze(x))
        x = nn.functional.adaptive_avg_pool2d(x, 4)
        out: Tensor = self.classifier(x.flatten(1))
        return out


class DenseNet(nn.Module):
    """Layers that see all before them, joined along channels."""

    def __init__(self) -> None:
        """Builds it."""
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(8 + 8 * place),
                nn.ReLU(inplace=True),
                nn.Conv2d(8 + 8 * place, 8, 3, 1, 1, bias=False),
            )
            for place in range(3)
        )
        self.classifier = nn.Linear(32 * 16, PEOPLE)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits."""
        joined = self.stem(x)
        for layer in self.layers:
            joined = torch.cat([joined, layer(joined)], dim=1)
        pooled = nn.functional.adaptive_avg_pool2d(nn.functional.relu(joined), 4)
        out: Tensor = self.classifier(pooled.flatten(1))
        return out


class ForwardFeatures(nn.Module):
    """timm's way: ``forward_features`` and ``forward_head``; trained on normalised images."""

    mean: Tensor

    def __init__(self) -> None:
        """Builds it."""
        super().__init__()
        self.body, self.head = convolutional()[:-1], nn.Linear(24 * (SIDE // 4) ** 2, PEOPLE)
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.5), persistent=False)

    def forward_features(self, x: Tensor) -> Tensor:
        """Returns features."""
        out: Tensor = self.body((x - self.mean) / 0.25)
        return out

    def forward_head(self, x: Tensor) -> Tensor:
        """Returns logits of features."""
        out: Tensor = self.head(x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits."""
        return self.forward_head(self.forward_features(x))
