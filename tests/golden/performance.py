"""Writes performance.csv: golden values for src/stats/performance.

Run: pip install scipy numpy && python tests/golden/performance.py
"""

from pathlib import Path

import numpy as np
from scipy import optimize, special, stats

rows = ["function,a,b,low,high"]
for k, n in ((0, 1), (1, 1), (0, 20), (3, 20), (10, 20), (20, 20), (7, 1_000), (993, 1_000), (120, 4_321), (50_000, 99_999)):
    for name, method in (("wilson", "wilson"), ("exact", "exact")):
        found = stats.binomtest(k, n).proportion_ci(0.95, method=method)
        rows.append(f"{name},{k},{n},{found.low:.17g},{found.high:.17g}")

# The maximum of the logistic likelihood with normal priors of precision .1 on slope - 1 and offset.
rng = np.random.default_rng(3)
for n, slope, offset in ((60, 0.5, 0.3), (200, 1.5, -0.5), (40, 1.0, 9.0)):
    odds = rng.uniform(-1, 5, n)
    right = (rng.random(n) < special.expit(slope * odds + offset)).astype(float)
    confidence = np.round(special.expit(odds), 6)
    x = special.logit(np.clip(confidence, 1e-6, 1 - 1e-6))

    def loss(at):
        z = at[0] * x + at[1]
        return -np.sum(right * z - np.logaddexp(0, z)) + 0.05 * ((at[0] - 1) ** 2 + at[1] ** 2)

    at = optimize.minimize(loss, [1, 0], method="BFGS", options={"gtol": 1e-10}).x
    confidences, rights = "/".join(f"{c:.6f}" for c in confidence), "/".join(f"{r:.0f}" for r in right)
    rows.append(f"logistic,{confidences},{rights},{at[0]:.17g},{at[1]:.17g}")
Path(__file__).with_suffix(".csv").write_text("\n".join(rows) + "\n")
