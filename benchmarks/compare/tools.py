"""Where the programs are that are compared, and what makes them."""
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from measuring import run

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TARGETS = ["yiti_cli", "machine_limits", "digits_benchmark"]


@dataclass
class Tools:
    """Programs and files by what measures call them."""
    threads: int = len(os.sched_getaffinity(0))
    build: Path = ROOT / "build" / "release"
    peers: Path = Path(os.environ.get("YITI_PEERS", ROOT / ".cache" / "peers"))
    source: Path = Path(os.environ.get("YITI_SMOLLM2", ROOT / ".cache" / "models" /
                                       "SmolLM2-135M-Instruct.Q4_1.gguf"))
    models: dict = field(default_factory=dict)  # as models.py describes them

    @property
    def yiti(self):
        return self.built("cli/yiti")

    @property
    def python(self):
        return os.environ.get("YITI_PEER_PYTHON", self.peers / "venv" / "bin" / "python")

    def built(self, path):
        return self.build / path

    def llama(self, name):
        return self.peers / "llama-build" / "bin" / name

    def script(self, name):
        return HERE / name

    def model(self, name):
        return self.models[name]["path"]

    def prepare(self):
        """Fetches and builds what is missing: the model, yiti where the build is the default one,
        the peers, and the model's other formats."""
        if not self.source.exists():
            do(ROOT / "scripts" / "setup", "--no-apt")
        if self.build == Tools.build:
            do("cmake", "--preset", "release")
            do("cmake", "--build", self.build, "--target", *TARGETS)
        do(HERE / "setup-peers")
        self.describe_models()

    def describe_models(self):
        self.models = run([self.python, HERE / "models.py", self.source,
                           self.peers / "models"]).json()

    def draw(self, chart, path):
        """Draws a chart as charts.py reads it; the peers' Python has what draws."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(chart, file)
            file.flush()
            run([self.python, HERE / "charts.py", file.name, path])

    def limits(self):
        return run([self.built("benchmarks/machine_limits"), self.threads]).json()

    def versions(self):
        script = ("import importlib.metadata as m, json; print(json.dumps({p: m.version(p) for p in "
                  "('torch', 'transformers', 'peft', 'onnxruntime')}))")
        cache = (self.peers / "llama-build" / "CMakeCache.txt").read_text(encoding="utf-8")
        source = re.search(r"CMAKE_HOME_DIRECTORY:INTERNAL=.*llama_cpp_python-([\d.]+)", cache)
        commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"],
                                capture_output=True, text=True, check=False).stdout.strip()
        return {"yiti": commit or "unknown",
                "llama.cpp": f"of llama-cpp-python {source[1]}" if source else "unknown",
                **json.loads(run([self.python, "-c", script]).output)}


def do(*command):
    """Runs a step of preparation; its output goes to standard error."""
    words = [str(word) for word in command]
    if subprocess.run(words, stdout=sys.stderr, cwd=ROOT, check=False).returncode != 0:
        sys.exit(f"failed: {' '.join(words)}")


def machine():
    """What a reader wants to know of it."""
    words = {}
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            key, _, value = line.partition(":")
            words.setdefault(key.strip(), value.strip())
    known = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")
    return {"cpu": words.get("model name", platform.processor()),
            "features": [flag for flag in known if flag in words.get("flags", "").split()],
            "system": platform.platform(), "load_at_start": os.getloadavg()[0]}
