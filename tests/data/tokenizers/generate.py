#!/usr/bin/env python3
"""Trains small byte-level BPE tokenizers with Hugging Face tokenizers and writes their ids of
awkward strings, which yiti's tests expect. Run in this folder: python3 generate.py
"""

import json
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers
from tokenizers import pre_tokenizers as pre
from tokenizers import processors, trainers

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")

TEXT = """
One engine trains and serves the same model. We don't copy weights; they're shared, and I'll say it's
the same bits that you've loaded. It'd be odd if the trainer and the session didn't agree, I'm sure.
def f(x):
    return x ** 2 + 10  # square\n\n\nclass Session:\n\tdef step(self, tokens=128): pass
The year 2026, 3.14159, 1,000,000 and 0xFF. 训推一体:同一个张量内核同时支撑训练与推理。训练与推理一体。
日本語のテキスト、カタカナ。한국어 문장입니다. Привет, мир! Привет! naïve café résumé Straße.
\U0001F642 \U0001F642 emoji \U0001F468\u200d\U0001F469\u200d\U0001F467    spaces     runs  THE ENGINE
""" * 3

STRINGS = [
    "", " ", "  ", "\n", "\r\n\r\n", "a", "Hello world", "Hello, world!", "  two  spaces  ",
    "tab\tand\nnewline\r\n", "don't can't I'LL we've YOU'RE 'S 'T ''s 's", "It's the engine's",
    "3.14159 and 1234567890", "1 12 123 1234 12345", "2026-11-24T01:52:00Z",
    "def f(x):\n    return x**2  # square\n", "naïve café résumé Straße",
    "训推一体:同一个张量内核同时支撑训练与推理。", "日本語のテキスト、カタカナ", "한국어 문장입니다",
    "Привет, мир!", "مرحبا بالعالم", "שלום עולם", "हिन्दी में", "ไทยไม่มีช่องว่าง",
    "\U0001F642\U0001F468\u200d\U0001F469\u200d\U0001F467\U0001F1E8\U0001F1F3 emoji",
    "a\u0301 combining e\u0301 n\u0303\u0323 q\u0307\u0323", "\u1112\u1161\u11ab \u1100\u1161",
    "\u212b \u2126 \u0958 \u2adc \u0344", "\u200bzero\u200dwidth\u00a0nbsp\u3000wide\u2028line",
    "\x85next\x0bvt\x0cff\x1cfs\x1dgs", "\u180emongolian \ufeffbom", "\x00nul\x01\x02\x7f",
    "https://example.com/a?b=c&d=%20e#f", '{"a": [1, 2.5e-3, null, true]}',
    "    leading\n\n\n   trailing   ", " \n \n  x", "x" * 70, " " * 40 + "x", "\n" * 20 + " x",
    "CamelCaseHTTPServer2", "½ ² ₃ Ⅳ ① ٣ ३", "$5 €6 £7 ¥8", "_snake_case__", "end.",
    "<s>special</s> <|im_start|>user\nhi<|im_end|>\n", "<|im_end|><|im_end|><|im", "\u017f'\u017f",
    "a <mask> b<mask>c", "say <word> not x<word>y but <word>.", "caf<é>caf<e\u0301>", "<tool> <tool>",
]


def save(name, tok, config=None, strings=STRINGS):
    with open(f"{name}.json", "w", encoding="utf-8") as f:
        json.dump(json.loads(tok.to_str()), f, ensure_ascii=False, separators=(",", ":"))
    cases = []
    for s in strings:
        cases.append({"text": s, "ids": tok.encode(s, add_special_tokens=False).ids,
                      "special": tok.encode(s).ids,
                      "decoded": tok.decode(tok.encode(s).ids)})
    with open(f"{name}.cases.json", "w", encoding="utf-8") as f:
        json.dump(cases, f, ensure_ascii=False, indent=0)


def train(pre_tokenizer, size, normalizer=None, ignore_merges=False):
    tok = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer is not None:
        tok.normalizer = normalizer
    tok.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False,
                                  initial_alphabet=pre.ByteLevel.alphabet(), min_frequency=2)
    tok.train_from_iterator([TEXT], trainer)
    tok.decoder = __import__("tokenizers").decoders.ByteLevel()
    return tok


def special(*names):
    return [AddedToken(n, special=True, normalized=False) for n in names]


def split(pattern, behavior="isolated", invert=False):
    return pre.Split(Regex(pattern), behavior, invert)


def main():
    bytes_only = pre.ByteLevel(add_prefix_space=False, use_regex=False)

    tok = train(pre.ByteLevel(add_prefix_space=False), 640)
    tok.add_special_tokens(special("<|im_start|>", "<|im_end|>"))
    tok.post_processor = processors.ByteLevel(trim_offsets=False)
    save("gpt2", tok)

    tok = train(pre.Sequence([pre.Digits(True), pre.ByteLevel(add_prefix_space=False)]), 640)
    tok.add_special_tokens(special("<|im_start|>", "<|im_end|>"))
    save("smollm", tok)

    tok = train(pre.Sequence([split(LLAMA3), bytes_only]), 640, ignore_merges=True)
    tok.add_special_tokens(special("<s>", "</s>", "<|im_start|>", "<|im_end|>"))
    tok.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", tok.token_to_id("<s>"))]),
    ])
    save("llama3", tok)

    tok = train(pre.Sequence([split(QWEN2), bytes_only]), 640, normalizers.NFC())
    tok.add_special_tokens(special("<|im_start|>", "<|im_end|>"))
    tok.add_tokens([AddedToken("<tool>", normalized=False)])
    save("qwen2", tok)

    tok = train(pre.Sequence([split(r"\s", "merged_with_next"), split(r"[A-Z]", "merged_with_previous"),
                              split(r"\p{P}", "contiguous"), split("=", "removed"), bytes_only]),
                520, normalizers.Sequence([normalizers.NFC()]))
    tok.add_special_tokens([AddedToken("<mask>", special=True, lstrip=True, rstrip=True, normalized=False),
                            AddedToken("<s>", special=True), AddedToken("</s>", special=True)])
    tok.add_tokens([AddedToken("<word>", single_word=True), AddedToken("<é>", normalized=True),
                    AddedToken("<tool>", rstrip=True), AddedToken("<tool> <tool>")])
    ids = [(t, tok.token_to_id(t)) for t in ("<s>", "</s>")]
    tok.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ids)
    save("odd", tok)

    tok = train(pre.ByteLevel(add_prefix_space=True), 400)
    tok.add_special_tokens(special("<|im_end|>"))
    save("prefix_space", tok)

    lines = []
    for a in range(0x80, 0x30000):
        c = chr(a)
        if 0xD800 <= a < 0xE000 or unicodedata.category(c) == "Cn":
            continue
        if unicodedata.normalize("NFC", c) != c or unicodedata.combining(c):
            lines.append(c)
    mixed = []
    for i in range(0, len(lines), 3):
        mixed.append("e" + lines[i] + lines[(i * 7) % len(lines)] + "\u0323" + lines[(i * 5) % len(lines)])
    with open("nfc.json", "w", encoding="utf-8") as f:
        json.dump([[s, unicodedata.normalize("NFC", s)] for s in mixed], f, ensure_ascii=True,
                  separators=(",", ":"))


if __name__ == "__main__":
    main()
