"""Writes golden.jsonl: texts with the answers of the exported model, to be given again by whoever loads it.

The answers come from model.onnx and tokenizer.json through Python's libraries, and not from driftd: so the set
also tells where driftd's own way from a text to an answer is another one. Texts are made by

    driftd simulate -m manifest.yaml -n 32 --seed 7 --inputs-only -o plain.jsonl
    driftd simulate -m manifest.yaml -n 8 --seed 8 --inputs-only --drift language_mix:0.5 -o mixed.jsonl
    driftd simulate -m manifest.yaml -n 6 --seed 9 --inputs-only --drift typos:1 -o typos.jsonl
    python golden.py plain.jsonl mixed.jsonl typos.jsonl
"""

import base64
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import yaml
from tokenizers import Tokenizer

HERE = Path(__file__).resolve().parent
# Where tokenizers differ first: case, accents, letters outside the vocabulary, a text that is cut, an empty one.
EDGES = [
    "REFUND my Order NOW, please!",
    "Où est ma commande? Größe paßt nicht… naïve café",
    "注文がまだ届きません 🙁 order 4711",
    "the kettle does not work and " * 12 + "i want my money back",
    "",
]


def softmax(logits, temperature):
    scaled = np.exp((logits - logits.max(-1, keepdims=True)) / temperature)
    return scaled / scaled.sum(-1, keepdims=True)


def rounded(values):
    return [round(float(value), 5) for value in values]


def answer(task, logits, special):
    classes, temperature = task.get("classes"), task.get("temperature", 1.0)
    match task["kind"]:
        case "regression":
            return {"kind": task["kind"], "value": round(float(logits.reshape(-1)[0]), 5)}
        case "multilabel":
            scores = 1.0 / (1.0 + np.exp(-logits / temperature))
            labels = [name for name, p in zip(classes, scores) if p >= task["threshold"]]
            return {"kind": task["kind"], "labels": labels, "scores": rounded(scores)}
        case "token_labels":
            scores = softmax(logits, temperature)[~special]
            labels = [classes[i] for i in scores.argmax(-1)]
            return {"kind": task["kind"], "labels": labels, "scores": rounded(scores.max(-1))}
        case kind:
            scores = softmax(logits, temperature)
            return {"kind": kind, "label": classes[scores.argmax()], "scores": rounded(scores)}


def main():
    manifest = yaml.safe_load((HERE / "manifest.yaml").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_file(str(HERE / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(manifest["tokenizer"]["max_tokens"])
    session = ort.InferenceSession(str(HERE / "model.onnx"), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    lines = [line for file in sys.argv[1:] for line in Path(file).read_text(encoding="utf-8").splitlines()]
    texts = [json.loads(line)["input"]["text"] for line in lines] + EDGES
    with (HERE / "golden.jsonl").open("w", encoding="utf-8") as out:
        for number, text in enumerate(texts, 1):
            encoded = tokenizer.encode(text)
            ids, special = np.array([encoded.ids]), np.array(encoded.special_tokens_mask, bool)
            run = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
            outputs = {name: value[0] for name, value in zip(names, run)}
            embedding = outputs[manifest["embedding"]["output"]].astype("<f2").tobytes()
            # The version is the manifest's, which names this file.
            record = {
                "schema": "prediction/v1",
                "prediction_id": f"golden-{number}",
                "model": {"name": manifest["model"]["name"]},
                "timestamp": "2026-11-22T00:00:00Z",
                "input": {"text": text},
                "embedding": {"dtype": "f16", "data_b64": base64.b64encode(embedding).decode()},
                "outputs": {t["name"]: answer(t, outputs[t["output"]], special) for t in manifest["tasks"]},
            }
            out.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"{len(texts)} texts in golden.jsonl")


if __name__ == "__main__":
    main()
