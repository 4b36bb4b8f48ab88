"""An adapter that yiti trains on a quantised GGUF gives the same logits in peft, on the model that
transformers dequantises from the same file.

    peft_test.py YITI LOGITS MODEL.gguf DATA.jsonl

Exit status 77: torch, transformers, peft or gguf is not installed, or there is no model.
"""
import os
import subprocess
import sys
import tempfile

try:
    import gguf  # noqa: F401: transformers reads GGUF with it
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

BOUND = 1e-3
IDS = [1, 4093, 198, 1780, 314, 325, 2125, 30, 2, 198, 504, 3575, 282, 4649]


def main():
    yiti, logits_tool, model, data = sys.argv[1:]
    if not os.path.exists(model):
        print("skipped: set YITI_SMOLLM2 to the GGUF's path")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([yiti, "finetune", model, data, "--max-steps", "4", "--batch-tokens", "256",
                        "--eval-fraction", "0", "-o", folder], check=True)
        adapter, out = f"{folder}/adapter", f"{folder}/logits.safetensors"
        subprocess.run([logits_tool, model, adapter, out, *map(str, IDS)], check=True)
        ours = load_file(out)["logits"]
        base = AutoModelForCausalLM.from_pretrained(
            os.path.dirname(model), gguf_file=os.path.basename(model), dtype=torch.float32)
        plain = base(torch.tensor([IDS])).logits[0]
        tuned = PeftModel.from_pretrained(base, adapter)
        theirs = tuned(torch.tensor([IDS])).logits[0].detach()
    moved = (theirs - plain.detach()).abs().max().item()
    worst = (theirs - ours).abs().max().item()
    print(f"largest difference {worst:.2e} (bound {BOUND}); the adapter moves logits by {moved:.2f}")
    assert moved > 0.1, "the adapter changes nothing"
    assert worst <= BOUND


if __name__ == "__main__":
    main()
