"""Streams of the second model's held-out texts: quiet ones, and ones in which one thing goes wrong.

Each is drawn without replacement from texts that neither the model nor the reference has seen. A *split* parts the
held-out texts anew into those of the reference and the pool of the streams.
"""

import json
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

from tokenizers import Tokenizer

from tokens import TERMS, label_tokens

REFERENCE = 6_000  # records; some 10,000 remain for the streams of a split
CHANNELS = {"web": 0.5, "mail": 0.3, "partner": 0.2}
INCIDENT = "partner"
CLASS = "ruby"  # whose share shifts; 4 % of the texts
BETWEEN = timedelta(seconds=20)
BEGINNING = datetime(2026, 3, 1, tzinfo=timezone.utc)
LABEL_DELAY = 3_600.0  # seconds, mean
SWAPPED = {"perl": "python", "python": "perl"}  # what these sections are called from the onset on
GROWTH = 0.1  # of the size's labels: packages four times as large


@dataclass
class Row:
    """What goes wrong, and what is to be said of it."""

    name: str
    right: set  # any of these, alone or together
    beside: str = "nothing"  # what stands beside production's answers: nothing, inference, labels; or instead: own
    allowed: set = field(default_factory=set)  # may stand beside a right one
    variant: str = "clean"  # of the drifted records' bodies
    new: tuple = ()  # (topic, share)
    times: float = 1.0  # of the class's share
    foreign: float = 0.0  # share in another language
    channel: bool = False  # only that channel's records
    concept: str = ""  # the task whose labels change

    @property
    def quiet(self):
        return self.name.startswith("nothing")

    @property
    def must_alarm(self):
        return "nothing" not in self.right and "harmless skew" not in self.right


def rows():
    nothing, shared = {"nothing"}, {"input", "encoder"}
    priors = {f"prior_shift {task}" for task in ("kind", "tags", "terms")}
    out = [
        Row("nothing", nothing),
        Row("nothing, compared", nothing, "inference"),
        Row("nothing, with labels", nothing, "labels"),
        Row("nothing, own inference", nothing, "own"),
        Row("broken multiclass head", {"head section"}, variant="section_permuted"),
        Row("broken multi-label head", {"head tags"}, variant="tags_permuted"),
        Row("broken token head", {"head terms"}, variant="terms_permuted"),
        Row("regression head offset", {"head size"}, variant="size_offset"),
        Row("broken tokenizer", {"encoder"}, variant="tokenizer"),
        Row("int8 roll-out", nothing, variant="int8"),
        Row("broken multiclass head, compared", {"skew section"}, "inference", variant="section_permuted"),
        Row("broken multi-label head, compared", {"skew tags"}, "inference", variant="tags_permuted"),
        Row("broken token head, compared", {"skew terms"}, "inference", variant="terms_permuted"),
        Row("regression head offset, compared", {"skew size"}, "inference", variant="size_offset"),
        Row("broken tokenizer, compared", {"skew encoder"}, "inference", variant="tokenizer"),
        Row("int8 roll-out, compared", {"harmless skew"}, "inference", variant="int8"),
        Row("prior shift x2", {"prior_shift section"}, allowed=priors, times=2.0),
        Row("prior shift x4", {"prior_shift section"}, allowed=priors, times=4.0),
    ]
    for topic in ("games", "science"):
        out += [Row(f"new topic {topic} {share:.0%}", shared, new=(topic, share)) for share in (0.05, 0.15, 0.4)]
    out += [
        Row("typos", shared, variant="typos"),
        Row("truncated texts", shared, variant="truncated"),
        Row("language mix 30 %", shared, foreign=0.3),
        Row("one channel: class x6", {"segment"}, times=6.0, channel=True),
        Row("one channel: truncated", {"segment"}, variant="truncated", channel=True),
        Row("concept drift, with labels", {"concept section"}, "labels", concept="section"),
        Row("concept drift of values, with labels", {"concept size"}, "labels", concept="size"),
        Row("concept drift, no labels", nothing, concept="section"),
        Row("new topic games 40%, own inference", shared, "own", new=("games", 0.4)),
        Row("typos, own inference", shared, "own", variant="typos"),
        Row("truncated texts, own inference", shared, "own", variant="truncated"),
        Row("language mix 30 %, own inference", shared, "own", foreign=0.3),
        Row("prior shift x4, own inference", {"prior_shift section"}, "own", allowed=priors, times=4.0),
    ]
    return out


class World:
    def __init__(self, model):
        self.model = Path(model)
        self.texts = [json.loads(line) for line in (self.model / "held_out.jsonl").open(encoding="utf-8")]
        self.bank = {}
        self.tokenizer = Tokenizer.from_file(str(self.model / "tokenizer.json"))

    def lines(self, variant):
        if variant not in self.bank:
            file = self.model / "bank" / f"{variant}.jsonl"
            self.bank[variant] = file.read_text(encoding="utf-8").splitlines()
        return self.bank[variant]

    def split(self, seed):
        """The texts of the reference, and the pool."""
        known = [i for i, text in enumerate(self.texts) if not text["new"]]
        random.Random(seed).shuffle(known)
        return known[:REFERENCE], known[REFERENCE:]

    def draw(self, row, pool, quiet, drifting, rng):
        """(text, variant, channel) of each record of a stream."""
        pool = pool[:]
        rng.shuffle(pool)
        clean = "own" if row.beside == "own" else "clean"

        def channel():
            return rng.choices(list(CHANNELS), CHANNELS.values())[0]

        items = [(pool.pop(), clean, channel()) for _ in range(quiet)]
        topic, share = row.new or (None, 0.0)
        new = [i for i, text in enumerate(self.texts) if text["new"] and text["topic"] == topic]
        rng.shuffle(new)
        foreign = [i for i in pool if self.lines("foreign")[i] != "null"] if row.foreign else []
        parts = {True: [], False: []}
        for i in pool:
            parts[self.texts[i]["section"] == CLASS].append(i)
        natural = len(parts[True]) / len(pool)
        used = set()

        def take(of):
            while (text := of.pop()) in used:
                pass
            used.add(text)
            return text

        for _ in range(drifting):
            where = channel()
            hit = not row.channel or where == INCIDENT
            variant = row.variant if hit else "clean"
            if rng.random() < share:
                text = new.pop()
            elif rng.random() < row.foreign:
                text, variant = take(foreign), "foreign"
            elif row.times > 1:
                text = take(parts[rng.random() < natural * (row.times if hit else 1.0)])
            else:
                text = take(pool)
            if variant == "clean":
                variant = clean
            elif row.beside == "own":
                variant = f"own_{variant}"
            items.append((text, variant, where))
        return items

    def write(self, items, file, between=BETWEEN):
        with open(file, "w", encoding="utf-8") as out:
            for number, (text, variant, channel) in enumerate(items):
                head = {
                    "schema": "prediction/v1",
                    "prediction_id": f"p{number}",
                    "timestamp": time(number, between=between),
                    "model": {"name": "packages", "version": "1"},
                    "tags": {"channel": channel},
                }
                out.write(json.dumps(head)[:-1] + ", " + self.lines(variant)[text][1:] + "\n")

    def write_labels(self, items, file, rng, concept="", onset=0):
        """Every label there is, some time after its record."""
        with open(file, "w", encoding="utf-8") as out:
            for number, (index, _, _) in enumerate(items):
                text = self.texts[index]
                section, size = text["section"], text["size"]
                if concept == "section" and number >= onset:
                    section = SWAPPED.get(section, section)
                if concept == "size" and number >= onset:
                    size = size + GROWTH
                labels = [("section", "label", section), ("kind", "label", text["kind"]), ("size", "value", size)]
                if text["tags"] is not None:
                    labels.append(("tags", "labels", text["tags"]))
                encoding = self.tokenizer.encode(text["text"])
                tokens = label_tokens(encoding, text["text"], text["terms"])
                labels.append(("terms", "labels", [TERMS[i] for i in tokens]))
                for task, form, value in labels:
                    label = {
                        "schema": "label/v1",
                        "prediction_id": f"p{number}",
                        "task": task,
                        form: value,
                        "labeled_at": time(number, rng.expovariate(1 / LABEL_DELAY)),
                    }
                    out.write(json.dumps(label) + "\n")


def time(number, later=0.0, between=BETWEEN):
    at = BEGINNING + number * between + timedelta(seconds=later)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
