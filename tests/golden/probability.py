"""Writes probability.csv, deviance.csv and statistics.csv: golden values for src/stats.

Within the range of SciPy its own functions are used; beyond, mpmath with 60 digits.
Run: pip install scipy mpmath && python tests/golden/probability.py
"""

from pathlib import Path

import mpmath as mp
from scipy import stats

mp.mp.dps = 60


def chi_square_ln_sf(x: float, df: float) -> float:
    survival = stats.chi2.sf(x, df)
    if 1e-250 < survival < 1:
        return float(stats.chi2.logsf(x, df)) if survival < 0.1 else float(mp.log(upper(x, df)))
    return float(mp.log(upper(x, df)))


def upper(x: float, df: float):
    return mp.gammainc(mp.mpf(df) / 2, mp.mpf(x) / 2, mp.inf, regularized=True)


def normal_ln_sf(z: float) -> float:
    return float(mp.log(mp.erfc(mp.mpf(z) / mp.sqrt(2)) / 2))


def normal_score(ln_p: float) -> float:
    target = mp.mpf(ln_p)
    start = stats.norm.isf(float(mp.exp(target))) if ln_p > -700 else mp.sqrt(-2 * target)
    return float(mp.findroot(lambda z: mp.log(mp.erfc(z / mp.sqrt(2)) / 2) - target, start))


def binomial_ln_sf(x: int, n: int, rate: float) -> float:
    p = mp.mpf(rate)
    return float(mp.log(mp.fsum(mp.binomial(n, k) * p**k * (1 - p) ** (n - k) for k in range(x, n + 1))))


rows = ["function,x,parameter,expected"]
for df in (1, 2, 7, 11, 32, 119, 2.5):
    for x in (0.01, 0.5, 5, 30, 150, 1_500, 20_000):
        rows.append(f"chi_square_ln_sf,{x},{df},{chi_square_ln_sf(x, df):.17g}")
for z in (-8, -1, 0, 0.5, 1.96, 4.99, 5.01, 10, 37.5, 120):
    rows.append(f"normal_ln_sf,{z},0,{normal_ln_sf(z):.17g}")
for ln_p in (-1e-6, -0.1, -0.6931, -0.7, -3, -50, -700, -2_000, -1e5):
    rows.append(f"normal_score,{ln_p},0,{normal_score(ln_p):.17g}")
for x, n, rate in ((60, 500, 0.03), (11, 100, 0.1), (900, 1_000, 0.3), (3, 3, 0.5), (2_000, 100_000, 0.015)):
    rows.append(f"binomial_ln_sf,{x},{n}/{rate},{binomial_ln_sf(x, n, rate):.17g}")
for above, below in ((0.5, 3.2), (2, 7), (32, 12.5), (4.8, 400), (900, 2.01)):
    for x in (0.003, 0.4, 3, 70, 5_000):
        # The tail of the beta prime law, as an incomplete beta function of 1/(1 + x).
        tail = mp.betainc(below, above, 0, 1 / (1 + mp.mpf(x)), regularized=True)
        rows.append(f"gamma_ratio_ln_sf,{x},{above}/{below},{float(mp.log(tail)):.17g}")
Path(__file__).with_suffix(".csv").write_text("\n".join(rows) + "\n")


def deviance_moments(expected: float):
    mean, square = mp.mpf(0), mp.mpf(0)
    lam = mp.mpf(expected)
    for c in range(0, int(expected + 60 * expected**0.5 + 120)):
        p = mp.exp(-lam + c * mp.log(lam) - mp.loggamma(c + 1))
        d = 2 * ((c * mp.log(c / lam) if c else 0) - (c - lam))
        mean += p * d
        square += p * d * d
    return float(mean), float(square - mean * mean)


rows = ["expected,mean,variance"]
for expected in (0.07, 0.5, 1.0, 1.7, 2.0, 5.0, 13.0, 40.3, 99.0, 1_500.0):
    mean, variance = deviance_moments(expected)
    rows.append(f"{expected},{mean:.17g},{variance:.17g}")
(Path(__file__).parent / "deviance.csv").write_text("\n".join(rows) + "\n")

# Whole statistics: the likelihood ratio of counts to shares, the tail of Pearson's type III (skewed
# means), and the matched gamma of a quadratic form of means.
rows = ["function,statistic,a,b,c,expected"]
for counts, shares in (((30, 20, 25, 25), (1, 1, 1, 1)), ((400, 90, 10), (80, 18, 2)), ((5, 5), (1, 9)), ((0, 40, 60), (2, 40, 58))):
    total = sum(counts)
    expected = [total * s / sum(shares) for s in shares]
    g = stats.power_divergence([c for c in counts], expected, lambda_="log-likelihood").statistic
    rows.append(f"g,{'/'.join(map(str, counts))},{'/'.join(map(str, shares))},0,0,{float(g):.17g}")


def pearson3_ln_sf(t: float, skew: float) -> float:
    if skew < -1e-3:
        own = -mp.expm1(pearson3_ln_sf(-t, -skew))
        return max(float(mp.log(own)) if own > 0 else -float("inf"), normal_ln_sf(t))
    shape = 4 / mp.mpf(skew) ** 2
    start, width = shape + t * mp.sqrt(shape), mp.sqrt(shape)
    if start <= 0:
        return 0.0
    if shape < 3_000:
        return float(mp.log(mp.gammainc(shape, start, mp.inf, regularized=True)))
    # The series converge too slowly: the integral of the density, relative to its largest value.
    peak = max(start, shape - 1)
    ln_density = lambda x: (shape - 1) * mp.log(x) - x
    points = [start] + [x for k in (-30, -10, -3, 0, 1, 3, 10, 30, 100) if (x := peak + k * width) > start]
    integral = mp.quad(lambda x: mp.exp(ln_density(x) - ln_density(peak)), points)
    return float(mp.log(integral) + ln_density(peak) - mp.loggamma(shape))


for t in (-1.0, 0.5, 2.0, 4.0, 8.0, 30.0):
    for skew in (0.05, 0.3, 1.0, -0.05, -1.0, -4.0):
        rows.append(f"pearson3_ln_sf,{t},{skew},0,0,{pearson3_ln_sf(t, skew):.17g}")
for statistic, mean, variance in ((10, 4, 8), (90, 31, 70.5), (2000, 12, 30), (3, 11, 22)):
    scale = mp.mpf(variance) / mean
    p = mp.gammainc(mean / scale, statistic / scale, mp.inf, regularized=True)
    rows.append(f"matched_gamma_ln_sf,{statistic},{mean},{variance},0,{float(mp.log(p)):.17g}")

# Tests of whole windows, against a reference without error (rates and pairs: with its own). SciPy where it
# reaches, mpmath beyond.
def listed(values) -> str:
    return "/".join(map(str, values))


def rate_above(found: int, n: int, expected: int, total: int, harmless: float) -> float:
    """The binomial tail at the reference's one-sided 99.9 % Wilson bound."""
    bound = stats.binomtest(expected, total).proportion_ci(confidence_level=0.998, method="wilson").high
    return binomial_ln_sf(found, n, bound + harmless)


for found, n, expected, total, harmless in (
    (12, 500, 10, 5_000, 0.0),
    (30, 500, 10, 5_000, 0.01),
    (60, 500, 10, 5_000, 0.02),
    (2_000, 10_000, 0, 5_000, 0.0),
    (9_900, 10_000, 4_000, 8_000, 0.05),
):
    rows.append(f"rate_above,{found},{n},{expected}/{total},{harmless},{rate_above(found, n, expected, total, harmless):.17g}")


def excess_pairs(current, reference) -> float:
    """Mean and variance of a U-statistic of order two, its law a gamma; the reference's rate at its 99.9 % bound."""
    n, total = sum(current), sum(reference)
    falling = lambda r, k: mp.fprod(mp.mpf(r - i) for i in range(k))
    square = mp.fsum(falling(r, 2) for r in reference) / falling(total, 2)
    cube = mp.fsum(falling(r, 3) for r in reference) / falling(total, 3)
    square = max(square, 1 / (2 * falling(total, 2)))

    def variance(n):
        same, sharing = square * (1 - square), max(cube - square**2, 0)
        return mp.binomial(n, 2) * (same + 2 * (n - 2) * sharing)

    bound = square + mp.mpf(stats.norm.isf(0.001)) * mp.sqrt(variance(total)) / mp.binomial(total, 2)
    mean = mp.binomial(n, 2) * bound
    scale = max(variance(n), mean) / mean
    found = sum(c * (c - 1) // 2 for c in current)
    return float(mp.log(mp.gammainc(mean / scale, (found - mp.mpf("0.5")) / scale, mp.inf, regularized=True)))


for current, reference in (
    ((3, 2, 4, 1), (30, 20, 25, 25)),
    ((30, 1, 0, 2, 1, 1, 0, 1), (20,) * 8),
    ((500, 10, 10, 10), (40, 50, 60, 50)),
    ((5, 0, 0, 0, 0, 0), (1, 1, 1, 1, 1, 0)),
    ((9_000, 200, 300, 500), (1_000, 1_000, 500, 500)),
):
    rows.append(f"excess_pairs,{listed(current)},{listed(reference)},0,0,{excess_pairs(current, reference):.17g}")


def location(current, reference):
    """Van der Waerden's scores of mid-ranks: shift and skewness, then both one-sided tails."""
    n, total = sum(current), sum(reference)
    shares, below = [r / total for r in reference], 0.0
    scores = []
    for r in reference:
        scores.append(float(stats.norm.ppf(min(max((below + r / 2) / total, 0.5 / total), 1 - 0.5 / total))))
        below += r
    mean = mp.fsum(p * s for p, s in zip(shares, scores))
    deviation = mp.sqrt(mp.fsum(p * (s - mean) ** 2 for p, s in zip(shares, scores)))
    skewness = mp.fsum(p * (s - mean) ** 3 for p, s in zip(shares, scores)) / deviation**3
    shift = (mp.fsum(c * s for c, s in zip(current, scores)) / n - mean) / deviation
    tails = []
    for sign in (1, -1):
        z, skew = sign * shift * mp.sqrt(n), sign * skewness / mp.sqrt(n)
        tails.append(normal_ln_sf(z) if abs(skew) < 1e-3 else pearson3_ln_sf(z, skew))
    return [float(shift), float(skewness), *tails]


for current, reference in (
    ((83, 90, 94, 96, 98, 101, 104, 107, 111, 116), (2_000,) * 10),
    ((50, 30, 20), (700, 250, 50)),
    ((10, 10, 80, 900), (4_000, 3_000, 2_000, 1_000)),
    ((9_000, 900, 90, 10), (100, 200, 300, 400)),
    ((1, 0, 0, 4), (10, 10, 10, 10)),
):
    for name, value in zip(("shift", "skewness", "up", "down"), location(current, reference)):
        rows.append(f"location_{name},{listed(current)},{listed(reference)},0,0,{value:.17g}")

# A white cloud: n·|d|² is χ² with as many degrees of freedom as there are dimensions.
for difference, n in (((0.1, -0.2, 0.05), 40), ((0.3,), 1_000), ((0.5, -0.5, 1.0, 0.25), 5_000), ((0.01,) * 32, 250)):
    statistic = n * sum(d * d for d in difference)
    rows.append(f"mean_shift,{listed(difference)},{n},0,0,{chi_square_ln_sf(statistic, len(difference)):.17g}")
(Path(__file__).parent / "statistics.csv").write_text("\n".join(rows) + "\n")
