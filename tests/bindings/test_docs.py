"""The guide's blocks run, one after the other."""
import re

import pytest

from conftest import ROOT

GUIDE = (ROOT / "docs/python.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(text, names):
    for block in BLOCK.findall(text):
        exec(compile(block, "docs/python.md", "exec"), names)


def test_the_guide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain, _, models = GUIDE.partition("## Language models")
    names = {}
    run(plain, names)
    assert "session" in names
    run(models.partition("## Threads")[2], names)


def test_the_guides_language_models(tmp_path, monkeypatch, smollm2_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf").symlink_to(smollm2_path)
    (tmp_path / "train.jsonl").symlink_to(ROOT / "examples/data/yiti-qa/train.jsonl")
    models = GUIDE.partition("## Language models")[2]
    run("```python\nimport yiti\n```\n" + models, {})


@pytest.mark.parametrize("link", re.findall(r"\]\(\.\./([^)#]+)\)", GUIDE))
def test_links(link):
    assert (ROOT / link).exists()
