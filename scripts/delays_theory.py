#!/usr/bin/env python3
"""What delays are possible at one false alarm in 720 windows: detectors on exact normal scores.

    delays_theory.py            needs numpy; a minute

Each row is a detector whose threshold gives one false alarm a month of hourly windows (or stands at A), and
its median (mean) delay from the onset of a shift, two quiet days before it, as in examples/months.
"""
import numpy as np

MONTH, QUIET, SHIFTS = 720, 48, [0.5, 1.0, 2.0, 3.0, 5.0]
DRIFTS, SHARES = [0.5, 1.0, 2.0, 3.0], [0.2, 0.2, 0.2, 0.4]
rng = np.random.default_rng(1)


class Cusum:
    """Page's, for a known drift upwards."""

    def __init__(self, drift):
        self.drift = drift

    def start(self, runs):
        self.w = np.zeros(runs)

    def step(self, z):
        self.w = np.maximum(0, self.w) + self.drift * z - 0.5 * self.drift**2
        return np.exp(self.w)

    def restart(self, which):
        self.w[which] = 0


class Recursions:
    """Means of Shiryaev-Roberts recursions: one for each drift, or one for their mixture."""

    def __init__(self, drifts, sides, apart, shares=None):
        self.drifts, self.sides, self.apart = np.array(drifts), sides, apart
        self.shares = np.array(shares) if shares else np.full(len(drifts), 1 / len(drifts))

    def start(self, runs):
        self.r = np.zeros((runs, self.sides, len(self.drifts) if self.apart else 1))

    def step(self, z):
        for side in range(self.sides):
            z_side = z if side == 0 else -z
            e = np.exp(self.drifts * z_side[:, None] - 0.5 * self.drifts**2)
            self.r[:, side] = (1 + self.r[:, side]) * (e if self.apart else e @ self.shares[:, None])
        return (self.r @ self.shares if self.apart else self.r[:, :, 0]).mean(1)

    def restart(self, which):
        self.r[which] = 0


def false_alarms(detector, threshold, runs=1_500):
    detector.start(runs)
    alarms = 0
    for _ in range(MONTH):
        hit = detector.step(rng.standard_normal(runs)) >= threshold
        alarms += hit.sum()
        detector.restart(hit)
    return alarms / runs


def equalized(detector):
    low, high = np.log(3), np.log(4_000)
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if false_alarms(detector, np.exp(middle)) > 1 else (low, middle)
    return np.exp((low + high) / 2)


def delay(detector, threshold, shift, runs=2_000):
    detector.start(runs)
    found, waiting = np.full(runs, MONTH), np.ones(runs, bool)
    for t in range(QUIET + MONTH):
        hit = detector.step(rng.standard_normal(runs) + (shift if t >= QUIET else 0)) >= threshold
        if t < QUIET:
            detector.restart(hit)
            continue
        found[hit & waiting] = t - QUIET + 1
        waiting &= ~hit
        if not waiting.any():
            break
    return f"{np.median(found):.0f} ({found.mean():.1f})"


def row(name, detector_for, threshold=None):
    cells = []
    for shift in SHIFTS:
        detector = detector_for(shift)
        at = threshold or equalized(detector)
        cells.append(delay(detector, at, shift))
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


print("| detector | " + " | ".join(f"{s:g}" for s in SHIFTS) + " |\n|---|---|---|---|---|---|")
row("CUSUM, drift and direction known", Cusum)
row("Shiryaev-Roberts, drift and direction known", lambda s: Recursions([s], 1, True))
row("the same, direction unknown", lambda s: Recursions([s], 2, True))
row("drifts mixed in one recursion, direction unknown", lambda _: Recursions(DRIFTS, 2, False))
row("a recursion for each drift, direction unknown", lambda _: Recursions(DRIFTS, 2, True))
row("the same, the largest drift with twice the share", lambda _: Recursions(DRIFTS, 2, True, SHARES))
row("drifts mixed in one recursion, at A = 720", lambda _: Recursions(DRIFTS, 2, False), MONTH)
row("a recursion for each drift, at A = 720", lambda _: Recursions(DRIFTS, 2, True), MONTH)
row("the same, the largest drift with twice the share, at A = 720", lambda _: Recursions(DRIFTS, 2, True, SHARES), MONTH)
