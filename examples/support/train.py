"""Trains the example model `support` and exports it for driftd.

One small transformer encoder carries five task heads, one of each kind that
driftd knows. The texts come from grammar.yaml alone. The script writes
tokenizer.json, model.onnx and manifest.yaml next to itself and prints the
figures that README.md quotes. Run golden.py afterwards.

    python train.py [--seed 7] [--epochs 6] [--out DIR]
"""

import argparse
import hashlib
import json
import random
import re
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime as ort
import optax
import yaml
from onnx import TensorProto, helper, numpy_helper
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

HERE = Path(__file__).resolve().parent

# The encoder. Width times depth is chosen so that the exported file stays near
# one megabyte.
HIDDEN = 96
LAYERS = 2
HEADS = 4
FEED_FORWARD = 192
MAX_TOKENS = 48
VOCABULARY = 1200

TRAIN_TEXTS = 20_000
VALIDATION_TEXTS = 3_000
BATCH = 64
LEARNING_RATE = 2e-3

# Light noise, in training and in validation texts alike: with probability
# TYPO_SHARE a text gets one misspelled word, or two with TYPO_SECOND_SHARE.
TYPO_SHARE = 0.20
TYPO_SECOND_SHARE = 0.25
# Training only: a word piece is replaced by [UNK] with this probability.
# Without it the [UNK] embedding would never be trained, and a text in a foreign
# script would get whatever vector the initialisation left there.
UNKNOWN_SHARE = 0.04

MOODS = ["calm", "angry"]
IGNORED = -1  # entity label of [CLS], [SEP] and padding when figures are taken
SPECIAL = PAD, UNK, CLS, SEP = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]  # ids 0 to 3

# Additive mask of padded keys. exp(x - 1e9) is exactly zero in float32, so
# padding cannot leak into any other position.
MASKED = -1e9


# --- texts ------------------------------------------------------------------

PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass
class Example:
    text: str
    entities: list  # (start, end, entity), in characters
    intent: str
    mood: str
    topics: list
    urgency: float
    misspelled: bool = False


def load_grammar(path):
    grammar = yaml.safe_load(path.read_text(encoding="utf-8"))
    if grammar["grammar"] != 1:
        raise SystemExit(f"{path.name}: unknown grammar version {grammar['grammar']}")
    groups = {**grammar["intents"], **grammar["unseen"], "foreign": grammar["foreign"]}
    for name, group in groups.items():
        for template in group["templates"]:
            for match in PLACEHOLDER.finditer(template):
                if match.group(1) not in grammar["slots"]:
                    raise SystemExit(f"{name}: no slot {match.group(0)} in {template!r}")
                around = template[: match.start()][-1:] + template[match.end() :][:1]
                if any(c.isalnum() for c in around):
                    raise SystemExit(f"{name}: {match.group(0)} touches a word in {template!r}")
    return grammar


def fill(template, slots, rng):
    """Replaces the placeholders; returns the text and its entity spans."""
    text, spans, last = "", [], 0
    for match in PLACEHOLDER.finditer(template):
        slot = slots[match.group(1)]
        text += template[last : match.start()]
        start = len(text)
        text += rng.choice(slot["values"])
        if slot["entity"] is not None:
            spans.append((start, len(text), slot["entity"]))
        last = match.end()
    return text + template[last:], spans


def generate(grammar, rng):
    intents = grammar["intents"]
    name = rng.choices(list(intents), weights=[i["weight"] for i in intents.values()])[0]
    intent = intents[name]
    text, spans = fill(rng.choice(intent["templates"]), grammar["slots"], rng)
    if rng.random() < grammar["openers"]["share"]:
        opener = rng.choice(grammar["openers"]["texts"]) + " "
        text = opener + text
        spans = [(a + len(opener), b + len(opener), e) for a, b, e in spans]
    if rng.random() < grammar["closers"]["share"]:
        text += " " + rng.choice(grammar["closers"]["texts"])
    angry = rng.random() < grammar["angry"]["share"]
    if angry:
        text += " " + rng.choice(grammar["angry"]["texts"])
    urgency = intent["urgency"] + (grammar["angry"]["urgency"] if angry else 0.0)
    return Example(
        text=text,
        entities=spans,
        intent=name,
        mood=MOODS[angry],
        topics=intent["topics"],
        urgency=min(max(urgency, 0.0), 1.0),
    )


def misspell(example, rng):
    """Swaps, drops or doubles one letter of a word of four letters or more."""
    words = [m.span() for m in re.finditer(r"[A-Za-z]{4,}", example.text)]
    if not words:
        return
    start, end = rng.choice(words)
    at = rng.randrange(start, end - 1)
    text = example.text
    kind = rng.choice(["swap", "drop", "double"])
    if kind == "swap":
        example.text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        return
    shift = -1 if kind == "drop" else 1
    example.text = text[:at] + text[at] * (1 + shift) + text[at + 1 :]
    example.entities = [
        (a + shift * (a > at), b + shift * (b > at), e) for a, b, e in example.entities
    ]


def make_examples(grammar, count, rng):
    examples = []
    for _ in range(count):
        example = generate(grammar, rng)
        if rng.random() < TYPO_SHARE:
            example.misspelled = True
            misspell(example, rng)
            if rng.random() < TYPO_SECOND_SHARE:
                misspell(example, rng)
        examples.append(example)
    return examples


def intent_ceiling(grammar):
    """Best intent accuracy anyone can reach, given the templates that two intents share."""
    best = defaultdict(float)
    total = sum(i["weight"] for i in grammar["intents"].values())
    for intent in grammar["intents"].values():
        for template, n in Counter(intent["templates"]).items():
            p = intent["weight"] / total * n / len(intent["templates"])
            best[template] = max(best[template], p)
    return sum(best.values())


# --- tokens -----------------------------------------------------------------


def learn_pieces(tokenizer, texts):
    """The word pieces, in an order that does not change from run to run."""
    letters = set()
    for text in texts:
        text = tokenizer.normalizer.normalize_str(text)
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text):
            letters.update(word[1:])
    # The trainer breaks ties between merges by piece id, and numbers "##x" pieces
    # in the order of a randomly seeded hash map. Declaring them up front fixes
    # their ids; being special to the trainer has no effect on the merges.
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY - len(SPECIAL),
        min_frequency=8,
        special_tokens=[f"##{letter}" for letter in sorted(letters)],
        show_progress=False,
    )
    learner = Tokenizer(models.WordPiece(unk_token=UNK))
    learner.normalizer = tokenizer.normalizer
    learner.pre_tokenizer = tokenizer.pre_tokenizer
    learner.train_from_iterator(texts, trainer)
    return sorted(learner.get_vocab())


def train_tokenizer(texts):
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNK))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    vocabulary = {p: i for i, p in enumerate(SPECIAL + learn_pieces(tokenizer, texts))}
    tokenizer.model = models.WordPiece(
        vocab=vocabulary, unk_token=UNK, max_input_chars_per_word=100
    )
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}",
        pair=f"{CLS} $A {SEP} $B:1 {SEP}:1",
        special_tokens=[(CLS, vocabulary[CLS]), (SEP, vocabulary[SEP])],
    )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


@dataclass
class Dataset:
    ids: list  # one int array per text, without padding
    tags: list  # entity class per token, IGNORED for [CLS] and [SEP]
    intent: np.ndarray
    mood: np.ndarray
    topics: np.ndarray
    urgency: np.ndarray

    def __len__(self):
        return len(self.ids)


def encode(examples, tokenizer, classes):
    ids, tags = [], []
    tag_id = {name: i for i, name in enumerate(classes["entities"])}
    for example, encoding in zip(examples, tokenizer.encode_batch([e.text for e in examples])):
        if len(encoding.ids) > MAX_TOKENS:
            raise SystemExit(f"more than {MAX_TOKENS} tokens: {example.text!r}")
        row, seen = [], set()
        for (start, end), special in zip(encoding.offsets, encoding.special_tokens_mask):
            tag = IGNORED if special else tag_id["O"]
            for span, (a, b, entity) in enumerate(example.entities):
                if not special and start < b and end > a:
                    tag = tag_id[("I-" if span in seen else "B-") + entity]
                    seen.add(span)
            row.append(tag)
        ids.append(np.array(encoding.ids, np.int64))
        tags.append(np.array(row, np.int64))
    return Dataset(
        ids=ids,
        tags=tags,
        intent=np.array([classes["intent"].index(e.intent) for e in examples]),
        mood=np.array([classes["mood"].index(e.mood) for e in examples]),
        topics=np.array(
            [[float(t in e.topics) for t in classes["topics"]] for e in examples], np.float32
        ),
        urgency=np.array([e.urgency for e in examples], np.float32),
    )


def pad(rows, width, value):
    out = np.full((len(rows), width), value, np.int64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def make_batch(data, index, width):
    lengths = np.array([len(data.ids[i]) for i in index])
    return {
        "ids": pad([data.ids[i] for i in index], width, 0),
        "mask": (np.arange(width)[None, :] < lengths[:, None]).astype(np.int64),
        "tags": pad([data.tags[i] for i in index], width, IGNORED),
        "intent": data.intent[index],
        "mood": data.mood[index],
        "topics": data.topics[index],
        "urgency": data.urgency[index],
    }


def batches(data, rng):
    """Shuffled batches of texts of similar length; few widths keep compilation rare."""
    by_width = defaultdict(list)
    for i in rng.permutation(len(data)):
        by_width[-(-len(data.ids[i]) // 8) * 8].append(i)
    plan = []
    for width, members in by_width.items():
        # Full batches only: the remainder is at most one batch per width, and the
        # next epoch shuffles other texts into it.
        for start in range(0, len(members) - BATCH + 1, BATCH):
            plan.append((width, members[start : start + BATCH]))
    for at in rng.permutation(len(plan)):
        width, members = plan[at]
        yield make_batch(data, np.array(members), width)


# --- the network ------------------------------------------------------------


def sinusoids():
    """Fixed position vectors: texts longer than any in training still get sensible ones."""
    position = np.arange(MAX_TOKENS)[:, None]
    rate = np.exp(-np.log(10_000.0) * np.arange(0, HIDDEN, 2) / HIDDEN)
    table = np.zeros((MAX_TOKENS, HIDDEN), np.float32)
    table[:, 0::2] = np.sin(position * rate)
    table[:, 1::2] = np.cos(position * rate)
    return table * 0.1  # the scale of the initial token embeddings


def init_parameters(vocabulary, classes, rng):
    def matrix(rows, columns):
        return rng.normal(0, (2 / (rows + columns)) ** 0.5, (rows, columns)).astype(np.float32)

    def linear(rows, columns):
        return {"w": matrix(rows, columns), "b": np.zeros(columns, np.float32)}

    def norm():
        return {"g": np.ones(HIDDEN, np.float32), "b": np.zeros(HIDDEN, np.float32)}

    return {
        "tokens": rng.normal(0, 0.1, (vocabulary, HIDDEN)).astype(np.float32),
        "layers": [
            {
                "norm_attention": norm(),
                "query": linear(HIDDEN, HIDDEN),
                "key": linear(HIDDEN, HIDDEN),
                "value": linear(HIDDEN, HIDDEN),
                "mix": linear(HIDDEN, HIDDEN),
                "norm_feed_forward": norm(),
                "up": linear(HIDDEN, FEED_FORWARD),
                "down": linear(FEED_FORWARD, HIDDEN),
            }
            for _ in range(LAYERS)
        ],
        "norm_final": norm(),
        "heads": {
            "intent": linear(HIDDEN, len(classes["intent"])),
            "mood": linear(HIDDEN, len(classes["mood"])),
            "topics": linear(HIDDEN, len(classes["topics"])),
            "entities": linear(HIDDEN, len(classes["entities"])),
            "urgency": linear(HIDDEN, 1),
        },
    }


POSITIONS = sinusoids()


def affine(p, x):
    return x @ p["w"] + p["b"]


def layer_norm(p, x):
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    return centred / jnp.sqrt(variance + 1e-5) * p["g"] + p["b"]


def forward(parameters, ids, mask):
    """The same computation as build_graph, which is what driftd runs."""
    rows, width = ids.shape
    mask = mask.astype(jnp.float32)
    blocked = (1 - mask)[:, None, None, :] * MASKED

    def split(x):
        return x.reshape(rows, width, HEADS, HIDDEN // HEADS).transpose(0, 2, 1, 3)

    x = parameters["tokens"][ids] + POSITIONS[:width]
    for layer in parameters["layers"]:
        h = layer_norm(layer["norm_attention"], x)
        q, k, v = (split(affine(layer[name], h)) for name in ("query", "key", "value"))
        scores = q @ k.transpose(0, 1, 3, 2) * (HIDDEN // HEADS) ** -0.5 + blocked
        mixed = jax.nn.softmax(scores, axis=-1) @ v
        mixed = mixed.transpose(0, 2, 1, 3).reshape(rows, width, HIDDEN)
        x = x + affine(layer["mix"], mixed)
        h = layer_norm(layer["norm_feed_forward"], x)
        x = x + affine(layer["down"], jax.nn.gelu(affine(layer["up"], h), approximate=False))
    x = layer_norm(parameters["norm_final"], x)

    weight = mask[:, :, None]
    embedding = (x * weight).sum(1) / jnp.maximum(weight.sum(1), 1.0)
    heads = parameters["heads"]
    return {
        "embedding": embedding,
        "intent": affine(heads["intent"], embedding),
        "mood": affine(heads["mood"], embedding),
        "topics": affine(heads["topics"], embedding),
        "entities": affine(heads["entities"], x),
        "urgency": jax.nn.sigmoid(affine(heads["urgency"], embedding)),
    }


def loss(parameters, batch):
    out = forward(parameters, batch["ids"], batch["mask"])
    cross_entropy = optax.softmax_cross_entropy_with_integer_labels
    # [CLS] and [SEP] are trained as O, so that a reader of the entities output
    # never meets untrained logits; only padding is left out.
    real = batch["mask"].astype(jnp.float32)
    tags = jnp.maximum(batch["tags"], 0)
    return (
        cross_entropy(out["intent"], batch["intent"]).mean()
        + cross_entropy(out["mood"], batch["mood"]).mean()
        + optax.sigmoid_binary_cross_entropy(out["topics"], batch["topics"]).mean()
        + (cross_entropy(out["entities"], tags) * real).sum() / real.sum()
        # Urgency lives in [0, 1], where squared errors are tiny beside the others.
        + 4.0 * ((out["urgency"][:, 0] - batch["urgency"]) ** 2).mean()
    )


def train(data, vocabulary, classes, unknown_id, epochs, seed):
    rng = np.random.default_rng(seed)
    parameters = jax.tree.map(jnp.asarray, init_parameters(vocabulary, classes, rng))
    steps = epochs * (len(data) // BATCH)
    schedule = optax.warmup_cosine_decay_schedule(0.0, LEARNING_RATE, steps // 20, steps)
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=0.01)
    )
    state = optimizer.init(parameters)

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(parameters, state, batch):
        value, gradient = jax.value_and_grad(loss)(parameters, batch)
        updates, state = optimizer.update(gradient, state, parameters)
        return optax.apply_updates(parameters, updates), state, value

    for epoch in range(epochs):
        started, losses = time.monotonic(), []
        for batch in batches(data, rng):
            unknown = (rng.random(batch["ids"].shape) < UNKNOWN_SHARE) & (batch["tags"] != IGNORED)
            batch["ids"] = np.where(unknown, unknown_id, batch["ids"])
            parameters, state, value = step(parameters, state, batch)
            losses.append(value)
        mean = float(jnp.stack(losses).mean())
        print(f"epoch {epoch + 1}: loss {mean:.4f}, {time.monotonic() - started:.0f} s", flush=True)
    return jax.tree.map(np.asarray, parameters)


# --- export -----------------------------------------------------------------


class Graph:
    """Collects nodes and weights; every method returns the name of its result."""

    def __init__(self):
        self.nodes, self.weights, self.count = [], {}, 0

    def weight(self, name, value):
        self.weights.setdefault(name, np.ascontiguousarray(value))
        return name

    def op(self, kind, *inputs, output=None, **attributes):
        if output is None:
            self.count += 1
            output = f"{kind.lower()}_{self.count}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def affine(self, name, p, x, output=None):
        product = self.op("MatMul", x, self.weight(f"{name}.weight", p["w"]))
        return self.op("Add", product, self.weight(f"{name}.bias", p["b"]), output=output)

    def layer_norm(self, name, p, x):
        scale = self.weight(f"{name}.weight", p["g"])
        bias = self.weight(f"{name}.bias", p["b"])
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-5)


def build_graph(parameters, classes):
    g = Graph()

    def constant(name, value, kind=np.float32):
        return g.weight(name, np.array(value, kind))

    one = constant("one", 1.0)
    half = constant("half", 0.5)
    root_two = constant("root_two", 2.0**0.5)
    scale = constant("attention_scale", (HIDDEN // HEADS) ** -0.5)
    axis_one = constant("axis_one", [1], np.int64)
    # 0 in a Reshape target copies the input's dimension, so both stay dynamic.
    to_heads = constant("to_heads", [0, 0, HEADS, HIDDEN // HEADS], np.int64)
    to_hidden = constant("to_hidden", [0, 0, HIDDEN], np.int64)

    mask = g.op("Cast", "attention_mask", to=TensorProto.FLOAT)
    blocked = g.op("Sub", one, mask)
    blocked = g.op("Mul", blocked, constant("masked", MASKED))
    blocked = g.op("Unsqueeze", blocked, constant("key_axes", [1, 2], np.int64))

    x = g.op("Gather", g.weight("encoder.tokens", parameters["tokens"]), "input_ids", axis=0)
    width = g.op("Shape", "input_ids", start=1, end=2)
    positions = g.op(
        "Slice",
        g.weight("encoder.positions", POSITIONS),
        constant("slice_start", [0], np.int64),
        width,
        constant("slice_axis", [0], np.int64),
    )
    x = g.op("Add", x, positions)

    for i, layer in enumerate(parameters["layers"]):
        name = f"encoder.{i}"
        h = g.layer_norm(f"{name}.norm_attention", layer["norm_attention"], x)
        split = {}
        for part in ("query", "key", "value"):
            split[part] = g.op("Reshape", g.affine(f"{name}.{part}", layer[part], h), to_heads)
        q = g.op("Transpose", split["query"], perm=[0, 2, 1, 3])
        k = g.op("Transpose", split["key"], perm=[0, 2, 3, 1])
        v = g.op("Transpose", split["value"], perm=[0, 2, 1, 3])
        scores = g.op("Mul", g.op("MatMul", q, k), scale)
        scores = g.op("Softmax", g.op("Add", scores, blocked), axis=-1)
        mixed = g.op("Transpose", g.op("MatMul", scores, v), perm=[0, 2, 1, 3])
        mixed = g.op("Reshape", mixed, to_hidden)
        x = g.op("Add", x, g.affine(f"{name}.mix", layer["mix"], mixed))

        h = g.layer_norm(f"{name}.norm_feed_forward", layer["norm_feed_forward"], x)
        h = g.affine(f"{name}.up", layer["up"], h)
        # GELU by its definition: opset 17 has no operator for it.
        gate = g.op("Add", g.op("Erf", g.op("Div", h, root_two)), one)
        h = g.op("Mul", g.op("Mul", h, half), gate)
        x = g.op("Add", x, g.affine(f"{name}.down", layer["down"], h))
    x = g.layer_norm("encoder.norm_final", parameters["norm_final"], x)

    weight = g.op("Unsqueeze", mask, constant("feature_axis", [2], np.int64))
    total = g.op("ReduceSum", g.op("Mul", x, weight), axis_one, keepdims=0)
    length = g.op("Max", g.op("ReduceSum", weight, axis_one, keepdims=0), one)
    embedding = g.op("Div", total, length, output="embedding")

    heads = parameters["heads"]
    for task in ("intent", "mood", "topics"):
        g.affine(f"heads.{task}", heads[task], embedding, output=task)
    g.affine("heads.entities", heads["entities"], x, output="entities")
    g.op("Sigmoid", g.affine("heads.urgency", heads["urgency"], embedding), output="urgency")

    tokens = ["batch", "sequence"]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, tokens)
        for name in ("input_ids", "attention_mask")
    ]
    shapes = {"embedding": ["batch", HIDDEN]}
    for task in ("intent", "mood", "topics"):
        shapes[task] = ["batch", len(classes[task])]
    shapes["entities"] = [*tokens, len(classes["entities"])]
    shapes["urgency"] = ["batch", 1]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    ]
    weights = [numpy_helper.from_array(value, name) for name, value in g.weights.items()]
    model = helper.make_model(
        helper.make_graph(g.nodes, "support", inputs, outputs, weights),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
        producer_name="driftd-example",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


# --- evaluation -------------------------------------------------------------


def score(session, data, batch=64, extra_padding=0, order=None):
    """Runs the exported model; entities come back as one array per text."""
    out = defaultdict(list)
    order = np.arange(len(data)) if order is None else order
    for start in range(0, len(data), batch):
        index = order[start : start + batch]
        width = min(max(len(data.ids[i]) for i in index) + extra_padding, MAX_TOKENS)
        b = make_batch(data, index, width)
        names = [o.name for o in session.get_outputs()]
        values = session.run(names, {"input_ids": b["ids"], "attention_mask": b["mask"]})
        for name, value in zip(names, values):
            if name == "entities":
                out[name].extend(v[: len(data.ids[i])] for i, v in zip(index, value))
            else:
                out[name].extend(value)
    back = np.argsort(order)
    return {
        name: [rows[i] for i in back] if name == "entities" else np.array(rows)[back]
        for name, rows in out.items()
    }


def largest_difference(a, b):
    worst = {}
    for name in a:
        pairs = zip(a[name], b[name])
        worst[name] = max(float(np.abs(np.asarray(x) - np.asarray(y)).max()) for x, y in pairs)
    return worst


def framework_outputs(parameters, data):
    run = jax.jit(forward)
    out = defaultdict(list)
    for start in range(0, len(data), 500):
        index = np.arange(start, min(start + 500, len(data)))
        b = make_batch(data, index, MAX_TOKENS)
        for name, value in run(parameters, b["ids"], b["mask"]).items():
            value = np.asarray(value)
            if name == "entities":
                out[name].extend(v[: len(data.ids[i])] for i, v in zip(index, value))
            else:
                out[name].extend(value)
    return out


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def negative_log_likelihood(kind, logits, gold, temperature):
    z = logits.astype(np.float64) / temperature
    if kind == "multilabel":
        return float((np.logaddexp(0, z) - gold * z).mean())
    return float(-log_softmax(z)[np.arange(len(gold)), gold].mean())


def fit_temperature(kind, logits, gold):
    """Golden-section search over log T; the loss has a single minimum in 1/T."""
    low, high, ratio = np.log(0.2), np.log(5.0), (5**0.5 - 1) / 2
    for _ in range(60):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        at_a, at_b = (negative_log_likelihood(kind, logits, gold, np.exp(t)) for t in (a, b))
        low, high = (low, b) if at_a < at_b else (a, high)
    return round(float(np.exp((low + high) / 2)), 4)


def confidence_and_hit(kind, logits, gold, temperature):
    z = logits.astype(np.float64) / temperature
    if kind == "multilabel":
        p = 1 / (1 + np.exp(-z))
        return np.maximum(p, 1 - p).ravel(), ((p >= 0.5) == (gold > 0.5)).ravel()
    p = np.exp(log_softmax(z))
    return p.max(-1), p.argmax(-1) == gold


def calibration_error(confidence, hit, bins=15):
    """Expected calibration error over bins of equal width."""
    slot = np.minimum((confidence * bins).astype(int), bins - 1)
    return sum(
        (slot == b).mean() * abs(confidence[slot == b].mean() - hit[slot == b].mean())
        for b in range(bins)
        if (slot == b).any()
    )


def spans_of(tags, classes):
    """BIO tags to (start, end, entity), in tokens; a stray I- opens a span."""
    spans, start, entity = set(), None, None
    for i, tag in enumerate([*tags, 0]):
        name = classes[tag]
        if start is not None and name != f"I-{entity}":
            spans.add((start, i, entity))
            start = None
        if name != "O" and start is None:
            start, entity = i, name[2:]
    return spans


def entity_f1(data, out, classes):
    found = gold = right = 0
    for tags, logits in zip(data.tags, out["entities"]):
        inner = tags != IGNORED
        a = spans_of(tags[inner], classes)
        b = spans_of(logits[inner].argmax(-1), classes)
        gold, found, right = gold + len(a), found + len(b), right + len(a & b)
    return 2 * right / (gold + found)


KINDS = {
    "intent": "multiclass",
    "mood": "binary",
    "topics": "multilabel",
    "entities": "token_labels",
}


def logits_and_gold(task, data, out):
    if task != "entities":
        return out[task], getattr(data, task)
    tags = np.concatenate(data.tags)
    return np.concatenate(out["entities"])[tags != IGNORED], tags[tags != IGNORED]


# --- manifest ---------------------------------------------------------------


def manifest(sha256, classes, temperatures):
    def block(task):
        return "".join(f"      - {name}\n" for name in classes[task])

    def head(task, kind, activation, more=""):
        return f"""\
  - name: {task}
    kind: {kind}
    output: {task}
    activation: {activation}
    temperature: {temperatures[task]}
{more}    classes:
{block(task)}"""

    return f"""\
# Written by train.py; do not edit by hand.
manifest: 1
model:
  name: support
  version: "1"
onnx:
  file: model.onnx
  sha256: {sha256}
tokenizer:
  file: tokenizer.json
  max_tokens: {MAX_TOKENS}
  pad_id: 0
  unknown_token: "{UNK}"
inputs:
  input_ids: input_ids
  attention_mask: attention_mask
embedding:
  output: embedding
  dimension: {HIDDEN}
tasks:
{head("intent", "multiclass", "softmax")}\
{head("mood", "binary", "softmax")}\
{head("topics", "multilabel", "sigmoid", "    threshold: 0.5" + chr(10))}\
{head("entities", "token_labels", "softmax")}\
  - name: urgency
    kind: regression
    output: urgency
    range: [0, 1]
golden:
  file: golden.jsonl
"""


def report(grammar, examples, data, out, classes, temperatures):
    print(f"\nvalidation, {len(data)} texts, exported model")
    print(
        f"  {'task':<10}{'figure':<24}{'value':>8}{'T':>8}"
        f"{'ECE T=1':>9}{'ECE':>8}{'conf p5':>9}{'p50':>8}"
    )
    for task, kind in KINDS.items():
        logits, gold = logits_and_gold(task, data, out)
        before = calibration_error(*confidence_and_hit(kind, logits, gold, 1.0))
        confidence, hit = confidence_and_hit(kind, logits, gold, temperatures[task])
        after = calibration_error(confidence, hit)
        low, mid = np.quantile(confidence, [0.05, 0.5])
        label = {"multilabel": "accuracy per label", "token_labels": "accuracy per token"}
        print(
            f"  {task:<10}{label.get(kind, 'accuracy'):<24}{hit.mean():>8.4f}"
            f"{temperatures[task]:>8.3f}{before:>9.4f}{after:>8.4f}{low:>9.3f}{mid:>8.3f}"
        )
    hit = out["intent"].argmax(-1) == data.intent
    misspelled = np.array([e.misspelled for e in examples])
    ceiling = intent_ceiling(grammar)
    print(f"  {'intent':<10}{'accuracy, no typo':<24}{hit[~misspelled].mean():>8.4f}")
    print(f"  {'intent':<10}{'accuracy, with typo':<24}{hit[misspelled].mean():>8.4f}")
    print(f"  {'intent':<10}{'best possible, no typo':<24}{ceiling:>8.4f}")
    exact = ((out["topics"] > 0) == (data.topics > 0.5)).all(-1).mean()
    print(f"  {'topics':<10}{'all labels right':<24}{exact:>8.4f}")
    print(f"  {'entities':<10}{'span F1':<24}{entity_f1(data, out, classes['entities']):>8.4f}")
    error = out["urgency"][:, 0] - data.urgency
    print(f"  {'urgency':<10}{'mean absolute error':<24}{np.abs(error).mean():>8.4f}")
    print(f"  {'urgency':<10}{'root mean square error':<24}{np.sqrt((error**2).mean()):>8.4f}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument("--epochs", type=int, default=6)
    arguments.add_argument("--out", type=Path, default=HERE)
    options = arguments.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    grammar = load_grammar(HERE / "grammar.yaml")
    entities = dict.fromkeys(s["entity"] for s in grammar["slots"].values() if s["entity"])
    classes = {
        "intent": list(grammar["intents"]),
        "mood": MOODS,
        "topics": list(dict.fromkeys(t for i in grammar["intents"].values() for t in i["topics"])),
        "entities": ["O"] + [f"{prefix}-{e}" for e in entities for prefix in "BI"],
    }

    # Separate generators: more training texts must not change the validation texts.
    training_examples = make_examples(grammar, TRAIN_TEXTS, random.Random(options.seed))
    validation_examples = make_examples(
        grammar, VALIDATION_TEXTS, random.Random(options.seed + 1_000_003)
    )
    tokenizer = train_tokenizer([e.text for e in training_examples])
    (options.out / "tokenizer.json").write_text(
        json.dumps(json.loads(tokenizer.to_str()), indent=1, ensure_ascii=False) + "\n",
        encoding="utf-8",
    )
    training = encode(training_examples, tokenizer, classes)
    validation = encode(validation_examples, tokenizer, classes)
    seen = {e.text for e in training_examples}
    repeated = sum(e.text in seen for e in validation_examples) / VALIDATION_TEXTS
    lengths = [len(i) for i in training.ids]
    print(f"{tokenizer.get_vocab_size()} word pieces, longest text {max(lengths)} tokens,")
    print(f"mean {np.mean(lengths):.1f}; {repeated:.1%} of the validation texts occur in training")

    parameters = train(
        training,
        tokenizer.get_vocab_size(),
        classes,
        tokenizer.token_to_id(UNK),
        options.epochs,
        options.seed,
    )
    count = sum(p.size for p in jax.tree.leaves(parameters))

    model = build_graph(parameters, classes)
    path = options.out / "model.onnx"
    path.write_bytes(model.SerializeToString(deterministic=True))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f"{count:,} parameters, model.onnx {path.stat().st_size:,} bytes, sha256 {sha256}")

    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    out = score(session, validation)
    temperatures = {
        task: fit_temperature(kind, *logits_and_gold(task, validation, out))
        for task, kind in KINDS.items()
    }
    (options.out / "manifest.yaml").write_text(
        manifest(sha256, classes, temperatures), encoding="utf-8"
    )
    report(grammar, validation_examples, validation, out, classes, temperatures)

    # Three promises of the exported graph, each checked on every validation text.
    shuffled = np.random.default_rng(0).permutation(len(validation))
    checks = {
        "training framework": (framework_outputs(parameters, validation), 1e-3),
        "padding to 48 tokens": (score(session, validation, 1, extra_padding=MAX_TOKENS), 1e-4),
        "other batch mates": (score(session, validation, 17, order=shuffled), 1e-4),
    }
    alone = score(session, validation, 1)
    print("\nlargest absolute difference of an output")
    print(f"  {'':<22}" + "".join(f"{name:>11}" for name in alone))
    failed = []
    for name, (other, limit) in checks.items():
        worst = largest_difference(alone, other)
        print(f"  {name:<22}" + "".join(f"{worst[key]:>11.1e}" for key in alone))
        failed += [name] if max(worst.values()) > limit else []
    if failed:
        raise SystemExit(f"over the limit: {', '.join(failed)}")


if __name__ == "__main__":
    main()
