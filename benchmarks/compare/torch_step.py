"""Tokens per second of a training step of a GGUF's model in torch, as JSON.

    torch_step.py MODEL.gguf lora|full [--threads N] [--rows N] [--row-tokens N] [--steps N]
                  [--dtype float32|bfloat16] [--compile]

The weights are dequantised; AdamW; the adapter is peft's, of rank 8 on all linear layers but the
head. The median of the steps after one that warms up (and compiles); fewer where they take long.
"""
import argparse
import json
import os
import statistics
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
from transformers.utils import logging

ENOUGH_SECONDS = 60


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("kind", choices=["lora", "full"])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--row-tokens", type=int, default=256)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--compile", action="store_true")
    return parser.parse_args()


def load(options):
    model = AutoModelForCausalLM.from_pretrained(
        os.path.dirname(os.path.abspath(options.model)), gguf_file=os.path.basename(options.model),
        dtype=getattr(torch, options.dtype))
    model.config.use_cache = False
    if options.kind == "lora":
        model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear"))
    return model.train()


def tokens_of(rows, row_tokens, vocab):
    """The same tokens as `yiti bench`."""
    return torch.tensor([[(row * 104729 + i * 7919) % vocab for i in range(row_tokens)]
                         for row in range(rows)])


def seconds_of_step(forward, model, optimizer, tokens):
    begin = time.perf_counter()
    loss = forward(input_ids=tokens, labels=tokens).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return time.perf_counter() - begin


def main():
    options = arguments()
    torch.set_num_threads(options.threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model = load(options)
    forward = torch.compile(model) if options.compile else model
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    tokens = tokens_of(options.rows, options.row_tokens, model.config.vocab_size)
    seconds_of_step(forward, model, optimizer, tokens)
    seconds = []
    while len(seconds) < options.steps and sum(seconds) < ENOUGH_SECONDS:
        seconds.append(seconds_of_step(forward, model, optimizer, tokens))
    print(json.dumps({"tokens_per_second": tokens.numel() / statistics.median(seconds)}))


if __name__ == "__main__":
    main()
