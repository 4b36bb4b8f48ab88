"""Runs examples/fine_tune_over_http against `yiti serve`.

usage: example_test.py YITI MODEL EXAMPLE
"""

import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import openai  # noqa: F401
except ImportError:
    print("skipped: this python has no openai")
    sys.exit(77)

from serve_process import Server


def main():
    yiti, model, example = sys.argv[1:4]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        data = pathlib.Path(folder) / "train.jsonl"
        data.write_text("".join(json.dumps({"messages": [
            {"role": "user", "content": "What is yiti?"},
            {"role": "assistant", "content": f"yiti {i % 2}"}]}) + "\n" for i in range(8)))
        server = Server(yiti, model, "--data-dir", pathlib.Path(folder) / "data",
                        "--context", 128, "--threads", 1)
        stack.callback(server.end)
        run = subprocess.run(
            [sys.executable, example, "--url", server.url + "/v1", "--file", data, "--epochs", "2"],
            capture_output=True, text=True, timeout=100)
        print(run.stdout, run.stderr)
        assert run.returncode == 0, run.returncode
        for wanted in ("Uploaded train.jsonl", "Step 1/", "successfully completed", "\nft:",
                       "step,train_loss"):
            assert wanted in run.stdout, wanted


if __name__ == "__main__":
    main()
