#!/usr/bin/env python3
"""One class of many comes up more often: which test sees it, and what each costs while nothing has changed.

    rise_theory.py              needs numpy and scipy; two minutes

First the power at p = 0.001 and the mean ln e of the deviance G against the greatest rise, for a reference
without error. Then, while nothing has changed, the mean e-value (at most 1 is what a budget rests on) and how
often p falls below 0.0001, as a multiple of that, for G and two statistics that weigh a rise more: Cressie and
Read's and Pearson's, each with its exact first three moments.
"""
import numpy as np
from scipy import special, stats

DRIFTS = [0.5, 1.0, 2.0, 3.0]
rng = np.random.default_rng(1)


def zipf(k):
    shares = 1 / np.arange(1, k + 1)
    return shares / shares.sum()


def ln_e(ln_p):
    z = -special.ndtri(np.exp(np.minimum(ln_p, -1e-12)))
    return np.log(np.mean([np.exp(d * z - d * d / 2) for d in DRIFTS], axis=0))


def divergence(o, e, power):
    """A cell's part of the power divergence (Cressie & Read 1984); 0 is G, 1 is Pearson's."""
    if power == 0:
        with np.errstate(divide="ignore", invalid="ignore"):
            return 2 * (np.where(o > 0, o * np.log(o / e), 0.0) - (o - e))
    return 2 / (power * (power + 1)) * (o * ((o / e) ** power - 1) - power * (o - e))


def moments(e, power):
    """Mean, variance and third moment of a Poisson cell, and what they share with its count."""
    c = np.arange(int(e + 12 * np.sqrt(e) + 60), dtype=float)
    p, d = stats.poisson.pmf(c, e), divergence(c, e, power)
    m = (p * d).sum()
    return np.array([m, (p * (d - m) ** 2).sum(), (p * (d - m) ** 3).sum(), (p * d * (c - e)).sum(), (p * (d - m) ** 2 * (c - e)).sum()])


def sum_ln_p(observed, expected, power):
    own = sum(moments(e, power) for e in expected)
    slope = own[3] / expected.sum()
    mean, variance, third = own[0] - 1, own[1] - 2 - own[3] * slope, max(own[2] - 8 - 3 * slope * own[4], 1e-9)
    statistic = divergence(observed, expected, power).sum(1)
    shape = 4 * variance**3 / third**2
    x = np.maximum(shape + (statistic - mean) / np.sqrt(variance) * np.sqrt(shape), 0)
    return np.where(x > 0, np.log(np.maximum(special.gammaincc(shape, x), 1e-300)), 0.0)


def pooled(observed, expected):
    """Cells that expect less than one are pooled, as `stats::hypothesis` does."""
    small, groups, held = np.argsort(expected), [], []
    for i in small[expected[small] < 1]:
        held.append(i)
        if expected[held].sum() >= 1:
            groups, held = groups + [held], []
    if held:
        groups = [*groups[:-1], groups[-1] + held] if groups else [held]
    groups += [[i] for i in np.flatnonzero(expected >= 1)]
    return np.stack([observed[:, g].sum(1) for g in groups], 1).astype(float), np.array([max(expected[g].sum(), 1) for g in groups])


def rise_ln_p(observed, shares, n):
    tails = stats.binom.logsf(observed - 1, n, shares).min(1)
    return np.minimum(tails + np.log(len(shares)), 0)


print("| classes | records | class's share | rises by | power: G | greatest rise | mean ln e: G | greatest rise |\n|---|---|---|---|---|---|---|---|")
for k, n in ((150, 250), (150, 1000), (20, 250), (20, 1000), (5, 1000)):
    shares = zipf(k)
    for target in (k - 1, k // 2, 1):
        for by in (0.02, 0.05):
            moved = shares * (1 - by)
            moved[target] += by
            observed = rng.multinomial(n, moved, size=4000)
            g, r = sum_ln_p(*pooled(observed, n * shares), 0), rise_ln_p(observed, shares, n)
            power = [f"{np.mean(p < np.log(1e-3)):.2f}" for p in (g, r)]
            e = [f"{ln_e(p).mean():.1f}" for p in (g, r)]
            print("|", " | ".join([str(k), str(n), f"{shares[target]:.4f}", str(by), *power, *e]), "|")

print("\n| shares | records | G: mean e, tail | Cressie and Read: mean e, tail | Pearson: mean e, tail |\n|---|---|---|---|---|")
rare = lambda k: np.array([100, 60, 30, 20, k, k, k]) / (210 + 3 * k)
for name, shares, n in (
    ("40, 25, 15, 12, 8 %", np.array([0.40, 0.25, 0.15, 0.12, 0.08]), 200),
    ("four, two of 4 %", np.array([0.82, 0.1, 0.04, 0.04]), 200),
    ("seven, three expect one", rare(1), 213),
    ("seven, three expect two", rare(2), 216),
    ("20 by Zipf's law", zipf(20), 200),
):
    observed, expected = pooled(rng.multinomial(n, shares, size=1_000_000), n * shares)
    cells = []
    for power in (0, 2 / 3, 1):
        ln_p = sum_ln_p(observed, expected, power)
        cells.append(f"{np.exp(ln_e(ln_p)).mean():.2f}, {np.mean(ln_p < np.log(1e-4)) / 1e-4:.1f}")
    print("|", " | ".join([name, str(n), *cells]), "|")
