#!/usr/bin/env python3
"""What one signal of driftd finds how fast, by how its evidence is put together: on exact normal scores.

    delays_signal.py            needs numpy and scipy; some minutes

`delays_theory.py` is about one detector. A signal has a fit (as many cells as a numeric attribute has) and two
directions, each at four scales, against a reference of thirty days that has its own error and is allowed for at
its 99 % bound (docs/decisions/0001); the windows' bound on how alike their records are is that of 720 windows
of independent ones. Every row has its median (mean) delay at the guaranteed threshold of 720 windows, and at
the one where 720 quiet windows have one alarm; the last row has a reference without error, and allows for
nothing. The second table says in which share of its windows a quiet signal holds more evidence than a level.
"""
import numpy as np
from scipy.stats import chi2, norm

MONTH, QUIET, SCALES, CELLS, RUNS = 720, 48, [1, 4, 16, 24], 12, 1_500
SHIFTS = [0.5, 1.0, 2.0, 3.0, 5.0]
# Scores of twelve cells tell a normal mean with this share of its standard error (van der Waerden).
EFFICIENCY = 0.98
# ρ·n at its 90 % bound in half a reference: 1.28·√(2/720)/2.
EXCESS = 0.034
DRIFTS, EVEN, LAST_TWICE = [0.5, 1.0, 2.0, 3.0], [0.25] * 4, [0.2, 0.2, 0.2, 0.4]
rng = np.random.default_rng(1)


def scores(runs, steps, shift, onset, exact=False):
    """Normal scores of the tests, by kind and scale: runs × ticks."""
    df = CELLS - 1
    reference, excess = (np.inf, 0) if exact else (MONTH, EXCESS)
    z = rng.standard_normal((runs, steps)) - rng.standard_normal((runs, 1)) / np.sqrt(reference)
    z[:, onset:] += shift * EFFICIENCY
    rest = rng.standard_normal((runs, steps, df - 1)).astype(np.float32)
    out = {}
    for s in SCALES:
        ticks = steps // s
        merged = z[:, : ticks * s].reshape(runs, ticks, s).sum(2) / np.sqrt(s)
        others = rest[:, : ticks * s].reshape(runs, ticks, s, df - 1).sum(2) / np.sqrt(s)
        free, effect = norm.isf(0.005) * np.sqrt(s / reference), 1 + excess * min(s, 2)
        out["up", s] = (merged - free) / np.sqrt(effect)
        out["down", s] = (-merged - free) / np.sqrt(effect)
        away = s / reference * chi2.ppf(0.99, df)
        mean, variance = df * effect + away, 2 * df * effect**2 + 4 * effect * away
        tail = chi2.sf((merged**2 + (others**2).sum(2)) * 2 * mean / variance, 2 * mean**2 / variance)
        out["fit", s] = norm.isf(np.clip(tail, 1e-300, 1 - 1e-16))
    return out


class Signal:
    """The weighted mean over fit, directions and scales of one recursion for each drift, or for their mixture."""

    def __init__(self, apart, fit, shares=EVEN, drifts=DRIFTS):
        self.apart, self.shares, self.drifts = apart, np.array(shares), np.array(drifts)
        scale_share = [0.5] + [0.5 / (len(SCALES) - 1)] * (len(SCALES) - 1)
        kinds = [("fit", fit), ("up", (1 - fit) / 2), ("down", (1 - fit) / 2)]
        self.parts = [(kind, s, s * share * w) for kind, share in kinds for s, w in zip(SCALES, scale_share)]

    def run(self, found, threshold, steps, onset=None, seen=None):
        runs = found["up", 1].shape[0]
        e = []
        for kind, s, _ in self.parts:
            each = np.exp(np.minimum(self.drifts * found[kind, s][:, :, None] - 0.5 * self.drifts**2, 200))
            e.append(each if self.apart else (each @ self.shares)[:, :, None])
        r = [np.zeros((runs, e[0].shape[2])) for _ in self.parts]
        whole = [np.zeros(runs) for _ in self.parts]
        alarms, delay, waiting = 0, np.full(runs, steps - (onset or 0)), np.ones(runs, bool)
        for t in range(steps):
            for i, (_, s, weight) in enumerate(self.parts):
                if (t + 1) % s == 0:
                    r[i] = (1 + r[i]) * e[i][:, (t + 1) // s - 1]
                    whole[i] = weight * (r[i] @ self.shares if self.apart else r[i][:, 0])
            evidence = sum(whole)
            if seen is not None:
                seen.append(evidence)
            hit = evidence >= threshold
            if onset is None or t < onset:
                alarms += hit.sum()
                for i in range(len(self.parts)):
                    r[i][hit], whole[i][hit] = 0, 0
                continue
            delay[hit & waiting] = t - onset + 1
            waiting &= ~hit
            if not waiting.any():
                break
        return alarms / runs, delay


SIGNALS = [
    ("drifts mixed in one recursion, the fit with half of the evidence", Signal(False, 0.5)),
    ("a recursion for each drift", Signal(True, 0.5)),
    ("the same, the largest drift with twice the share", Signal(True, 0.5, LAST_TWICE)),
    ("a recursion for each drift, the fit with a third", Signal(True, 1 / 3)),
    ("**the same, the largest drift with twice the share**", Signal(True, 1 / 3, LAST_TWICE)),
    ("drifts 1/4, 1/2, 1, 2, 3", Signal(True, 1 / 3, [0.2] * 5, [0.25] + DRIFTS)),
    ("drifts 1/2, 1, 2, 4", Signal(True, 1 / 3, EVEN, [0.5, 1.0, 2.0, 4.0])),
    ("drifts 1/2, 1, 2, 3, 5", Signal(True, 1 / 3, [0.2] * 5, DRIFTS + [5.0])),
]
CHOSEN = SIGNALS[4][1]
LEVELS = [20, 60, 100, 200, 300, 400]


def equalized(signal, quiet):
    low, high = np.log(2), np.log(2_000)
    for _ in range(9):
        middle = (low + high) / 2
        low, high = (middle, high) if signal.run(quiet, np.exp(middle), MONTH)[0] > 1 else (low, middle)
    return np.exp((low + high) / 2)


def delays(name, signal, exact=False):
    length = {shift: QUIET + (MONTH if shift < 1 else 120) for shift in SHIFTS}
    if exact not in KEPT:
        moved = {shift: scores(RUNS, length[shift], shift, QUIET, exact) for shift in SHIFTS}
        KEPT.clear()
        KEPT[exact] = scores(2 * RUNS, MONTH, 0, 0, exact), moved
    quiet, moved = KEPT[exact]
    for threshold in [MONTH, equalized(signal, quiet)]:
        rate, _ = signal.run(quiet, threshold, MONTH)
        found = [signal.run(moved[s], threshold, length[s], QUIET)[1] for s in SHIFTS]
        told = " | ".join(f"{np.median(d):.0f} ({d.mean():.1f})" for d in found)
        print(f"| {name} | {threshold:.0f} | {rate:.2f} | {told} |", flush=True)


KEPT = {}
print("| signal | threshold | alarms a month | " + " | ".join(f"{s:g}" for s in SHIFTS) + " |")
print("|---|---|---|" + "---|" * len(SHIFTS))
for name, signal in SIGNALS:
    delays(name, signal)
delays("the one in bold, the reference being exact", CHOSEN, exact=True)
print("\n| signal | " + " | ".join(f"> {level}" for level in LEVELS) + " |\n|---|" + "---|" * len(LEVELS))
quiet = scores(150, 4 * MONTH, 0, 0)
for name, signal in SIGNALS[:5]:
    seen = []
    signal.run(quiet, 2_000, 4 * MONTH, seen=seen)
    shares = [100 * (np.array(seen)[200:] >= level).mean() for level in LEVELS]
    print(f"| {name} | " + " | ".join(f"{share:.1f} %" for share in shares) + " |", flush=True)
