"""Trains the second model on a part of the texts and writes it as driftd reads it.

    train.py PACKAGES.jsonl OUT_DIR [--epochs 6]

Writes tokenizer.json, model.onnx, manifest.yaml, classes.json, int8.onnx (the same weights, dynamically quantized) and
held_out.jsonl: the texts that neither the network, the tokenizer nor a temperature has seen.
"""

import argparse
import hashlib
import json
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime as ort
import optax
from onnxruntime.quantization import QuantType, quantize_dynamic

import network
from tokens import MOST_TOKENS, PAD_ID, TERMS, VOCABULARY, label_tokens, learn_tokenizer, padded

TRAINING, VALIDATION = 15_000, 1_000
BATCH = 64
RATE = 1.5e-3
HIDDEN_SHARE = 0.06  # of the tokens, in training, replaced by a chance one
SEED = 3
KINDS = ["library", "other"]


def gold(rows, classes, tokenizer):
    encodings = tokenizer.encode_batch([r["text"] for r in rows])
    return {
        "ids": [np.array(e.ids) for e in encodings],
        # Special tokens are trained as O; only padding is left out.
        "terms": [np.array([0, *label_tokens(e, r["text"], r["terms"]), 0]) for e, r in zip(encodings, rows)],
        "section": np.array([classes["section"].index(r["section"]) for r in rows]),
        "kind": np.array([KINDS.index(r["kind"]) for r in rows]),
        "tags": np.array([[t in (r["tags"] or []) for t in classes["tags"]] for r in rows], np.float32),
        "tagged": np.array([r["tags"] is not None for r in rows], np.float32),
        "size": np.array([r["size"] for r in rows], np.float32),
    }


def batch_of(data, at, width):
    rows = [data["ids"][i] for i in at]
    return {
        "ids": padded(rows, width, PAD_ID),
        "mask": padded([np.ones(len(r), np.int64) for r in rows], width, 0),
        "terms": padded([data["terms"][i] for i in at], width, 0),
        **{name: data[name][at] for name in ("section", "kind", "tags", "tagged", "size")},
    }


def batches(data, rng):
    """Texts of similar length together, in an order by chance."""
    lengths = np.array([len(ids) for ids in data["ids"]])
    order = np.argsort(lengths + rng.uniform(0, 8, len(lengths)), kind="stable")
    chunks = [order[i : i + BATCH] for i in range(0, len(order) - BATCH + 1, BATCH)]
    for at in rng.permutation(len(chunks)):
        width = min(-(-int(lengths[chunks[at]].max()) // 16) * 16, MOST_TOKENS)
        yield batch_of(data, chunks[at], width)


def loss(p, batch):
    out = network.forward(p, batch["ids"], batch["mask"])
    of_class = optax.softmax_cross_entropy_with_integer_labels
    real = batch["mask"].astype(jnp.float32)
    tags = optax.sigmoid_binary_cross_entropy(out["tags"], batch["tags"]).mean(-1)
    return (
        of_class(out["section"], batch["section"]).mean()
        + of_class(out["kind"], batch["kind"]).mean()
        + 2.0 * (tags * batch["tagged"]).sum() / jnp.maximum(batch["tagged"].sum(), 1)
        + (of_class(out["terms"], batch["terms"]) * real).sum() / real.sum()
        + 10.0 * ((out["size"] - batch["size"]) ** 2).mean()
    )


def train(data, classes, epochs):
    rng = np.random.default_rng(SEED)
    p = jax.tree.map(jnp.asarray, network.initial(classes, rng))
    steps = epochs * (len(data["ids"]) // BATCH)
    schedule = optax.warmup_cosine_decay_schedule(0.0, RATE, steps // 10, steps)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=0.05))
    state = optimizer.init(p)

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(p, state, batch):
        value, gradient = jax.value_and_grad(loss)(p, batch)
        updates, state = optimizer.update(gradient, state, p)
        return optax.apply_updates(p, updates), state, value

    for epoch in range(epochs):
        began, losses = time.monotonic(), []
        for batch in batches(data, rng):
            other = rng.integers(3, VOCABULARY, batch["ids"].shape)
            hidden = (rng.random(batch["ids"].shape) < HIDDEN_SHARE) & (batch["ids"] > 2)
            batch["ids"] = np.where(hidden, other, batch["ids"])
            p, state, value = step(p, state, batch)
            losses.append(value)
        mean = float(jnp.stack(losses).mean())
        print(f"epoch {epoch + 1}: loss {mean:.3f}, {time.monotonic() - began:.0f} s", flush=True)
    return jax.tree.map(np.asarray, p)


def temperature(logits, right, sigmoid):
    """That of the smallest log loss."""

    def cost(t):
        z = logits / t
        if sigmoid:
            return (np.logaddexp(0, z) - right * z).mean()
        top = z.max(-1, keepdims=True)
        every = top[..., 0] + np.log(np.exp(z - top).sum(-1))
        return (every - np.take_along_axis(z, right[:, None], -1)[:, 0]).mean()

    return round(float(min(np.geomspace(0.5, 3, 80), key=cost)), 3)


def manifest(classes, temperatures, sha256):
    kinds = {"section": "multiclass", "kind": "binary", "tags": "multilabel", "terms": "token_labels"}
    tasks = [
        {"name": name, "kind": kind, "temperature": temperatures[name], "classes": classes[name]}
        for name, kind in kinds.items()
    ]
    tasks.append({"name": "size", "kind": "regression", "range": [0, 1]})
    # JSON is YAML.
    return {
        "manifest": 1,
        "model": {"name": "packages", "version": "1"},
        "onnx": {"file": "model.onnx", "sha256": sha256},
        "tokenizer": {"file": "tokenizer.json", "max_tokens": MOST_TOKENS, "pad_id": PAD_ID},
        "embedding": {"output": "embedding", "dimension": network.HIDDEN},
        "segments": ["channel"],
        "tasks": tasks,
        "golden": {"file": "golden.jsonl"},
    }


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("packages", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--epochs", type=int, default=6)
    a = arguments.parse_args()
    rows = [json.loads(line) for line in a.packages.open(encoding="utf-8")]
    known, new = [r for r in rows if not r["new"]], [r for r in rows if r["new"]]
    training, checked = known[:TRAINING], known[TRAINING : TRAINING + VALIDATION]
    classes = {
        "section": sorted({r["section"] for r in known}),
        "kind": KINDS,
        "tags": sorted({t for r in known for t in r["tags"] or []}),
        "terms": TERMS,
        "size": [],
    }
    tokenizer = learn_tokenizer([r["text"] for r in training])
    assert tokenizer.get_vocab_size() == VOCABULARY
    data, check = gold(training, classes, tokenizer), gold(checked, classes, tokenizer)
    print(f"{len(training)} texts to learn from, {np.mean([len(i) for i in data['ids']]):.0f} tokens each")
    p = train(data, classes, a.epochs)

    a.out.mkdir(parents=True, exist_ok=True)
    model = network.graph(p, classes)
    onnx.save(model, a.out / "model.onnx")
    quantize_dynamic(a.out / "model.onnx", a.out / "int8.onnx", weight_type=QuantType.QInt8)
    tokenizer.save(str(a.out / "tokenizer.json"))
    (a.out / "classes.json").write_text(json.dumps(classes))
    with open(a.out / "held_out.jsonl", "w", encoding="utf-8") as file:
        for row in known[TRAINING + VALIDATION :] + new:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

    session = ort.InferenceSession(a.out / "model.onnx", providers=["CPUExecutionProvider"])
    batch = batch_of(check, np.arange(len(checked)), MOST_TOKENS)
    names = [o.name for o in session.get_outputs()]
    out = dict(zip(names, session.run(names, {"input_ids": batch["ids"], "attention_mask": batch["mask"]})))
    ours = network.forward(jax.tree.map(jnp.asarray, p), batch["ids"], batch["mask"])
    far = max(float(np.abs(np.asarray(ours[n]) - out[n]).max()) for n in names if n != "terms")
    tagged, real = check["tagged"] > 0, batch["mask"] > 0
    right = {
        "section": (out["section"].argmax(-1) == check["section"]).mean(),
        "kind": (out["kind"].argmax(-1) == check["kind"]).mean(),
        "tags": ((out["tags"] > 0) == (check["tags"] > 0))[tagged].mean(),
        "terms": (out["terms"].argmax(-1) == batch["terms"])[real].mean(),
        "size, R²": 1 - np.var(out["size"] - check["size"]) / np.var(check["size"]),
    }
    temperatures = {
        "section": temperature(out["section"], check["section"], False),
        "kind": temperature(out["kind"], check["kind"], False),
        "tags": temperature(out["tags"][tagged], check["tags"][tagged], True),
        "terms": temperature(out["terms"][real], batch["terms"][real], False),
    }
    print("validation:", {name: round(float(value), 3) for name, value in right.items()})
    print("temperatures:", temperatures, f"; ONNX and JAX differ by {far:.1e} at most")
    sha256 = hashlib.sha256((a.out / "model.onnx").read_bytes()).hexdigest()
    (a.out / "manifest.yaml").write_text(json.dumps(manifest(classes, temperatures, sha256), indent=1))


if __name__ == "__main__":
    main()
