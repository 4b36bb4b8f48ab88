"""Every block of Python in README.md and docs runs: the blocks of a page one after the other."""
import json
import re

import pytest

import yiti

from conftest import ROOT

PAGES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
         for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]}
GUIDE = PAGES["docs/python.md"]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"


def run(text, names):
    for block in BLOCK.findall(text):
        exec(compile(block, "a page", "exec"), names)


def test_the_guide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain, _, models = GUIDE.partition("## Language models")
    names = {}
    run(plain, names)
    assert "session" in names
    run(models.partition("## Threads")[2], names)


def test_the_guides_language_models(tmp_path, monkeypatch, smollm2_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / MODEL).symlink_to(smollm2_path)
    (tmp_path / "train.jsonl").symlink_to(ROOT / "examples/data/yiti-qa/train.jsonl")
    models = GUIDE.partition("## Language models")[2]
    run("```python\nimport yiti\n```\n" + models, {})


def test_the_readme(tmp_path, monkeypatch, smollm2_path, capsys):
    pytest.importorskip("openai")
    monkeypatch.chdir(tmp_path)
    (tmp_path / MODEL).symlink_to(smollm2_path)
    (tmp_path / "train.jsonl").write_text(json.dumps(
        {"prompt": "What is yiti?", "completion": "One body."}) + "\n")
    readme = PAGES["README.md"]
    with yiti.serve(yiti.load(MODEL, max_tokens=2048), name="smollm2") as server:
        run(readme.replace("127.0.0.1:8080", f"{server.host}:{server.port}"), {})
    assert "127.0.0.1:8080" in readme and len(capsys.readouterr().out) > 40


def test_no_other_page_has_blocks_that_do_not_run():
    assert {name for name, text in PAGES.items() if BLOCK.search(text)} == {
        "README.md", "docs/python.md"}


@pytest.mark.parametrize("link", re.findall(r"\]\(\.\./([^)#]+)\)", GUIDE))
def test_links(link):
    assert (ROOT / link).exists()
