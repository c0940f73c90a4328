"""The second model's network, in JAX and as an ONNX graph.

Of another build than the example model and the development model on purpose: learned positions, the first token's
state through a tanh as embedding, a regression output without a second axis.
"""

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tokens import MOST_TOKENS, TERMS, VOCABULARY

HIDDEN, LAYERS, HEADS, FEED_FORWARD = 128, 3, 4, 384
MASKED = -1e9


def initial(classes, rng):
    def linear(rows, columns):
        scale = (2 / (rows + columns)) ** 0.5
        return {
            "w": rng.normal(0, scale, (rows, columns)).astype(np.float32),
            "b": np.zeros(columns, np.float32),
        }

    def norm():
        return {"g": np.ones(HIDDEN, np.float32), "b": np.zeros(HIDDEN, np.float32)}

    return {
        "tokens": rng.normal(0, 0.1, (VOCABULARY, HIDDEN)).astype(np.float32),
        "positions": rng.normal(0, 0.02, (MOST_TOKENS, HIDDEN)).astype(np.float32),
        "layers": [
            {
                "norm_1": norm(),
                "query": linear(HIDDEN, HIDDEN),
                "key": linear(HIDDEN, HIDDEN),
                "value": linear(HIDDEN, HIDDEN),
                "mix": linear(HIDDEN, HIDDEN),
                "norm_2": norm(),
                "up": linear(HIDDEN, FEED_FORWARD),
                "down": linear(FEED_FORWARD, HIDDEN),
            }
            for _ in range(LAYERS)
        ],
        "norm": norm(),
        "pooler": linear(HIDDEN, HIDDEN),
        "heads": {name: linear(HIDDEN, max(len(of), 1)) for name, of in classes.items()},
    }


def affine(p, x):
    return x @ p["w"] + p["b"]


def layer_norm(p, x):
    centred = x - x.mean(-1, keepdims=True)
    return centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * p["g"] + p["b"]


def forward(p, ids, mask):
    """The same computation as `graph`."""
    rows, width = ids.shape
    blocked = (1 - mask.astype(jnp.float32))[:, None, None, :] * MASKED

    def split(x):
        return x.reshape(rows, width, HEADS, -1).transpose(0, 2, 1, 3)

    x = p["tokens"][ids] + p["positions"][:width]
    for layer in p["layers"]:
        h = layer_norm(layer["norm_1"], x)
        q, k, v = (split(affine(layer[name], h)) for name in ("query", "key", "value"))
        scores = q @ k.transpose(0, 1, 3, 2) * (HIDDEN // HEADS) ** -0.5 + blocked
        mixed = (jax.nn.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(rows, width, HIDDEN)
        x = x + affine(layer["mix"], mixed)
        h = affine(layer["up"], layer_norm(layer["norm_2"], x))
        x = x + affine(layer["down"], h * jax.nn.sigmoid(1.702 * h))
    x = layer_norm(p["norm"], x)
    embedding = jnp.tanh(affine(p["pooler"], x[:, 0]))
    out = {"embedding": embedding}
    for name, head in p["heads"].items():
        out[name] = affine(head, x if name == "terms" else embedding)
    out["size"] = out["size"][:, 0]
    return out


# --- export


class Graph:
    """Collects nodes and weights; each method returns the name of its result."""

    def __init__(self):
        self.nodes, self.weights = [], {}

    def weight(self, name, value, kind=np.float32):
        self.weights[name] = np.ascontiguousarray(np.asarray(value, kind))
        return name

    def op(self, kind, *inputs, output=None, **attributes):
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def affine(self, name, p, x, output=None):
        product = self.op("MatMul", x, self.weight(f"{name}.weight", p["w"]))
        return self.op("Add", product, self.weight(f"{name}.bias", p["b"]), output=output)

    def norm(self, name, p, x):
        scale, bias = self.weight(f"{name}.weight", p["g"]), self.weight(f"{name}.bias", p["b"])
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-5)


def graph(p, classes):
    g = Graph()
    one, scale = g.weight("one", 1.0), g.weight("scale", (HIDDEN // HEADS) ** -0.5)
    to_heads = g.weight("to_heads", [0, 0, HEADS, HIDDEN // HEADS], np.int64)
    to_hidden = g.weight("to_hidden", [0, 0, HIDDEN], np.int64)
    zero, axis = g.weight("zero", [0], np.int64), g.weight("axis", [1], np.int64)

    blocked = g.op("Sub", one, g.op("Cast", "attention_mask", to=TensorProto.FLOAT))
    blocked = g.op("Mul", blocked, g.weight("masked", MASKED))
    blocked = g.op("Unsqueeze", blocked, g.weight("key_axes", [1, 2], np.int64))
    width = g.op("Shape", "input_ids", start=1, end=2)
    positions = g.op("Slice", g.weight("encoder.positions", p["positions"]), zero, width, zero)
    x = g.op("Gather", g.weight("encoder.tokens", p["tokens"]), "input_ids")
    x = g.op("Add", x, positions)
    for i, layer in enumerate(p["layers"]):
        name = f"encoder.{i}"
        h = g.norm(f"{name}.norm_1", layer["norm_1"], x)
        q, k, v = (
            g.op("Transpose", g.op("Reshape", g.affine(f"{name}.{part}", layer[part], h), to_heads), perm=order)
            for part, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3]))
        )
        scores = g.op("Softmax", g.op("Add", g.op("Mul", g.op("MatMul", q, k), scale), blocked), axis=-1)
        mixed = g.op("Reshape", g.op("Transpose", g.op("MatMul", scores, v), perm=[0, 2, 1, 3]), to_hidden)
        x = g.op("Add", x, g.affine(f"{name}.mix", layer["mix"], mixed))
        h = g.affine(f"{name}.up", layer["up"], g.norm(f"{name}.norm_2", layer["norm_2"], x))
        gate = g.op("Sigmoid", g.op("Mul", h, g.weight("gelu", 1.702)))
        x = g.op("Add", x, g.affine(f"{name}.down", layer["down"], g.op("Mul", h, gate)))
    x = g.norm("encoder.norm", p["norm"], x)
    first = g.op("Squeeze", g.op("Slice", x, zero, g.weight("one_token", [1], np.int64), axis), axis)
    embedding = g.op("Tanh", g.affine("encoder.pooler", p["pooler"], first), output="embedding")
    for name, head in p["heads"].items():
        if name == "size":
            g.op("Squeeze", g.affine("heads.size", head, embedding), axis, output="size")
        else:
            g.affine(f"heads.{name}", head, x if name == "terms" else embedding, output=name)

    shapes = {"embedding": ["batch", HIDDEN], "size": ["batch"], "terms": ["batch", "sequence", len(TERMS)]}
    for name, of in classes.items():
        shapes.setdefault(name, ["batch", len(of)])
    tensor = helper.make_tensor_value_info
    inputs = [tensor(name, TensorProto.INT64, ["batch", "sequence"]) for name in ("input_ids", "attention_mask")]
    outputs = [tensor(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    weights = [numpy_helper.from_array(value, name) for name, value in g.weights.items()]
    model = helper.make_model(
        helper.make_graph(g.nodes, "packages", inputs, outputs, weights),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model, full_check=True)
    return model
