"""What production would log: the second model's answers to texts, by Python's libraries and not by driftd.

    answers.py MODEL_DIR

Reads held_out.jsonl and writes bank/VARIANT.jsonl, line for line the record of that text as production would
have logged it, without id, time and tags; `null` where a variant has none. Also writes golden.jsonl.
"""

import base64
import json
import random
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer, normalizers

from packages import LANGUAGES
from tokens import MOST_TOKENS, PAD_ID, padded

BATCH = 64
SEED = 11
TYPO_SHARE = 0.6  # of the texts, each with three
OFFSET = 0.05  # of the size's head: a factor of two in kilobytes
# What tokenizers of other libraries do differently first.
EDGES = ["", " ", "ＦＵＬＬ width ﬁ", "Größe paßt nicht… naïve café", "注文がまだ届きません 🙁", "a  b\tc\n\nd", "x" * 5_000, "word " * 300]


def softmax(x, temperature):
    x = np.exp((x - x.max(-1, keepdims=True)) / temperature)
    return x / x.sum(-1, keepdims=True)


def short(values):
    return [round(float(v), 5) for v in values]


class Model:
    def __init__(self, directory, onnx="model.onnx", tokenizer=None):
        self.tasks = json.loads((directory / "manifest.yaml").read_text())["tasks"]
        self.tokenizer = tokenizer or Tokenizer.from_file(str(directory / "tokenizer.json"))
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(directory / onnx, options, providers=["CPUExecutionProvider"])
        self.names = [o.name for o in self.session.get_outputs()]

    def raw(self, texts):
        """Each text's outputs by name, token outputs without special tokens."""
        encodings = self.tokenizer.encode_batch(texts)
        order = np.argsort([len(e.ids) for e in encodings], kind="stable")
        out = [None] * len(texts)
        for start in range(0, len(texts), BATCH):
            at = order[start : start + BATCH]
            rows = [encodings[i].ids for i in at]
            width = min(max(map(len, rows)), MOST_TOKENS)
            mask = padded([[1] * len(r) for r in rows], width, 0)
            values = self.session.run(self.names, {"input_ids": padded(rows, width, PAD_ID), "attention_mask": mask})
            for place, i in enumerate(at):
                out[i] = {name: value[place] for name, value in zip(self.names, values)}
                out[i]["terms"] = out[i]["terms"][1 : len(rows[place]) - 1]
        return out

    def outputs(self, raw):
        out = {}
        for task in self.tasks:
            name, kind, logits = task["name"], task["kind"], raw[task["name"]]
            if kind == "regression":
                out[name] = {"kind": kind, "value": round(float(logits), 5)}
            elif kind == "multilabel":
                scores = 1 / (1 + np.exp(-logits / task["temperature"]))
                labels = [task["classes"][i] for i in np.flatnonzero(scores >= 0.5)]
                out[name] = {"kind": kind, "labels": labels, "scores": short(scores)}
            else:
                scores = softmax(logits, task["temperature"])
                named = [task["classes"][i] for i in np.atleast_1d(scores.argmax(-1))]
                if kind == "token_labels":
                    out[name] = {"kind": kind, "labels": named, "scores": short(scores.max(-1))}
                else:
                    out[name] = {"kind": kind, "label": named[0], "scores": short(scores)}
        return out

    def record(self, text, raw):
        embedding = base64.b64encode(raw["embedding"].astype("<f2").tobytes()).decode()
        return {
            "input": {"text": text},
            "embedding": {"dtype": "f16", "data_b64": embedding},
            "outputs": self.outputs(raw),
        }

    def records(self, texts):
        """`null` where there is no text."""
        there = [i for i, text in enumerate(texts) if text is not None]
        out = [None] * len(texts)
        for i, raw in zip(there, self.raw([texts[i] for i in there])):
            out[i] = self.record(texts[i], raw)
        return out


def typos(text, rng):
    """Three letters swapped, dropped or doubled, in three words by chance."""
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if len(word) >= 4]
    for i in rng.sample(long, min(3, len(long))):
        word = words[i]
        at = rng.randrange(len(word) - 1)
        swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        words[i] = rng.choice([swapped, word[:at] + word[at + 1 :], word[: at + 1] + word[at:]])
    return " ".join(words)


def permuted(raw, head, order):
    """A head whose rows of weights came back in another order gives its logits in that order."""
    return [{**r, head: r[head][..., order]} for r in raw]


def main(directory):
    directory = Path(directory)
    rows = [json.loads(line) for line in (directory / "held_out.jsonl").open(encoding="utf-8")]
    texts = [r["text"] for r in rows]
    rng = random.Random(SEED)
    (directory / "bank").mkdir(exist_ok=True)

    def write(variant, records):
        with open(directory / "bank" / f"{variant}.jsonl", "w", encoding="utf-8") as file:
            for record in records:
                file.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")

    model = Model(directory)
    raw = model.raw(texts)

    def of(raw):
        return [model.record(t, r) for t, r in zip(texts, raw)]

    def shuffled(count):
        """An order in which no class keeps its place."""
        order = list(range(count))
        rng.shuffle(order)
        moved = np.roll(order, 1)
        return moved[np.argsort(order)]

    classes = json.loads((directory / "classes.json").read_text())
    write("clean", of(raw))
    write("own", ({"input": {"text": t}} for t in texts))
    write("section_permuted", of(permuted(raw, "section", shuffled(len(classes["section"])))))
    write("terms_permuted", of(permuted(raw, "terms", np.array([0, 2, 3, 1]))))
    write("tags_permuted", of(permuted(raw, "tags", shuffled(len(classes["tags"])))))
    write("size_offset", of([{**r, "size": r["size"] + OFFSET} for r in raw]))
    write("int8", Model(directory, "int8.onnx").records(texts))

    # Lower-casing lost on the way to production: capitals fall into rare pieces.
    broken = Tokenizer.from_file(str(directory / "tokenizer.json"))
    broken.normalizer = normalizers.NFKC()
    write("tokenizer", Model(directory, tokenizer=broken).records(texts))

    with_typos = [typos(t, rng) if rng.random() < TYPO_SHARE else t for t in texts]
    write("typos", model.records(with_typos))
    # A client that sends the first sentence only.
    write("truncated", model.records([t.split(". ")[0] for t in texts]))
    foreign = [r["others"].get(rng.choice(LANGUAGES)) or next(iter(r["others"].values()), None) for r in rows]
    write("foreign", model.records(foreign))
    for variant in ("typos", "truncated", "foreign"):
        records = (json.loads(line) for line in (directory / "bank" / f"{variant}.jsonl").open(encoding="utf-8"))
        write(f"own_{variant}", [r and {"input": r["input"]} for r in records])

    with open(directory / "golden.jsonl", "w", encoding="utf-8") as file:
        for number, record in enumerate(model.records(EDGES + texts[:40]), 1):
            head = {
                "schema": "prediction/v1",
                "prediction_id": f"golden-{number}",
                "model": {"name": "packages"},
                "timestamp": "2026-01-01T00:00:00Z",
            }
            file.write(json.dumps(head | record, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
