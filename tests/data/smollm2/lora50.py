#!/usr/bin/env python3
"""Writes lora50.json: fifty LoRA steps by peft on the weights that transformers dequantises from
SmolLM2-135M-Instruct (Q4_1), in float32 on examples/data/yiti-qa. A step is the mean loss over the
trained tokens of the next CHATS chats in the file's order, round and round.

    YITI_SMOLLM2=path/to/SmolLM2-135M-Instruct.Q4_1.gguf python3 lora50.py
"""

import json
import os
import pathlib

import numpy as np
import peft
import torch
import transformers

FOLDER = pathlib.Path(__file__).parent
DATA = FOLDER.parents[2] / "examples/data/yiti-qa"
STEPS, CHATS, RANK, ALPHA, LR = 50, 4, 8, 16, 1e-3
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def initial_a(layer, width):
    """Uniform in ±1 / sqrt(width): murmur3's finaliser of an element's number, so that any
    language has the same bits. `layer` counts the sorted paths of the adapted layers."""
    h = np.arange(RANK * width, dtype=np.uint32) + np.uint32(layer << 16)
    h = (h ^ (h >> 16)) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> 13)) * np.uint32(0xC2B2AE35)
    h ^= h >> 16
    values = (h / 2.0**31 - 1) / np.sqrt(float(width))
    return torch.tensor(values.reshape(RANK, width), dtype=torch.float32)


def adapted(base):
    model = peft.get_peft_model(base, peft.LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=0,
                                                      target_modules=LINEAR))
    layers = {n: m for n, m in model.named_modules() if isinstance(m, peft.tuners.lora.LoraLayer)}
    for i, name in enumerate(sorted(layers)):
        weight = layers[name].lora_A["default"].weight
        weight.data = initial_a(i, weight.shape[1])
    return model


def read_chats(name, tokenizer):
    """Each chat's ids, and the range of them that the loss counts: the reply and its end of turn,
    without the line end after it."""
    def encode(messages, **options):
        text = tokenizer.apply_chat_template(messages, tokenize=False, **options)
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    chats = []
    for line in (DATA / name).read_text(encoding="utf-8").splitlines():
        question, answer = json.loads(line)["messages"]
        prompt = encode([question], add_generation_prompt=True)
        ids = encode([question, answer])
        assert ids[:len(prompt)] == prompt
        chats.append((ids, len(prompt), len(ids) - 1))
    return chats


def trained_tokens(chats):
    return sum(end - begin for _, begin, end in chats)


def summed_loss(model, chat):
    ids, begin, end = chat
    logits = model(torch.tensor([ids])).logits[0, begin - 1:end - 1]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(ids[begin:end]), reduction="sum")


@torch.no_grad()
def mean_loss(model, chats):
    return sum(summed_loss(model, chat).item() for chat in chats) / trained_tokens(chats)


def main():
    torch.set_num_threads(2)
    path = pathlib.Path(os.environ["YITI_SMOLLM2"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    model = adapted(transformers.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32))
    train, held_out = (read_chats(f"{part}.jsonl", tokenizer) for part in ("train", "heldout"))
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=LR, weight_decay=0)

    result = {
        "oracle": f"peft {peft.__version__} transformers {transformers.__version__} "
                  f"torch {torch.__version__} float32 on dequantised Q4_1 weights",
        "rank": RANK, "alpha": ALPHA, "lr": LR, "chats_per_step": CHATS,
        "trained_tokens": [], "losses": [],
        "held_out_tokens": trained_tokens(held_out),
        "held_out_before": mean_loss(model, held_out),
    }
    for step in range(STEPS):
        chats = [train[i % len(train)] for i in range(step * CHATS, (step + 1) * CHATS)]
        count, total = trained_tokens(chats), 0.0
        optimizer.zero_grad()
        for chat in chats:
            loss = summed_loss(model, chat)
            (loss / count).backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        result["trained_tokens"].append(count)
        result["losses"].append(round(total / count, 6))
        print(step + 1, result["losses"][-1], flush=True)
    result["held_out_after"] = mean_loss(model, held_out)
    print(result["held_out_before"], result["held_out_after"])
    lines = ",\n".join(f'"{key}": {json.dumps(value)}' for key, value in result.items())
    (FOLDER / "lora50.json").write_text(f"{{{lines}}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
