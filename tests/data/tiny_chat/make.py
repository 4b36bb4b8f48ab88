"""Makes the model in this folder: a Llama of random weights with a tokenizer and ChatML.

usage: make.py

Needs nothing but Python. Tests fine-tune it: it is small enough for a step in some milliseconds.
"""

import array
import json
import math
import pathlib
import random
import shutil

FOLDER = pathlib.Path(__file__).parent
HIDDEN, INNER, LAYERS, HEADS, KV_HEADS, HEAD_DIM, VOCAB = 32, 64, 2, 2, 1, 16, 574
CHATML = ("{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
          "{{ message['content'] }}<|im_end|>\n{% endfor %}"
          "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def shapes():
    yield "model.embed_tokens.weight", (VOCAB, HIDDEN)
    for layer in range(LAYERS):
        name = f"model.layers.{layer}."
        yield name + "input_layernorm.weight", (HIDDEN,)
        yield name + "self_attn.q_proj.weight", (HEADS * HEAD_DIM, HIDDEN)
        yield name + "self_attn.k_proj.weight", (KV_HEADS * HEAD_DIM, HIDDEN)
        yield name + "self_attn.v_proj.weight", (KV_HEADS * HEAD_DIM, HIDDEN)
        yield name + "self_attn.o_proj.weight", (HIDDEN, HEADS * HEAD_DIM)
        yield name + "post_attention_layernorm.weight", (HIDDEN,)
        yield name + "mlp.gate_proj.weight", (INNER, HIDDEN)
        yield name + "mlp.up_proj.weight", (INNER, HIDDEN)
        yield name + "mlp.down_proj.weight", (HIDDEN, INNER)
    yield "model.norm.weight", (HIDDEN,)


def values(shape, draw):
    if len(shape) == 1:
        return array.array("f", [1.0] * shape[0])
    return array.array("f", (draw.gauss(0, 0.15) for _ in range(math.prod(shape))))


def write_weights(path):
    draw, header, data = random.Random(1), {"__metadata__": {"format": "pt"}}, b""
    for name, shape in shapes():
        piece = values(shape, draw).tobytes()
        header[name] = {"dtype": "F32", "shape": list(shape),
                        "data_offsets": [len(data), len(data) + len(piece)]}
        data += piece
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def write_json(name, value):
    (FOLDER / name).write_text(json.dumps(value, indent=2) + "\n")


def main():
    write_weights(FOLDER / "model.safetensors")
    write_json("config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM,
        "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "tie_word_embeddings": True, "vocab_size": VOCAB, "eos_token_id": VOCAB - 1})
    write_json("tokenizer_config.json", {"eos_token": "<|im_end|>", "chat_template": CHATML})
    shutil.copy(FOLDER.parent / "tokenizers" / "smollm.json", FOLDER / "tokenizer.json")


if __name__ == "__main__":
    main()
