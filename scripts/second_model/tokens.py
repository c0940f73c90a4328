"""The second model's tokenizer: byte-level BPE, lower-cased, with spaces inside the tokens and no unknown token."""

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

VOCABULARY = 4_000
MOST_TOKENS = 96
START, PAD, END = "<s>", "<pad>", "</s>"  # ids 0, 1, 2
PAD_ID = 1
TERMS = ["O", "PLATFORM", "NAME", "NUMBER"]


def learn_tokenizer(texts):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[START, PAD, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, 0), (END, 2)]
    )
    tokenizer.no_padding()
    tokenizer.enable_truncation(MOST_TOKENS)
    return tokenizer


def label_tokens(encoding, text, spans):
    """The class of each token that is not a special one."""
    labels = []
    for (start, end), special in zip(encoding.offsets, encoding.special_tokens_mask):
        if special:
            continue
        while start < end and text[start].isspace():
            start += 1
        label = next((name for a, b, name in spans if start < b and end > a and start < end), "O")
        labels.append(TERMS.index(label))
    return labels


def padded(rows, width, value):
    out = np.full((len(rows), width), value, np.int64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out
