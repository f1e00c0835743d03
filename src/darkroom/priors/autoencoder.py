"""A generator of faces learned from public photos: a variational autoencoder."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from darkroom.errors import DataError
from darkroom.priors.images import GeneratorPrior
from darkroom.priors.transforms import RandomAffine
from darkroom.targets.base import ImageSpec

FEWEST = 16
import os
_EDGE = float(os.environ.get("EDGE", "0"))
_AUG = float(os.environ.get("AUG", "0.02"))
_NORM = os.environ.get("NORM", "0") == "1"


def train_variational_autoencoder(
    photos: NDArray[np.float32],
    spec: ImageSpec,
    *,
    latent: int = 64,
    seed: int = 0,
    steps: int = 1500,
    batch: int = 32,
    beta: float = 1.0,
    width: int = 24,
    learning_rate: float = 2e-3,
    on_progress: Callable[[int, int], None] | None = None,
) -> GeneratorPrior:
    images = (torch.from_numpy(photos) - spec.low) / spec.width_of_range
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        flipped = torch.cat([images, images.flip(3)])
        mean = flipped.mean(0)
        rows = (flipped - mean).flatten(1)
        q = min(256, len(rows) - 1)
        _, s, v = torch.pca_lowrank(rows, q=q, center=False, niter=3)
        dev = s / math.sqrt(len(rows))
        keep = dev > 1e-4 * dev[0]
        v, dev = v[:, keep], dev[keep]
        enc = _Encoder(mean, v, dev, latent)
        dec = _Decoder(mean, (v[:, :latent] * dev[:latent]).T.contiguous(), latent, spec.shape, width)
        params = [*enc.parameters(), *dec.parameters()]
        opt = torch.optim.AdamW(params, lr=learning_rate, betas=(0.9, 0.99), weight_decay=1e-4, fused=True)
        sched = torch.optim.lr_scheduler.OneCycleLR(opt, learning_rate, total_steps=steps, pct_start=0.1)
        aug = RandomAffine(_AUG, _AUG * 1.5, _AUG, 0.5)
        for step in range(steps):
            idx = torch.randint(len(images), (batch,), generator=generator)
            x = aug(images[idx], generator)
            mu, logvar = enc.moments(x)
            z = mu + torch.randn(mu.shape, generator=generator) * (0.5 * logvar).exp()
            y = dec(z)
            err = (y - x).square().mean()
            if _EDGE:
                e = (y - x)
                err = err + _EDGE * (e.diff(dim=2).square().mean() + e.diff(dim=3).square().mean())
            # sigma-VAE
            rec = 0.5 * x[0].numel() * err.log()
            kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1).mean()
            loss = (rec + beta * kl) / x[0].numel()
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(params, 1.0)
            opt.step()
            sched.step()
            if on_progress is not None:
                on_progress(step + 1, steps)
            if step % 200 == 199 and os.environ.get("V"):
                print(step + 1, 'rmse', err.item() ** 0.5, 'kl', kl.item(), 'active', ((logvar.exp().mean(0)) < 0.5).sum().item(), flush=True)
    dec.eval(); enc.eval()
    with torch.no_grad():
        mu = torch.cat([enc.moments(p)[0] for p in flipped.split(256)])
        lv = torch.cat([enc.moments(p)[1] for p in flipped.split(256)])
        m = mu.mean(0)
        cov = (mu - m).T @ (mu - m) / len(mu) + torch.diag(lv.exp().mean(0))
        root = torch.linalg.cholesky(cov + 1e-6 * torch.eye(latent))
        dec.shift.copy_(m); dec.root.copy_(root.T)
    enc.shift, enc.root = dec.shift, dec.root
    return GeneratorPrior(dec, latent, spec, encoder=enc)


class _Encoder(nn.Module):
    def __init__(self, mean, v, dev, latent):
        super().__init__()
        self.register_buffer("mean", mean.flatten())
        self.register_buffer("v", v / dev)
        k = v.shape[1]
        self.latent = latent
        self.register_buffer("damp", (dev / dev[0]).sqrt())
        self.net = nn.Sequential(nn.Linear(k, 384), nn.SiLU(), nn.Linear(384, 384), nn.SiLU(), nn.Linear(384, 2 * latent))
        nn.init.zeros_(self.net[-1].weight); nn.init.zeros_(self.net[-1].bias)
        self.skip = nn.Linear(k, latent, bias=False)
        with torch.no_grad():
            self.skip.weight.zero_()
            n = min(k, latent)
            self.skip.weight[:n, :n] = torch.eye(n)

    def moments(self, x):
        c = (x.flatten(1) - self.mean) @ self.v
        c = c.clamp(-6, 6)
        d = self.net(c * self.damp)
        return self.skip(c) + d[:, :self.latent], (d[:, self.latent:] - 3).clamp(-12, 3)

    def forward(self, x):
        mu = self.moments(x)[0]
        return torch.linalg.solve_triangular(self.root.T, (mu - self.shift).T, upper=False).T


class _Decoder(nn.Module):
    def __init__(self, mean, comps, latent, shape, width):
        super().__init__()
        c, h, w = shape
        self.shape = shape
        self.gh, self.gw = math.ceil(h / 8), math.ceil(w / 8)
        self.mean = nn.Parameter(mean.clone())
        base = torch.zeros(latent, mean.numel()); base[:len(comps)] = comps
        self.linear = nn.Parameter(base)
        self.register_buffer("shift", torch.zeros(latent))
        self.register_buffer("root", torch.eye(latent))
        W = width
        def act(n):
            return [nn.GroupNorm(4, n), nn.SiLU()] if _NORM else [nn.LeakyReLU(0.1)]
        self.net = nn.Sequential(
            nn.Linear(latent, 256), nn.SiLU(),
            nn.Linear(256, 4 * W * self.gh * self.gw),
            nn.Unflatten(1, (4 * W, self.gh, self.gw)), *act(4*W),
            nn.Conv2d(4 * W, 4 * W, 3, padding=1), *act(4*W),
            nn.ConvTranspose2d(4 * W, 2 * W, 4, stride=2, padding=1), *act(2*W),
            nn.Conv2d(2 * W, 2 * W, 3, padding=1), *act(2*W),
            nn.ConvTranspose2d(2 * W, W, 4, stride=2, padding=1), *act(W),
            nn.Conv2d(W, W, 3, padding=1), *act(W),
            nn.ConvTranspose2d(W, c, 4, stride=2, padding=1),
        )
        nn.init.normal_(self.net[-1].weight, std=0.005); nn.init.zeros_(self.net[-1].bias)

    def forward(self, z):
        z = self.shift + z @ self.root
        c, h, w = self.shape
        y = torch.addmm(self.mean.flatten(), z, self.linear).view(-1, c, h, w)
        return y + self.net(z)[:, :, :h, :w]
