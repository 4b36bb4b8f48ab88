"""The work that yiti and its peers are compared at, and the bars that yiti is to reach."""
import json
from dataclasses import dataclass, replace
from typing import Optional

from measuring import Run, yiti_bench
from tools import machine

ROWS, ROW_TOKENS = 4, 256
FIRST_PROMPT = "What is the capital of"  # 5 tokens
FIRST_CONTEXT = 512
MEMORY_DEPTH = 2048
# The share of the limit that meets a bar, too.
ENOUGH = {"read": 0.80, "arithmetic": 0.65}


@dataclass(frozen=True)
class Bar:
    """yiti's quantity is to be `times` the peer's: at least for speeds, at most for times and
    memory."""
    peer: str
    times: float
    quantity: str = "value"  # or "peak_rss_bytes"


@dataclass(frozen=True)
class Measure:
    name: str
    title: str
    unit: str  # of the value
    sides: dict  # name -> Run; yiti's first
    bars: tuple
    work: Optional[object] = None  # Shape -> Work
    model: str = "q4_1"

    def runs(self):
        """The sides; yiti's has the limits beside it where a share of them is wanted."""
        return {side: replace(one, limits=side == "yiti" and self.work is not None)
                for side, one in self.sides.items()}


def llama_bench(model, prompt=0, generate=0, depth=0):
    return Run(lambda tools: [tools.llama("llama-bench"), "-m", tools.model(model), "-t",
                              tools.threads, "-r", 1, "-p", prompt, "-n", generate, "-d", depth,
                              "-o", "json"],
               lambda ran: ran.json()[0]["avg_ts"])


def llama_batch(model, batch, prompt, generate):
    def speed(ran):
        (line,) = [x for x in ran.output.splitlines() if x.startswith("{")]
        return json.loads(line)["speed_tg"]
    return Run(lambda tools: [tools.llama("llama-batched-bench"), "-m", tools.model(model), "-t",
                              tools.threads, "-npp", prompt, "-ntg", generate, "-npl", batch, "-c",
                              batch * (prompt + generate), "--output-format", "jsonl"], speed)


def torch_step(kind, *options):
    return Run(lambda tools: [tools.python, tools.script("torch_step.py"), tools.model("q4_1"), kind,
                              "--threads", tools.threads, "--rows", ROWS, "--row-tokens",
                              ROW_TOKENS, *options],
               lambda ran: ran.json()["tokens_per_second"])


def with_peak_memory(one):
    """The same run, with the peak of resident memory in MB as its value."""
    return Run(one.command, lambda ran: ran.peak_rss_bytes / 1e6)


def seconds_of(command):
    """Of a process whose files are in the page cache, and whose memory the system has at hand."""
    return Run(command, lambda ran: ran.seconds, warm_ups=2)


def prefill(model, tokens, bars, others=None):
    return Measure(
        f"prefill_{tokens}.{model}", f"prefill {tokens:,}, {title(model)}", "tok/s",
        {"yiti": yiti_bench(model, f"prefill_{tokens}", prefill=tokens),
         "llama.cpp": llama_bench(model, prompt=tokens), **(others or {})},
        bars, lambda shape: shape.prefill(tokens), model)


def decode(model, times):
    return Measure(
        f"decode_128.{model}", f"decode, {title(model)}", "tok/s",
        {"yiti": yiti_bench(model, "decode_128", decode=128),
         "llama.cpp": llama_bench(model, generate=128)},
        (Bar("llama.cpp", times),), lambda shape: shape.decode(0, 128), model)


def digits(name, words):
    key = f"{name}_us"
    return Measure(
        f"session.{name}", f"{words}, one picture", "µs",
        {"yiti": Run(lambda tools: [tools.built("benchmarks/digits_benchmark"), tools.threads],
                     lambda ran: ran.json()[key]),
         "ONNX Runtime": Run(lambda tools: [tools.python, tools.script("onnx_digits.py"), name,
                                            tools.threads],
                             lambda ran: ran.json()[key])},
        (Bar("ONNX Runtime", 1.0),))


def title(model):
    return model.upper() if model.startswith("q") else model


def training(kind, words, peers, bars, work):
    key = f"{kind}_step_{ROWS}x{ROW_TOKENS}"
    return Measure(
        f"{kind}_step", f"{words}, {ROWS} × {ROW_TOKENS}", "tok/s",
        {"yiti": yiti_bench("q4_1", key, rows=ROWS, row_tokens=ROW_TOKENS, **{kind: True}), **peers},
        bars, work)


def lora_peers():
    """Without bfloat16 instructions a step in bfloat16 takes minutes: nobody would train so."""
    peers = {"peft f32": torch_step("lora")}
    if "avx512_bf16" in machine()["features"]:
        peers["peft bf16"] = torch_step("lora", "--dtype", "bfloat16")
    return peers


LORA_PEERS = lora_peers()
MEASURES = [
    prefill("q4_1", 512, (Bar("llama.cpp", 5.0), Bar("llama.cpp Q4_0", 2.0)),
            {"llama.cpp Q4_0": llama_bench("q4_0", prompt=512)}),
    decode("q4_1", 2.5),
    Measure("decode_batch_16.q4_1", "decode, batch 16, Q4_1", "tok/s",
            {"yiti": yiti_bench("q4_1", "decode_64_batch_16_depth_16", decode=64, batch=16,
                                depth=16),
             "llama.cpp": llama_batch("q4_1", 16, 16, 64)},
            (Bar("llama.cpp", 8.0),), lambda shape: shape.decode(16, 64, 16)),
    *(measure for model in ("q8_0", "q4_0", "bf16", "f32")
      for measure in (prefill(model, 512, (Bar("llama.cpp", 1.5),)), decode(model, 1.3))),
    prefill("q4_1", 8192, (Bar("llama.cpp", 4.0),)),
    Measure("decode_depth_7000.q4_1", "decode at depth 7,000, Q4_1", "tok/s",
            {"yiti": yiti_bench("q4_1", "decode_32_depth_7000", decode=32, depth=7000),
             "llama.cpp": llama_bench("q4_1", generate=32, depth=7000)},
            (Bar("llama.cpp", 6.0),), lambda shape: shape.decode(7000, 32)),
    training("full", "full fine-tune, f32",
             {"torch eager": torch_step("full"), "torch compiled": torch_step("full", "--compile")},
             (Bar("torch eager", 1.5), Bar("torch compiled", 1.2),
              Bar("torch eager", 0.7, "peak_rss_bytes")),
             lambda shape: shape.full_step(ROWS, ROW_TOKENS)),
    training("lora", "LoRA r=8, Q4_1", LORA_PEERS,
             (*(Bar(peer, 2.0) for peer in LORA_PEERS), Bar("peft f32", 0.25, "peak_rss_bytes")),
             lambda shape: shape.lora_step(ROWS, ROW_TOKENS)),
    Measure("first_token.q4_1", "load to first token, Q4_1", "s",
            {"yiti": seconds_of(lambda tools: [
                tools.yiti, "run", tools.model("q4_1"), FIRST_PROMPT, "--raw", "-n", 1,
                "--temperature", 0, "-c", FIRST_CONTEXT, "--threads", tools.threads]),
             "llama.cpp": seconds_of(lambda tools: [
                 tools.llama("llama-first-token"), tools.model("q4_1"), tools.threads,
                 FIRST_CONTEXT, FIRST_PROMPT])},
            (Bar("llama.cpp", 0.5),)),
    Measure("memory_2048.q4_1", "memory of inference at 2,048, Q4_1", "MB",
            {"yiti": with_peak_memory(yiti_bench("q4_1", f"decode_8_depth_{MEMORY_DEPTH}", decode=8,
                                                 depth=MEMORY_DEPTH)),
             "llama.cpp": with_peak_memory(llama_bench("q4_1", generate=8, depth=MEMORY_DEPTH))},
            (Bar("llama.cpp", 1.0),)),
    digits("conv", "convolutions"),
    digits("mlp", "MLP"),
]
