#!/usr/bin/env python3
"""Parquet tables of the peers' harness as .npy columns that examples/peers.rs reads.

    peers_columns.py DATA

Writes NAME.num.npy (f8, [columns, rows]), NAME.cat.npy (u1, [columns, rows], 0 = a) and NAME.columns (names).
"""
import glob
import sys

import numpy as np
import pandas as pd

for path in glob.glob(f"{sys.argv[1]}/*.parquet"):
    table = pd.read_parquet(path)
    numeric = [c for c in table if c.startswith("n")]
    categories = [c for c in table if c.startswith("c")]
    stem = path.removesuffix(".parquet")
    np.save(f"{stem}.num.npy", np.ascontiguousarray(table[numeric].to_numpy("f8").T))
    letters = np.array([table[c].map(lambda v: ord(v) - ord("a")).to_numpy("u1") for c in categories])
    np.save(f"{stem}.cat.npy", np.ascontiguousarray(letters))
    with open(f"{stem}.columns", "w") as names:
        names.write("\n".join(numeric + categories))
