"""What torch does on this machine's GPU, or on the CPU where there is none, as JSON.

    cuda_peer.py has_gpu                        whether torch finds a GPU, and which
    cuda_peer.py product N                      TFLOP/s of a bf16 product of N x N x N
    cuda_peer.py bandwidth                      GB/s of reading memory
    cuda_peer.py model SHAPE FOLDER             makes a Llama with random bf16 weights, once
    cuda_peer.py lora FOLDER ROWS ROW_TOKENS    tokens per second of a step with peft, in bf16
"""
import json
import os
import statistics
import sys
import time

import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SHAPES = {
    "trial": dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2,
                  num_attention_heads=4, num_key_value_heads=2, vocab_size=256),
    "1b": dict(hidden_size=2048, intermediate_size=8192, num_hidden_layers=16,
               num_attention_heads=32, num_key_value_heads=8, vocab_size=128256),
    "3b": dict(hidden_size=3072, intermediate_size=8192, num_hidden_layers=28,
               num_attention_heads=24, num_key_value_heads=8, vocab_size=128256),
    "8b": dict(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32,
               num_attention_heads=32, num_key_value_heads=8, vocab_size=128256),
}


def wait():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def best_seconds(call, at_least=1.0):
    """Of one call, in runs of some milliseconds."""
    def timed(times):
        wait()
        begin = time.perf_counter()
        for _ in range(times):
            call()
        wait()
        return time.perf_counter() - begin
    timed(2)
    times = max(1, int(0.02 / timed(1)))
    best, spent = float("inf"), 0.0
    while spent < at_least:
        taken = timed(times)
        best, spent = min(best, taken / times), spent + taken
    return best


def has_gpu():
    there = torch.cuda.is_available()
    return {"has_gpu": there, "name": torch.cuda.get_device_name() if there else "",
            "torch": torch.__version__, "cuda": torch.version.cuda}


def product(size):
    size = int(size)
    x = torch.randn(size, size, dtype=torch.bfloat16, device=DEVICE)
    weight = torch.randn(size, size, dtype=torch.bfloat16, device=DEVICE)
    seconds = best_seconds(lambda: torch.nn.functional.linear(x, weight))
    return {"tflops": 2 * size ** 3 / seconds * 1e-12}


def bandwidth():
    """Of a sum over more than caches hold."""
    x = torch.ones((1 << 30) if DEVICE == "cuda" else (1 << 26), dtype=torch.float32, device=DEVICE)
    return {"gb_per_s": x.numel() * 4 / best_seconds(x.sum) * 1e-9}


def model(shape, folder):
    from transformers import LlamaConfig, LlamaForCausalLM
    config = LlamaConfig(**SHAPES[shape], max_position_embeddings=8192, tie_word_embeddings=False,
                         rope_theta=500000.0, bos_token_id=1, eos_token_id=2)
    if not os.path.exists(os.path.join(folder, "config.json")):
        torch.manual_seed(1)
        torch.set_default_dtype(torch.bfloat16)
        LlamaForCausalLM(config).save_pretrained(folder)
    embedding = config.vocab_size * config.hidden_size
    head_dim = config.hidden_size // config.num_attention_heads
    layer = config.hidden_size * (
        2 * config.hidden_size + 2 * config.num_key_value_heads * head_dim
        + 3 * config.intermediate_size)
    # Of one token: all weights but the embedding's, and the head's only for the last one.
    return {"path": folder, "weight_bytes": 2 * (config.num_hidden_layers * layer + embedding),
            "operations_per_token": 2 * config.num_hidden_layers * layer}


def lora(folder, rows, row_tokens):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from torch_step import seconds_of_step, tokens_of
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).to(DEVICE)
    base.config.use_cache = False
    adapted = get_peft_model(base, LoraConfig(r=8, lora_alpha=16,
                                              target_modules="all-linear")).train()
    trained = [p for p in adapted.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    tokens = tokens_of(int(rows), int(row_tokens), base.config.vocab_size).to(DEVICE)

    def step():
        wait()
        begin = time.perf_counter()
        seconds_of_step(adapted, adapted, optimizer, tokens)
        wait()
        return time.perf_counter() - begin
    step()
    return {"tokens_per_second": tokens.numel() / statistics.median(step() for _ in range(5))}


def main():
    commands = {f.__name__: f for f in (has_gpu, product, bandwidth, model, lora)}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    print(json.dumps(commands[sys.argv[1]](*sys.argv[2:])))


if __name__ == "__main__":
    main()
