"""Writes ggml_blocks.safetensors: blocks of ggml's types, and what the gguf package makes of them.

For each type that gguf dequantises: "<type>.blocks" (u8) and "<type>.values" (f32). For those that
yiti quantises: "<type>.source" (f32) and "<type>.quantised" (u8).
"""

import pathlib

import gguf
import numpy as np
from safetensors.numpy import save_file

# Where each type's binary16 scales lie in a block.
HALVES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82],
    "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0],
    "TQ1_0": [52], "TQ2_0": [64], "MXFP4": [],
}


def main():
    rng = np.random.default_rng(7)
    tensors = {}
    for name, halves in HALVES.items():
        kind = gguf.GGMLQuantizationType[name]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        count = max(2, 256 // elements)
        blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
        for at in halves:
            scales = rng.normal(0, 0.1, (count, 1)).astype(np.float16)
            blocks[:, at:at + 2] = scales.view(np.uint8)
        if name == "MXFP4":
            blocks[:, 0] = [0, 1, 2, 100, 127, 128, 130, 200][:count]
        tensors[f"{name}.blocks"] = blocks
        tensors[f"{name}.values"] = gguf.quants.dequantize(blocks, kind).astype(np.float32)
    for name in ("Q4_0", "Q4_1", "Q8_0"):
        source = rng.normal(0, 1, (8, 32)).astype(np.float32)
        source[1] = 0
        source[2] *= 1e-6
        source[3] *= 1e3
        tensors[f"{name}.source"] = source
        tensors[f"{name}.quantised"] = gguf.quants.quantize(
            source, gguf.GGMLQuantizationType[name])
    save_file(tensors, pathlib.Path(__file__).with_name("ggml_blocks.safetensors"),
              metadata={"origin": "gguf (Python)"})


if __name__ == "__main__":
    main()
