"""Writes probability.csv: golden values for src/stats/probability.rs.

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


rows = ["function,x,parameter,expected"]
for df in (1, 2, 7, 11, 32, 119, 2.5):
    for x in (0.01, 0.5, 5, 30, 150, 1_500, 20_000):
        rows.append(f"chi_square_ln_sf,{x},{df},{chi_square_ln_sf(x, df):.17g}")
for z in (-8, -1, 0, 0.5, 1.96, 4.99, 5.01, 10, 37.5, 120):
    rows.append(f"normal_ln_sf,{z},0,{normal_ln_sf(z):.17g}")
for ln_p in (-1e-6, -0.1, -0.6931, -0.7, -3, -50, -700, -2_000, -1e5):
    rows.append(f"normal_score,{ln_p},0,{normal_score(ln_p):.17g}")
Path(__file__).with_suffix(".csv").write_text("\n".join(rows) + "\n")
