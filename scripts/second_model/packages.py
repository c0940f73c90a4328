"""Real texts with real labels: Debian's package descriptions.

    packages.py APT_CONF OUT.jsonl

Reads the package lists and translations that an apt with a folder of its own has fetched
(second_model.sh) and writes one line a text: of each source package one binary package, drawn by
chance, since siblings (-dev, -doc, language packs) share most of their text; of equal texts one.
A text is the short description and the first paragraph of the long one.
"""

import json
import random
import re
import subprocess
import sys
from collections import Counter
from math import log2

LANGUAGES = ["de", "fr", "it"]
SEED = 20
SHORTEST, LONGEST = 40, 600  # characters of a text

# Not in training, nor in the reference: what new-topic streams bring.
NEW_TOPICS = ["games", "science"]
SECTIONS = 28  # the commonest; those after them are the class `other`
TAGS = 20  # the commonest debtags
# A package is a library where its name says so.
LIBRARY = re.compile(r"lib|python3-|golang-|ruby-|node-|r-|php-|elpa-|fonts?-.*dev$|gir1")

PLATFORMS = set(
    "python python3 perl c c++ java javascript ruby rust go golang haskell lisp scheme ocaml php r lua tcl "
    "erlang fortran ada pascal emacs gnu linux debian unix gtk gtk+ gnome kde qt x x11 opengl sdl wayland "
    "posix windows macos android http xml json html sql mysql postgresql sqlite apache node.js".split()
)
WORD = re.compile(r"[^\s,;:()\"'`]+")


def stanzas(file):
    text = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", file], capture_output=True, text=True, check=True)
    for stanza in text.stdout.split("\n\n"):
        fields, key = {}, None
        for line in filter(None, stanza.split("\n")):
            if line[0] in " \t":
                fields[key] += "\n" + line
            else:
                key, _, value = line.partition(":")
                fields[key] = value.strip()
        if fields:
            yield fields


def targets(conf):
    """The files of the lists, by kind and language."""
    form = "$(CREATED_BY)|$(LANGUAGE)|$(FILENAME)"
    told = subprocess.run(
        ["apt-get", "-c", conf, "indextargets", "--format", form], capture_output=True, text=True, check=True
    )
    for line in told.stdout.splitlines():
        kind, language, file = line.split("|")
        yield kind, language, file


def text_of(description):
    """Short description and first paragraph, on one line."""
    short, _, long = description.partition("\n")
    paragraph = re.split(r"\n \.\n", "\n" + long)[0]
    return re.sub(r"\s+", " ", f"{short.strip()}. {paragraph}").strip()


def terms(text, name):
    """Which characters are words of the package's name, platforms, or numbers."""
    own = {part for part in re.split(r"[-.+0-9]+", name) if len(part) >= 4}
    spans = []
    for match in WORD.finditer(text):
        word = match.group().rstrip(".!?").lower()
        if not word:
            continue
        end = match.start() + len(word)
        if word in PLATFORMS:
            spans.append([match.start(), end, "PLATFORM"])
        elif any(ch.isdigit() for ch in word):
            spans.append([match.start(), end, "NUMBER"])
        elif any(part in word for part in own):
            spans.append([match.start(), end, "NAME"])
    return spans


def tags_of(package):
    return {t for t in re.split(r",\s*", package.get("Tag", "")) if t and not t.endswith("TODO")}


def main(conf, out):
    packages, words = {}, {language: {} for language in ["en", *LANGUAGES]}
    for kind, language, file in targets(conf):
        if kind == "Packages":
            for fields in stanzas(file):
                packages.setdefault(fields["Package"], fields)
        elif kind == "Translations" and language in words:
            for fields in stanzas(file):
                description = fields.get(f"Description-{language}")
                if description:
                    words[language].setdefault(fields["Package"], text_of(description))
    sources = {}
    for name, fields in sorted(packages.items()):
        if name in words["en"] and "Installed-Size" in fields:
            sources.setdefault(fields.get("Source", name).split()[0], []).append(name)
    rng, seen, rows = random.Random(SEED), set(), []
    for source, names in sorted(sources.items()):
        name = rng.choice(names)
        text = words["en"][name][:LONGEST]
        if len(text) < SHORTEST or text in seen:
            continue
        seen.add(text)
        fields = packages[name]
        tags = tags_of(fields)
        rows.append(
            {
                "package": name,
                "text": text,
                "section": fields["Section"],
                "kind": "library" if LIBRARY.match(name) else "other",
                "tags": sorted(tags) if tags else None,
                "size": min(log2(1 + int(fields["Installed-Size"])) / 20, 1.0),
                "terms": terms(text, name),
                "others": {
                    language: words[language][name][:LONGEST]
                    for language in LANGUAGES
                    if len(words[language].get(name, "")) >= SHORTEST and words[language][name] != words["en"][name]
                },
            }
        )
    known = [r for r in rows if r["section"] not in NEW_TOPICS]
    sections = [s for s, _ in Counter(r["section"] for r in known).most_common(SECTIONS)]
    tags = [t for t, _ in Counter(t for r in known for t in r["tags"] or []).most_common(TAGS)]
    for row in rows:
        row["new"] = row["section"] in NEW_TOPICS
        row["topic"] = row["section"]
        row["section"] = row["section"] if row["section"] in sections else "other"
        row["tags"] = None if row["tags"] is None else [t for t in tags if t in row["tags"]]
    rng.shuffle(rows)
    with open(out, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(f"{len(rows)} texts, {len(rows) - len(known)} of them of {NEW_TOPICS}; {len(packages)} packages")


if __name__ == "__main__":
    main(*sys.argv[1:])
