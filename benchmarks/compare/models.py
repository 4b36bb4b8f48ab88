"""Makes the files that are compared from one GGUF, once, and describes them all as JSON.

    models.py MODEL.Q4_1.gguf FOLDER

The matrices of MODEL are dequantised, then written to FOLDER as Q4_0, Q8_0, bf16 and f32; norms are
f32, and an embedding beside 4-bit weights is Q8_0, as in MODEL. All metadata is kept.
"""
import json
import os
import sys

from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, LlamaFileType
from gguf.quants import dequantize, quantize

TYPES = {"q4_0": LlamaFileType.MOSTLY_Q4_0, "q8_0": LlamaFileType.MOSTLY_Q8_0,
         "bf16": LlamaFileType.MOSTLY_BF16, "f32": LlamaFileType.ALL_F32}
# The writer adds these itself.
OWN_KEYS = {"general.architecture", "general.file_type"}


def target_type(tensor, name):
    if tensor.name.endswith("norm.weight") or tensor.name.endswith(".bias"):
        return GGMLQuantizationType.F32
    if tensor.name == "token_embd.weight" and name == "q4_0":
        return GGMLQuantizationType.Q8_0
    return GGMLQuantizationType[name.upper()]


def convert(reader, name, path):
    writer = GGUFWriter(path + ".part", reader.get_field("general.architecture").contents())
    writer.add_file_type(TYPES[name])
    for field in reader.fields.values():
        if field.name not in OWN_KEYS and not field.name.startswith("GGUF."):
            sub_type = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(field.name, field.contents(), field.types[0], sub_type)
    for tensor in reader.tensors:
        kind = target_type(tensor, name)
        values = dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(path + ".part", path)


def describe(path, dtype):
    reader = GGUFReader(path)
    architecture = reader.get_field("general.architecture").contents()

    def number(key):
        return int(reader.get_field(f"{architecture}.{key}").contents())
    heads, width = number("attention.head_count"), number("embedding_length")
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    unread = {"token_embd.weight"} if "output.weight" in tensors else set()
    return {"path": path, "shape": {
        "layers": number("block_count"), "width": width, "hidden": number("feed_forward_length"),
        "heads": heads, "kv_heads": number("attention.head_count_kv"), "head_dim": width // heads,
        "vocabulary": int(tensors["token_embd.weight"].shape[1]),
        "weight_bytes": sum(int(t.n_bytes) for n, t in tensors.items() if n not in unread),
        "dtype": dtype}}


def main():
    source, folder = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    stem = os.path.basename(source).removesuffix(".gguf").removesuffix(".Q4_1")
    models = {"q4_1": describe(source, "int8")}
    for name in TYPES:
        path = os.path.join(folder, f"{stem}.{name.upper()}.gguf")
        if not os.path.exists(path):
            print(f"making {path}", file=sys.stderr)
            convert(GGUFReader(source), name, path)
        models[name] = describe(path, "int8" if name.startswith("q") else name)
    print(json.dumps(models))


if __name__ == "__main__":
    main()
