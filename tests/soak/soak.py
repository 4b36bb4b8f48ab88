#!/usr/bin/env python3
"""A server under everything at once, for minutes: clients that come and leave, jobs, adapters that are
swapped, and in the middle `kill -9` and a restart.

    tests/soak/soak.py YITI MODEL [--minutes 30] [--clients 32]

Every whole reply is compared with what `yiti run`, a session of another process, answers with the
same adapter to the same question; embeddings of one text with each other, bit by bit. Ends with 1
where a reply differs, a request fails that should not, a job is lost, or memory grows. The KV cache
is a pool whose pages become resident as they are first used: it is used up before memory is watched,
so that all that is resident counts.
"""
import argparse
import collections
import contextlib
import http.client
import json
import pathlib
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

QUESTIONS = ["What is 3 and one?", "Who are you?", "Tell me a story about the sea.", "Why?",
             "List three colours, and say which of them you like and why " + "very " * 60 + "much.",
             "What is the capital of France? " * 20]
TOKENS = 12
GREEDY, SEEDED = {"temperature": 0}, {"temperature": 1.0, "top_p": 0.9, "top_k": 40, "seed": 7}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("yiti")
    parser.add_argument("model")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most-growth-mb", type=float, default=32)
    return parser.parse_args()


class Refused(Exception):
    """An answer with a status that is none of success."""


class Server:
    """`yiti serve` of one data folder, through its crash."""

    def __init__(self, options, folder):
        self.command = [options.yiti, "serve", options.model, "--name", "base", "--quiet",
                        "--data-dir", folder / "data", "--adapter-dir", folder / "adapters",
                        "--cache-dir", folder / "cache", "--cache-gb", "1", "--rank", "2",
                        "--checkpoint-every", "4", "--context", "1024", "--sequences", "16"]
        self.log = open(folder / "log", "w")
        self.is_down = False
        self.port = 0
        self.start()

    def start(self):
        command = [*map(str, self.command), "--port", str(self.port)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            self.log.write(line)
            if found := re.search(r"at http://[\d.]+:(\d+)", line):
                self.port = int(found.group(1))
                break
        else:
            raise RuntimeError("the server did not start")
        self.reader = threading.Thread(target=self.log.writelines, args=(self.process.stderr,))
        self.reader.start()
        self.is_down = False

    def end(self, how):
        self.is_down = True
        self.process.send_signal(how)
        code = self.process.wait()
        self.reader.join()
        return code

    def resident_mb(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024

    def open(self, method, path, body=None, content_type="application/json", timeout=300):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection.request(method, path, body, {"Content-Type": content_type} if body else {})
        return connection, connection.getresponse()

    def call(self, method, path, body=None, **more):
        connection, reply = self.open(method, path, body, **more)
        with contextlib.closing(connection):
            text = reply.read()
            if reply.status != 200:
                raise Refused(f"{method} {path}: {reply.status} {text[:300]}")
            return json.loads(text) if text.startswith(b"{") else text


class Soak:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.failures, self.counts = [], collections.Counter()
        self.lock = threading.Lock()
        self.texts = {}  # (fingerprint, question, how) -> text
        self.vectors = {}  # (fingerprint, text) -> embedding
        self.adapter_of = {}  # fingerprint -> a copy of the adapter's folder; None: the base
        self.models = ["base"]
        self.memory = []
        self.filled = None  # the process whose KV cache has been used up
        self.stop = threading.Event()
        self.server = Server(options, folder)

    def fail(self, text):
        with self.lock:
            self.failures.append(text)
            print("FAILED:", text[:600], flush=True)

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    # What clients do.

    def guarded(self, f, *args):
        """f's result; None where the crash that was meant to be took it, or it failed."""
        down = self.server.is_down
        process = self.server.process
        try:
            return f(*args)
        except Exception as error:  # of any kind: it is told
            if not (down or self.server.is_down or process is not self.server.process):
                self.fail(f"{f.__name__}{args}: {error!r}")
            time.sleep(0.2)
            return None

    def client(self, number):
        draw = random.Random(self.options.seed * 1000 + number)
        while not self.stop.is_set():
            with self.lock:
                model = draw.choice(self.models)
            what = draw.choices([self.whole, self.stream, self.leave, self.embed],
                                [4, 4, 2, 1])[0]
            self.guarded(what, draw, model)
            time.sleep(draw.uniform(0, 0.2))

    def body(self, draw, model, **more):
        question, how = draw.choice(QUESTIONS), draw.choice(("greedy", "seeded"))
        sampling = GREEDY if how == "greedy" else SEEDED
        return question, how, {"model": model, "max_tokens": TOKENS, **sampling, **more,
                               "messages": [{"role": "user", "content": question}]}

    def record(self, model, fingerprint, question, how, text):
        with self.lock:
            known = self.texts.setdefault((fingerprint, question, how), text)
        if known != text:
            self.fail(f"{model} ({fingerprint}) answered {question[:30]!r} {how} with {text!r}, "
                      f"before with {known!r}")

    def gone(self, model, error):
        """Whether a model that came from a job, and may be deleted, is not there any more."""
        return model.startswith("ft:") and " 404 " in str(error)

    def whole(self, draw, model):
        question, how, body = self.body(draw, model)
        try:
            reply = self.server.call("POST", "/v1/chat/completions", body)
        except Refused as error:
            if self.gone(model, error):
                return
            raise
        self.record(model, reply["system_fingerprint"], question, how,
                    reply["choices"][0]["message"]["content"])
        self.count("whole replies")

    def events(self, body):
        connection, reply = self.server.open("POST", "/v1/chat/completions", body)
        with contextlib.closing(connection):
            if reply.status != 200:
                raise Refused(f"stream: {reply.status} {reply.read()[:300]}")
            for line in reply:
                if line.startswith(b"data: "):
                    yield line[6:].strip()

    def stream(self, draw, model):
        question, how, body = self.body(draw, model, stream=True)
        text, fingerprint, done = "", None, False
        try:
            for event in self.events(body):
                if done := event == b"[DONE]":
                    break
                chunk = json.loads(event)
                fingerprint = chunk.get("system_fingerprint") or fingerprint
                text += chunk["choices"][0]["delta"].get("content") or ""
        except Refused as error:
            if self.gone(model, error):
                return
            raise
        if not done:
            raise Refused(f"a stream ended in the middle, with {text!r}")
        self.record(model, fingerprint, question, how, text)
        self.count("streams")

    def leave(self, draw, model):
        """Goes away in the middle of a long answer."""
        _, _, body = self.body(draw, model, stream=True)
        body |= {"max_tokens": 400, "ignore_eos": True}
        left = draw.randrange(6)
        with contextlib.suppress(Refused):
            for number, _ in enumerate(self.events(body)):
                if number >= left:
                    break
        self.count("left")

    def embed(self, draw, model):
        text = draw.choice(QUESTIONS)
        name = "base"  # its version does not change
        data = self.server.call("POST", "/v1/embeddings", {"model": name, "input": text})["data"]
        with self.lock:
            same = self.vectors.setdefault(text, data[0]["embedding"]) == data[0]["embedding"]
        if not same:
            self.fail(f"the embedding of {text[:30]!r} has changed")
        self.count("embeddings")

    # What an operator does.

    def upload(self):
        lines = "".join(json.dumps({"messages": [
            {"role": "user", "content": f"What is {i} and one?"},
            {"role": "assistant", "content": f"It is {i + 1}."}]}) + "\n" for i in range(24))
        body = ("--XX\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nfine-tune\r\n--XX\r\n"
                "Content-Disposition: form-data; name=\"file\"; filename=\"t.jsonl\"\r\n\r\n"
                f"{lines}\r\n--XX--\r\n").encode()
        return self.server.call("POST", "/v1/files", body,
                                content_type="multipart/form-data; boundary=XX")["id"]

    def job(self, id, action=""):
        path = f"/v1/fine_tuning/jobs/{id}"
        return self.server.call("POST", f"{path}/{action}", {}) if action else \
            self.server.call("GET", path)

    def steer(self, job, fate):
        """Cancels, or pauses and resumes; a job that has ended meanwhile refuses."""
        try:
            self.job(job, fate)
            if fate == "pause":
                time.sleep(0.5)
                self.job(job, "resume")
        except Refused as error:
            if " 400 " not in str(error):
                raise

    def work_on_a_job(self, draw):
        """One job from its making to its end, steered on the way; or left, to be looked at later."""
        created = self.server.call("POST", "/v1/fine_tuning/jobs", {
            "model": "base", "training_file": self.file, "seed": draw.randrange(1000),
            "hyperparameters": {"n_epochs": draw.randrange(1, 4), "batch_size": 4}})["id"]
        self.jobs.append(created)
        fate = draw.choice(["", "", "cancel", "pause"])
        steered = False
        while not self.stop.is_set():
            status = self.job(created)["status"]
            if status in ("succeeded", "failed", "cancelled"):
                break
            self.take_checkpoints(created)
            if status == "running" and fate and not steered:
                self.steer(created, fate)
                steered = True
            time.sleep(0.2)
        found = self.job(created)
        self.count(f"jobs {found['status']}")
        if found["status"] == "failed":
            raise Refused(f"the job failed: {found['error']}")
        if found["status"] == "succeeded":
            self.take(found["fine_tuned_model"],
                      self.folder / "data/jobs" / created / "run/adapter")
        if not self.stop.is_set():
            self.forget_old_models()

    def take(self, model, adapter):
        """Lets clients ask a model, and keeps its adapter to compare with."""
        with self.lock:
            if model in self.models:
                return
        copy = self.folder / "copies" / re.sub(r"\W", "_", model)
        try:
            shutil.copytree(adapter, copy)
        except (OSError, shutil.Error):
            shutil.rmtree(copy, ignore_errors=True)  # a checkpoint that has gone meanwhile
            return
        reply = self.server.call("POST", "/v1/chat/completions", self.body(
            random.Random(0), model)[2])
        with self.lock:
            self.adapter_of[reply["system_fingerprint"]] = copy
            self.models.append(model)

    def take_checkpoints(self, job):
        for one in self.server.call("GET", f"/v1/fine_tuning/jobs/{job}/checkpoints")["data"]:
            with contextlib.suppress(Refused):  # it may have gone again
                self.take(one["fine_tuned_model_checkpoint"], self.folder / "data/jobs" / job /
                          f"run/adapters/step-{one['step_number']}")

    def forget_old_models(self):
        """Clients ask the base, the adapters and a few models of jobs; all others go, also those that
        came and were never asked. No job runs."""
        served = [one["id"] for one in self.server.call("GET", "/v1/models")["data"]]
        with self.lock:
            tuned = [one for one in self.models if one.startswith("ft:")]
            self.models = [one for one in self.models if one not in tuned[:-6]]
            old = [one for one in served if one.startswith("ft:") and one not in tuned[-6:]]
        for one in old:
            try:
                self.server.call("DELETE", f"/v1/models/{one}")
            except Refused as error:
                if " 404 " not in str(error):
                    raise

    def run_jobs(self):
        draw = random.Random(self.options.seed)
        while not self.stop.is_set():
            self.guarded(self.work_on_a_job, draw)

    def swap(self, draw):
        """Replaces an adapter that clients ask, or goes back to an earlier version of it."""
        if draw.random() < 0.3:
            versions = self.server.call("GET", "/v1/models/swapped/versions")["data"]
            self.server.call("POST", "/v1/models/swapped/rollback",
                             {"version": draw.choice(versions)["version"]})
        else:
            self.server.call("POST", "/v1/load_lora_adapter", {
                "lora_name": "swapped", "lora_path": draw.choice(("one", "two")),
                "load_inplace": True})
        self.count("swaps")

    def run_swaps(self):
        draw = random.Random(self.options.seed + 1)
        while not self.stop.is_set():
            self.guarded(self.swap, draw)
            time.sleep(draw.uniform(0, 2))

    def watch_memory(self):
        while not self.stop.wait(1):
            pid = self.server.process.pid
            with contextlib.suppress(OSError, AttributeError):
                if pid == self.filled:
                    self.memory.append((pid, self.server.resident_mb()))

    def fill_cache(self):
        """Prompts of which no two are alike, until every block of the KV cache has been used."""
        draw = random.Random(self.options.seed)
        tokens = self.server.call("POST", "/tokenize", {"content": " ".join(QUESTIONS)})["tokens"]
        while True:
            metrics = self.server.call("GET", "/metrics").decode()
            whole, touched = (float(re.search(rf"^yiti:{name}{{.*}} (.+)$", metrics, re.M).group(1))
                              for name in ("kv_cache_bytes", "kv_cache_touched_bytes"))
            if touched == whole:
                break
            self.server.call("POST", "/v1/completions", {
                "model": "base", "max_tokens": 1, "prompt": draw.choices(tokens, k=500)})
        self.filled = self.server.process.pid
        print(f"process {self.filled}: the KV cache's {whole / 2**20:.0f} MB have been used",
              flush=True)

    # The whole.

    def make_adapters(self):
        """Two adapters of jobs of other seeds, which are then loaded by path."""
        self.file, self.jobs = self.upload(), []
        for name in ("one", "two"):
            id = self.server.call("POST", "/v1/fine_tuning/jobs", {
                "model": "base", "training_file": self.file, "seed": len(name) + ord(name[0]),
                "hyperparameters": {"n_epochs": 2, "batch_size": 4}})["id"]
            self.jobs.append(id)
            while (status := self.job(id)["status"]) != "succeeded":
                if status == "failed":
                    raise RuntimeError(f"no adapter could be made: {self.job(id)}")
                time.sleep(0.1)
            shutil.copytree(self.folder / "data/jobs" / id / "run/adapter",
                            self.folder / "adapters" / name)
            self.server.call("POST", "/v1/load_lora_adapter",
                             {"lora_name": name, "lora_path": name})
            self.take(name, self.folder / "adapters" / name)
        base = self.server.call("POST", "/v1/chat/completions",
                                self.body(random.Random(0), "base")[2])
        self.adapter_of[base["system_fingerprint"]] = None
        self.server.call("POST", "/v1/load_lora_adapter", {"lora_name": "swapped",
                                                           "lora_path": "one"})
        self.models.append("swapped")

    def crash(self):
        before = {job["id"] for job in self.server.call("GET", "/v1/fine_tuning/jobs?limit=100")["data"]}
        print("kill -9", flush=True)
        self.server.end(signal.SIGKILL)
        self.server.start()
        after = {job["id"] for job in self.server.call("GET", "/v1/fine_tuning/jobs?limit=100")["data"]}
        if not before <= after:
            self.fail(f"jobs were lost: {before - after}")
        names = {one["id"] for one in self.server.call("GET", "/v1/models")["data"]}
        if not {"base", "one", "two", "swapped"} <= names:
            self.fail(f"after the restart there are only the models {names}")
        self.fill_cache()

    def run(self):
        self.make_adapters()
        self.fill_cache()
        work = [threading.Thread(target=self.client, args=(number,))
                for number in range(self.options.clients)]
        work += [threading.Thread(target=one)
                 for one in (self.run_jobs, self.run_swaps, self.watch_memory)]
        for one in work:
            one.start()
        half = self.options.minutes * 30
        time.sleep(half)
        self.guarded(self.crash)
        time.sleep(half)
        self.stop.set()
        for one in work:
            one.join()
        self.finish_jobs()
        if self.server.end(signal.SIGTERM) != 0:
            self.fail("the server did not end orderly")
        self.compare()
        self.check_memory()

    def finish_jobs(self):
        """All jobs end, also those that the crash or a pause left in the middle."""
        for id in self.jobs:
            while (status := self.job(id)["status"]) not in ("succeeded", "failed", "cancelled"):
                if status == "paused":
                    self.job(id, "resume")
                time.sleep(0.1)
            if status == "failed":
                self.fail(f"job {id} failed: {self.job(id)['error']}")

    def compare(self):
        """Each text with that of a session of a process of its own."""
        compared = 0
        for (fingerprint, question, how), text in self.texts.items():
            if fingerprint not in self.adapter_of:
                self.fail(f"a reply came from {fingerprint}, which is no version that was taken")
                continue
            adapter = self.adapter_of[fingerprint]
            sampling = GREEDY if how == "greedy" else SEEDED
            command = [self.options.yiti, "run", self.options.model, question, "-n", TOKENS,
                       "--context", 1024]
            command += ["--adapter", adapter] if adapter else []
            for name, value in sampling.items():
                command += ["--" + name.replace("_", "-"), value]
            printed = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, check=True).stdout
            alone = printed.decode().removesuffix("\n")  # text=True would take \r for a line's end
            if alone != text:
                self.fail(f"{fingerprint} answered {question[:30]!r} {how} with {text!r}; alone "
                          f"with {alone!r}")
            compared += 1
        print(f"{compared} different replies of {len(self.adapter_of)} versions compared", flush=True)

    def check_memory(self):
        for pid in dict.fromkeys(pid for pid, _ in self.memory):
            of_process = [mb for one, mb in self.memory if one == pid]
            part = max(1, len(of_process) // 5)
            early, late = (statistics.median(of_process[part:2 * part] or of_process),
                           statistics.median(of_process[-part:]))
            print(f"process {pid}: {early:.0f} MB early, {late:.0f} MB late, "
                  f"{max(of_process):.0f} MB at most", flush=True)
            if late - early > self.options.most_growth_mb:
                self.fail(f"memory grew from {early:.0f} to {late:.0f} MB")


def main():
    options = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for one in ("adapters", "copies"):
            (folder / one).mkdir()
        soak = Soak(options, folder)
        try:
            soak.run()
        finally:
            soak.stop.set()
            if soak.server.process.poll() is None:
                soak.server.end(signal.SIGKILL)
        print(", ".join(f"{count} {what}" for what, count in sorted(soak.counts.items())))
    sys.exit(1 if soak.failures else 0)


if __name__ == "__main__":
    main()
