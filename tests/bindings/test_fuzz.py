"""Nothing that a caller passes ends the interpreter; see fuzz.py."""
import pathlib
import subprocess
import sys

import pytest

FUZZ = pathlib.Path(__file__).with_name("fuzz.py")


@pytest.mark.parametrize("seed, seconds", [
    ("short", 15), *(pytest.param(f"long {i}", 100, marks=pytest.mark.long) for i in range(4))])
def test_random_calls(tmp_path, seed, seconds):
    log = tmp_path / "call"
    try:
        run = subprocess.run([sys.executable, FUZZ, log, seed, str(seconds)], capture_output=True,
                             text=True, timeout=10 * seconds)
    except subprocess.TimeoutExpired:
        pytest.fail(f"seed {seed}: did not end: {log.read_text()}")
    assert run.returncode == 0, \
        f"seed {seed}, status {run.returncode}, last call {log.read_text()}\n{run.stderr[-3000:]}"
    print(run.stdout)
