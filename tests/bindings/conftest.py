"""What the tests share."""
import os
import pathlib

import pytest

import yiti

ROOT = pathlib.Path(__file__).resolve().parents[2]


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes minutes; ctest runs it under the label long")


@pytest.fixture(scope="session")
def tiny_chat():
    """A tiny model with a tokenizer and a chat template."""
    return yiti.load(ROOT / "tests/data/tiny_chat", max_tokens=1024)


@pytest.fixture(scope="session")
def smollm2_path():
    path = os.environ.get("YITI_SMOLLM2") or \
        ROOT / ".cache/models/SmolLM2-135M-Instruct.Q4_1.gguf"
    if not os.path.exists(path):
        pytest.skip("YITI_SMOLLM2 names no model")
    return path
