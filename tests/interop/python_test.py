"""The Python package beside torch, transformers and peft: training, gradients, logits, adapters.

    PYTHONPATH=FOLDER_OF_YITI python_test.py

Exit status 77: torch, transformers or peft is not installed.
"""
import os
import sys
import tempfile
import unittest
from pathlib import Path

try:
    import numpy as np
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

import yiti
from yiti.data import Batches

ROOT = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT / "examples/python"), str(ROOT / "benchmarks/compare")]
import char_gpt
import digits
import torch_examples

TINY = ROOT / "tests/data/tiny"
IDS = [1, 9, 33, 7, 60, 2, 41, 5, 18]


def to_torch(tensor):
    return torch.from_dlpack(tensor.detach())


def take_over(theirs, ours):
    """Gives a torch module the parameters of one of yiti's."""
    theirs.load_state_dict({name: to_torch(value).clone()
                            for name, value in ours.state_dict().items()})
    return theirs


def close(ours, theirs, bound):
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=bound, atol=bound)


class Digits(unittest.TestCase):
    """Both begin with the same weights and see the same batches at the same learning rates."""

    def train_both(self, kind, seed):
        data = digits.load_data(ROOT / "examples/data/digits/digits.safetensors")
        make = getattr(digits, f"make_{kind}")
        yiti.manual_seed(seed)
        ours = make()
        theirs = take_over(getattr(torch_examples, f"make_{kind}")(), ours)
        digits.train(ours, *data.train)
        yiti.manual_seed(seed)
        make()  # draws what was drawn before
        self.train_torch(theirs, *data.train)
        images, labels = map(to_torch, data.test)
        with torch.no_grad():
            right = theirs(images).argmax(-1) == labels
        return digits.accuracy(ours, *data.test), right.float().mean().item()

    def train_torch(self, model, images, labels, epochs=15, batch_size=32, lr=3e-3):
        batches = Batches(images, labels, batch_size=batch_size)
        optimizer = torch_examples.make_optimizer(model, lr)
        schedule = yiti.optim.Schedule("linear", lr=lr, total_steps=epochs * len(batches))
        steps = 0
        for _ in range(epochs):
            for batch, wanted in batches:
                optimizer.param_groups[0]["lr"] = schedule(steps)
                torch_examples.step(model, optimizer, to_torch(batch), to_torch(wanted).long())
                steps += 1

    def test_reach_the_same_accuracy(self):
        for kind in ("mlp", "conv"):
            with self.subTest(kind=kind):
                ours, theirs = self.train_both(kind, seed=1)
                print(f"{kind}: {ours:.2%}, torch {theirs:.2%}")
                self.assertLessEqual(abs(ours - theirs), 0.005)


class Gradients(unittest.TestCase):
    def test_of_convolutions(self):
        yiti.manual_seed(0)
        ours = digits.make_conv()
        theirs = take_over(torch_examples.make_conv(), ours)
        images, labels = yiti.rand(8, 1, 8, 8), yiti.arange(8, dtype="int32")
        yiti.nn.CrossEntropyLoss()(ours(images), labels).backward()
        torch.nn.functional.cross_entropy(theirs(to_torch(images)), to_torch(labels).long()).backward()
        self.compare(ours, theirs)

    def test_of_a_gpt(self):
        yiti.manual_seed(0)
        ours = char_gpt.CharGpt(40, context=16)
        theirs = take_over(torch_examples.CharGpt(40, context=16), ours)
        ids = (yiti.rand(3, 17) * 40).astype("int32")
        positions = yiti.arange(16, dtype="int32").expand(3, 16).reshape(-1)
        inputs, targets = ids[:, :-1].reshape(-1), ids[:, 1:].reshape(-1)
        logits = ours(inputs, positions)
        wanted = theirs(to_torch(ids[:, :-1].copy())).flatten(0, 1)
        close(logits, wanted, 1e-5)
        yiti.nn.CrossEntropyLoss()(logits, targets).backward()
        torch.nn.functional.cross_entropy(wanted, to_torch(targets).long()).backward()
        self.compare(ours, theirs)

    def compare(self, ours, theirs):
        wanted = dict(theirs.named_parameters())
        for name, parameter in ours.named_parameters():
            with self.subTest(parameter=name):
                close(parameter.grad, wanted[name].grad, 2e-6)


def logprobs_of(model, ids):
    with torch.no_grad():
        rows = model(torch.tensor([ids])).logits[0].float().log_softmax(-1)
    return rows[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0]


def base_model(folder, **options):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options)


def random_adapter(base, folder):
    """A model of peft with an adapter on all layers, which `folder` gets, too."""
    torch.manual_seed(0)
    tuned = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear",
                                            init_lora_weights=False))
    tuned.save_pretrained(folder)
    return tuned


def of_adapter(model):
    """The parameters of peft's adapter under yiti's names."""
    return {name.removeprefix("base_model.model.").replace(".default", ""): parameter
            for name, parameter in model.named_parameters() if "lora_" in name}


def compare_gradients(ours, wanted, bound):
    """The greatest difference, as a part of the greatest gradient."""
    parameters = dict(ours.named_parameters())
    assert parameters.keys() == wanted.keys(), parameters.keys() ^ wanted.keys()
    for name, parameter in parameters.items():
        theirs = wanted[name].grad.numpy()
        difference = np.abs(parameter.grad.numpy() - theirs).max()
        assert difference <= bound * max(np.abs(theirs).max(), 1e-6), (name, difference)


class LanguageModels(unittest.TestCase):
    def test_have_the_logits_of_transformers(self):
        for folder in sorted(TINY.iterdir()):
            with self.subTest(model=folder.name):
                close(yiti.load(folder, max_tokens=256).logprobs(IDS),
                      logprobs_of(base_model(folder), IDS), 1e-4)

    def test_have_the_gradients_of_transformers(self):
        for folder in sorted(TINY.iterdir()):
            with self.subTest(model=folder.name):
                module = yiti.load(folder, max_tokens=256).as_module()
                theirs = base_model(folder)
                self.backward(module, theirs)
                compare_gradients(module, dict(theirs.named_parameters()), 1e-5)

    def test_have_the_gradients_of_peft(self):
        for folder in sorted(TINY.iterdir()):
            with self.subTest(model=folder.name), tempfile.TemporaryDirectory() as out:
                theirs = random_adapter(base_model(folder), out)
                self.backward(module := yiti.load(folder, out, max_tokens=256).as_module(), theirs)
                compare_gradients(module, of_adapter(theirs), 1e-5)

    def test_smollm2_has_the_gradients_of_peft(self):
        path = self.smollm2()
        with tempfile.TemporaryDirectory() as out:
            theirs = random_adapter(base_model(os.path.dirname(path), gguf_file=os.path.basename(path)),
                                    out)
            model = yiti.load(path, out, exact_activations=True, kv="float32", max_tokens=256)
            self.backward(module := model.as_module(), theirs)
            compare_gradients(module, of_adapter(theirs), 1e-3)

    def backward(self, ours, theirs):
        ids = yiti.tensor(IDS, dtype="int32")
        loss = yiti.nn.CrossEntropyLoss()(ours(ids[:-1]), ids[1:])
        loss.backward()
        wanted = theirs.eval()(torch.tensor([IDS]), labels=torch.tensor([IDS])).loss
        wanted.backward()
        close(loss, wanted, 1e-3)

    def smollm2(self):
        path = os.environ.get("YITI_SMOLLM2")
        if not path or not os.path.exists(path):
            self.skipTest("YITI_SMOLLM2 names no model")
        return path

    def test_smollm2_has_the_logits_of_transformers(self):
        path = self.smollm2()
        model = yiti.load(path, exact_activations=True, kv="float32", max_tokens=256)
        ids = model.tokenizer.encode("The capital of France is Paris.")
        base = base_model(os.path.dirname(path), gguf_file=os.path.basename(path))
        close(model.logprobs(ids), logprobs_of(base, ids), 1e-3)

    def test_take_adapters_of_peft(self):
        folder = TINY / "llama-gqa-tied"
        with tempfile.TemporaryDirectory() as out:
            tuned = random_adapter(base_model(folder), out)
            ours = yiti.load(folder, adapter=out, max_tokens=256).logprobs(IDS)
        plain = yiti.load(folder, max_tokens=256).logprobs(IDS)
        self.assertGreater(abs(ours - plain).astype("float32").numpy().max(), 0.01)
        close(ours, logprobs_of(tuned.eval(), IDS), 1e-4)

    def test_give_adapters_to_peft(self):
        folder = ROOT / "tests/data/tiny_chat"
        model = yiti.load(folder, max_tokens=1024).add_adapter(rank=4, seed=1)
        ids = model.tokenizer.encode("hello there, what is it?")
        before = model.logprobs(ids).tolist()
        with tempfile.TemporaryDirectory() as out:
            data = Path(out) / "train.jsonl"
            data.write_text('{"prompt": "say it", "completion": "it is said"}\n' * 8)
            yiti.Trainer(model, data, output=out, max_steps=4, lr=0.05, eval_fraction=0.0).train()
            theirs = PeftModel.from_pretrained(base_model(folder), f"{out}/adapter").eval()
            ours = model.logprobs(ids)
            self.assertNotEqual(ours.tolist(), before)
            close(ours, logprobs_of(theirs, ids), 1e-4)


if __name__ == "__main__":
    unittest.main()
