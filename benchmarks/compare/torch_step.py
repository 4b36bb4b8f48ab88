"""Tokens per second of one float32 training step of a GGUF's model in torch, as JSON.

    torch_step.py MODEL.gguf lora|full THREADS ROWS ROW_TOKENS STEPS

The weights are dequantised; AdamW; the adapter is peft's, of rank 8 on all linear layers but the
head. The median of STEPS steps after one that warms up.
"""
import json
import os
import statistics
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
from transformers.utils import logging


def load(path, kind):
    model = AutoModelForCausalLM.from_pretrained(
        os.path.dirname(os.path.abspath(path)), gguf_file=os.path.basename(path),
        dtype=torch.float32)
    model.config.use_cache = False
    if kind == "lora":
        model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear"))
    return model.train()


def tokens_of(rows, row_tokens, vocab):
    """The same tokens as `yiti bench`."""
    return torch.tensor([[(row * 104729 + i * 7919) % vocab for i in range(row_tokens)]
                         for row in range(rows)])


def step(model, optimizer, tokens):
    loss = model(input_ids=tokens, labels=tokens).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


def main():
    path, kind = sys.argv[1:3]
    threads, rows, row_tokens, steps = map(int, sys.argv[3:7])
    torch.set_num_threads(threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model = load(path, kind)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    tokens = tokens_of(rows, row_tokens, model.config.vocab_size)
    step(model, optimizer, tokens)
    seconds = []
    for _ in range(steps):
        begin = time.perf_counter()
        step(model, optimizer, tokens)
        seconds.append(time.perf_counter() - begin)
    print(json.dumps({f"{kind}_step_{rows}x{row_tokens}":
                      rows * row_tokens / statistics.median(seconds)}))


if __name__ == "__main__":
    main()
