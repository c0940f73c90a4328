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
    shape = 4 / mp.mpf(skew) ** 2
    return float(mp.log(mp.gammainc(shape, shape + t * mp.sqrt(shape), mp.inf, regularized=True)))


for t in (-1.0, 0.5, 2.0, 4.0, 8.0, 30.0):
    for skew in (0.05, 0.3, 1.0):
        rows.append(f"pearson3_ln_sf,{t},{skew},0,0,{pearson3_ln_sf(t, skew):.17g}")
for statistic, mean, variance in ((10, 4, 8), (90, 31, 70.5), (2000, 12, 30), (3, 11, 22)):
    scale = mp.mpf(variance) / mean
    p = mp.gammainc(mean / scale, statistic / scale, mp.inf, regularized=True)
    rows.append(f"matched_gamma_ln_sf,{statistic},{mean},{variance},0,{float(mp.log(p)):.17g}")
(Path(__file__).parent / "statistics.csv").write_text("\n".join(rows) + "\n")
