#!/usr/bin/env python3
"""Peers on the development streams, window by window, as `scripts/quality.sh` judges them with driftd.

    peers_streams.py judge PEER STREAMS DATA OUT.csv     PEER: evidently, evidently_embeddings, nannyml,
                                                         alibi_ks, driftlens; driftd: STREAMS holds
                                                         NAME.json of `driftd backtest --format json`
    peers_streams.py table DATA OUT.csv...               the table of docs/quality.md

STREAMS holds NAME.jsonl of every stream (examples/assist_records), DATA its ground_truth.json. Each peer sees what
it is made for: predicted classes, confidences and text length as columns, or the embeddings. A row is
`peer,stream,window,score,flag`; flag is the peer's own verdict at its documented default.
"""
import base64
import csv
import json
import logging
import sys
import warnings

import numpy as np

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
WINDOW = 250


def load(path):
    rows, embeddings = [], []
    for line in open(path):
        record = json.loads(line)
        row = {"length": float(len(record["input"]["text"]))}
        for name, output in record["outputs"].items():
            scores = output["scores"]
            scores = np.frombuffer(base64.b64decode(scores), "<f4") if isinstance(scores, str) else np.array(scores)
            if "label" in output:
                row[f"class_{name}"] = output["label"]
                row[f"confidence_{name}"] = float(scores.max())
            elif output["kind"] == "multilabel":
                row[f"class_{name}"] = ",".join(sorted(output["labels"])) or "none"
                row[f"confidence_{name}"] = float(np.maximum(scores, 1 - scores).min())
            else:
                row[f"confidence_{name}"] = float(scores.mean()) if len(scores) else 1.0
        rows.append(row)
        embeddings.append(np.frombuffer(base64.b64decode(record["embedding"]["data_b64"]), "<f2").astype("f4"))
    import pandas as pd

    return pd.DataFrame(rows), np.array(embeddings)


def engine(peer, frame, embeddings):
    """Learns the reference; gives check(frame, embeddings) -> (score, flag) of one window."""
    import pandas as pd

    categorical = [c for c in frame if c.startswith("class_")]
    numeric = [c for c in frame if c not in categorical]
    if peer == "evidently":
        from evidently.legacy.calculations.stattests import get_stattest
        from evidently.legacy.core import ColumnType

        def check(window, _):
            found = []
            for column in numeric + categorical:
                kind = ColumnType.Numerical if column in numeric else ColumnType.Categorical
                test = get_stattest(frame[column], window[column], kind, None)
                result = test(frame[column], window[column], kind, None)
                found.append((float(result.drift_score), bool(result.drifted)))
            # DataDriftPreset: the data set drifts if half of its columns do.
            return max(score for score, _ in found), sum(flag for _, flag in found) >= 0.5 * len(found)

        return check
    if peer == "evidently_embeddings":
        from evidently.legacy.metrics.data_drift import embedding_drift_methods

        columns = [f"e{i}" for i in range(embeddings.shape[1])]
        reference, method = pd.DataFrame(embeddings, columns=columns), embedding_drift_methods.model()

        def check(_, window):
            score, flag, _ = method(pd.DataFrame(window, columns=columns), reference.copy())
            return float(score), bool(flag)

        return check
    if peer == "nannyml":
        import nannyml

        drift = nannyml.UnivariateDriftCalculator(
            column_names=numeric + categorical, treat_as_categorical=categorical, chunk_size=WINDOW
        ).fit(frame)

        def check(window, _):
            told = drift.calculate(window.reset_index(drop=True)).filter(period="analysis").to_df()
            method = {column: "jensen_shannon" for column in numeric + categorical}
            values = [float(told[(c, m, "value")].iloc[0]) for c, m in method.items()]
            limits = [float(told[(c, m, "upper_threshold")].iloc[0]) for c, m in method.items()]
            alerts = [bool(told[(c, m, "alert")].iloc[0]) for c, m in method.items()]
            return max(v / max(limit, 1e-9) for v, limit in zip(values, limits)), any(alerts)

        return check
    if peer == "alibi_ks":
        from alibi_detect.cd import KSDrift

        detector = KSDrift(embeddings, p_val=0.05)

        def check(_, window):
            told = detector.predict(window)["data"]
            return -float(np.log10(max(told["p_val"].min(), 1e-300))), bool(told["is_drift"])

        return check
    if peer == "driftlens":
        from driftlens.driftlens import DriftLens

        labels = {v: i for i, v in enumerate(sorted(frame["class_domain"].unique()))}
        classes = frame["class_domain"].map(labels).to_numpy()
        half, lens = len(embeddings) // 2, DriftLens()
        lens.estimate_baseline(embeddings[:half], classes[:half], sorted(labels.values()), 150, 75)
        lens.label_list = []

        def distance(window, of):
            told = lens.compute_window_distribution_distances(window, of)
            return float(np.real(told["per-batch"]))

        rng = np.random.default_rng(0)
        drawn = [half + rng.choice(len(embeddings) - half, WINDOW) for _ in range(100)]
        limit = max(distance(embeddings[i], classes[i]) for i in drawn)

        def check(window, vectors):
            score = distance(vectors, window["class_domain"].map(labels).fillna(0).astype(int).to_numpy())
            return score, score > limit

        return check
    raise SystemExit(f"unknown peer {peer}")


def streams(data):
    for name, truth in json.load(open(f"{data}/ground_truth.json"))["streams"].items():
        if truth["kind"] != "reference":
            yield name, truth


def judged_by_driftd(folder, data, out):
    """The back-tests NAME.json in a folder as rows; the score is the logarithm of the evidence."""
    with open(out, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["peer", "stream", "window", "score", "flag"])
        for name, _ in streams(data):
            for window in json.load(open(f"{folder}/{name}.json"))["windows"]:
                score = np.log10(max(window["model_evidence"], 1e-300))
                writer.writerow(["driftd", name, window["index"], f"{score:.8g}", int(window["verdict"] == "drift")])


def judge(peer, folder, data, out):
    if peer == "driftd":
        return judged_by_driftd(folder, data, out)
    checks = {}
    with open(out, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["peer", "stream", "window", "score", "flag"])
        for name, truth in streams(data):
            reference = truth.get("reference") or "reference"
            if reference not in checks:
                checks[reference] = engine(peer, *load(f"{folder}/{reference}.jsonl"))
            frame, embeddings = load(f"{folder}/{name}.jsonl")
            for window in range(len(frame) // WINDOW):
                rows = slice(window * WINDOW, (window + 1) * WINDOW)
                score, flag = checks[reference](frame.iloc[rows], embeddings[rows])
                writer.writerow([peer, name, window, f"{score:.8g}", int(flag)])
            file.flush()
            print(peer, name, "done", file=sys.stderr)


def table(data, files):
    truths = dict(streams(data))
    controls = [n for n, t in truths.items() if not t["verdict"]["should_alarm"]]
    print("| peer | control windows with an alarm | drifting streams found, mean delay | the same, where no control window alarms |")
    print("|---|---|---|---|")
    for path in files:
        rows = list(csv.DictReader(open(path)))
        quiet = [r for r in rows if r["stream"] in controls]
        limit = max(float(r["score"]) for r in quiet)
        false = sum(int(r["flag"]) for r in quiet)

        def found(alarms):
            delays, early = [], 0
            for name, truth in truths.items():
                if name in controls:
                    continue
                onset = truth["onset_index"] // WINDOW
                after = [int(r["window"]) for r in rows if r["stream"] == name and alarms(r)]
                early += any(w < onset for w in after)
                after = [w - onset + 1 for w in after if w >= onset]
                delays += after[:1]
            told = f"{len(delays)} of {len(truths) - len(controls)}, {np.mean(delays):.1f}" if delays else "none"
            return told + (f" ({early} with an alarm before the onset)" if early else "")

        own, equal = found(lambda r: r["flag"] == "1"), found(lambda r: float(r["score"]) > limit)
        print(f"| {rows[0]['peer']} | {false} of {len(quiet)} | {own} | {equal} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["judge"] and len(sys.argv) == 6:
        judge(*sys.argv[2:])
    elif sys.argv[1:2] == ["table"]:
        table(sys.argv[2], sys.argv[3:])
    else:
        raise SystemExit(__doc__)
