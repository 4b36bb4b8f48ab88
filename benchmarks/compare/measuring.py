"""Runs programs in turns and keeps what each run gave: what compare, scaling and regress share."""
import fnmatch
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from typing import Callable, Optional


class Failed(Exception):
    """A program ended with an error; the message has its last words."""


@dataclass(frozen=True)
class Ran:
    """A program that ran in a process of its own."""
    output: str
    seconds: float
    peak_rss_bytes: int

    def json(self):
        return json.loads(self.output)


@dataclass(frozen=True)
class Sample:
    value: float
    peak_rss_bytes: int
    limits: Optional[dict] = None  # the machine's, right before


@dataclass(frozen=True)
class Run:
    """How to measure something once: a command, and the value of what it gave."""
    command: Callable  # tools -> list of words
    value: Callable    # Ran -> float
    warm_ups: int = 0     # runs of the command before the one that counts
    limits: bool = False  # whether the machine's limits are measured, too

    def sample(self, tools):
        for _ in range(self.warm_ups):
            run(self.command(tools))
        limits = tools.limits() if self.limits else None
        ran = run(self.command(tools))
        return Sample(self.value(ran), ran.peak_rss_bytes, limits)


def run(command):
    """Runs a command to its end. The peak of resident memory is the child's own."""
    words = [str(word) for word in command]
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        begin = time.perf_counter()
        try:
            process = subprocess.Popen(words, stdout=output, stderr=errors)
        except OSError as error:
            raise Failed(f"{words[0]}: {error.strerror}") from error
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            raise Failed(f"{' '.join(words)}\nended with {process.returncode}: "
                         f"{errors.read()[-2000:]}")
        return Ran(output.read(), seconds, usage.ru_maxrss * 1024)


@dataclass
class Results:
    """The samples of each side of each measure, and why a side has none."""
    samples: dict = field(default_factory=dict)  # measure -> side -> [Sample]
    errors: dict = field(default_factory=dict)   # "measure/side" -> message

    def add(self, measure, side, sample):
        self.samples.setdefault(measure, {}).setdefault(side, []).append(sample)

    def as_json(self):
        return {"samples": {measure: {side: [asdict(s) for s in samples]
                                      for side, samples in sides.items()}
                            for measure, sides in self.samples.items()},
                "errors": self.errors}

    @staticmethod
    def of_json(value):
        return Results({measure: {side: [Sample(**s) for s in samples]
                                  for side, samples in sides.items()}
                        for measure, sides in value["samples"].items()}, value["errors"])


def measure_in_turns(measures, tools, rounds, after_round=lambda results: None):
    """Each round runs all sides of each measure one after the other; who goes first changes from
    round to round, so that no side always finds the machine warm. `measures`: name -> side -> Run.
    A side that failed is left out of later rounds."""
    results = Results()
    for number in range(rounds):
        for measure, sides in measures.items():
            order = list(sides.items())
            for side, one in order if number % 2 == 0 else reversed(order):
                key = f"{measure}/{side}"
                if key in results.errors:
                    continue
                try:
                    sample = one.sample(tools)
                except (Failed, KeyError, IndexError, ValueError) as error:
                    results.errors[key] = f"{type(error).__name__}: {error}"
                    print(f"{key}: {results.errors[key]}", file=sys.stderr)
                    continue
                results.add(measure, side, sample)
                print(f"round {number + 1}/{rounds}  {key:<40} {sample.value:12.2f}  "
                      f"{sample.peak_rss_bytes / 1e6:7.0f} MB", file=sys.stderr)
        after_round(results)
    return results


def median(samples, quantity="value"):
    return statistics.median(getattr(s, quantity) for s in samples)


def spread(samples, quantity="value"):
    """Lowest and highest."""
    values = [getattr(s, quantity) for s in samples]
    return min(values), max(values)


def yiti_bench(model, key, **options):
    """A run of `yiti bench` with these options, of which `key` is the result. What is not named is
    not measured: a training process holds no session."""
    words = {"prefill": 0, "decode": 0, "repeats": 1, **options}
    flags = []
    for option, value in words.items():
        name = "--" + option.replace("_", "-")
        flags += [name] if value is True else [name, value]
    return Run(lambda tools: [tools.yiti, "bench", tools.model(model), "--json", "--threads",
                              tools.threads, *flags],
               lambda ran: ran.json()[key])


def selected(names, patterns):
    """Those of the names that match one of the patterns, which commas separate; * is any part."""
    return [name for name in names
            if any(fnmatch.fnmatch(name, pattern) for pattern in patterns.split(","))]


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.write("\n")
