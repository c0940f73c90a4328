"""Writes paired.csv: golden values for src/stats/paired.rs.

Score bounds come from likelihoods that are maximized numerically, and not from Tango's closed form; the
bound for bounded differences from exact sums of exponential variables (partial fractions, 120 digits).
Run: pip install scipy mpmath statsmodels && python tests/golden/paired.py
"""

from pathlib import Path

import mpmath as mp
from scipy import optimize, stats
from statsmodels.stats.proportion import proportion_confint

mp.mp.dps = 120
rows = ["function,data,error,expected"]


def score_statistic(ties, gains, losses, null):
    """(observed − null) / its standard error under the constrained maximum of the likelihood."""
    n = ties + gains + losses

    low, high = max(0.0, -null), (1 - null) / 2
    # Stationary points of the likelihood by bisection of its slope, which falls.
    def slope(q):
        return (gains / (q + null) if gains else 0) + (losses / q if losses else 0) - (2 * ties / (1 - 2 * q - null) if ties else 0)

    eps = 1e-13
    a, b = low + eps, high - eps
    if slope(a) <= 0:
        q = low
    elif slope(b) >= 0:
        q = high
    else:
        q = optimize.brentq(slope, a, b, xtol=1e-16, rtol=1e-15)
    variance = n * (2 * q + null - null**2)
    return (gains - losses - n * null) / variance**0.5


def tango_low(ties, gains, losses, error):
    z = stats.norm.isf(error)
    estimate = (gains - losses) / (ties + gains + losses)
    return optimize.brentq(lambda null: score_statistic(ties, gains, losses, null) - z, -1 + 1e-9, estimate - 1e-9, xtol=1e-14)


for counts in ((94, 4, 2), (940, 20, 40), (3760, 120, 120), (99, 0, 1), (96, 4, 0), (1000, 0, 0), (5, 3, 9)):
    ties, gains, losses = counts
    for error in (0.05, 0.01):
        name = "/".join(map(str, counts))
        rows.append(f"tango_low,{name},{error},{tango_low(ties, gains, losses, error):.17g}")
        rows.append(f"tango_high,{name},{error},{-tango_low(ties, losses, gains, error):.17g}")
    if gains > losses:
        p = stats.binomtest(gains, gains + losses, 0.5, alternative="greater").pvalue
        rows.append(f"mcnemar_ln_p,{name},0.05,{float(mp.log(p)):.17g}")

for count, n in ((0, 100), (3, 100), (120, 4000), (17, 17), (1, 3)):
    for error in (0.05, 0.01):
        low, high = proportion_confint(count, n, alpha=2 * error, method="wilson")
        rows.append(f"wilson_low,{count}/{n},{error},{max(low, 0):.17g}")
        rows.append(f"wilson_high,{count}/{n},{error},{min(high, 1):.17g}")


def random_mean_below(values, m):
    """P(Σ E·(x − m) ≤ 0) for exponential E over the values and −1, all distinct."""
    parts = [mp.mpf(x) - m for x in (*values, -1)]
    above = mp.mpf(0)
    for i, a in enumerate(parts):
        if a > 0:
            product = mp.mpf(1)
            for j, other in enumerate(parts):
                if j != i:
                    product *= a / (a - other)
            above += product
    return 1 - above


def bounded_low(values, error):
    low, high = mp.mpf(-1), mp.mpf((sum(values) - 1) / (len(values) + 1))
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if random_mean_below(values, middle) < error else (low, middle)
    return float(low)


grid = (
    [round(-0.3 + 0.021 * i, 4) for i in range(30)],
    [round(0.0001 * i, 5) for i in range(40)],
    [round(0.0003 * i, 5) for i in range(36)] + [-0.5, -0.7, 0.25, 0.33, 0.8],
    [-0.9, 0.1, 0.2, 0.35],
    [0.5],
    [round(0.9 - 0.011 * i, 4) for i in range(60)],
)
for values in grid:
    for error in (0.05, 0.01):
        rows.append(f"bounded_low,{'/'.join(map(str, values))},{error},{bounded_low(values, error):.17g}")
# Of 0 and 1 alone the bound is Clopper and Pearson's; here of −1 and 1, so of 2p − 1.
for ones, zeros in ((20, 5), (5, 20), (90, 10), (50, 0)):
    for error in (0.05, 0.01):
        p = stats.beta.ppf(error, ones, zeros + 1)
        rows.append(f"bounded_low,{'/'.join(['1'] * ones + ['-1'] * zeros)},{error},{2 * p - 1:.17g}")
Path(__file__).with_suffix(".csv").write_text("\n".join(rows) + "\n")
