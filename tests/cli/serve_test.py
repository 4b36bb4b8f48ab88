"""`yiti serve` as a process: loading on demand, signals while it loads, requests in parallel.

usage: serve_test.py YITI MODEL
"""

import concurrent.futures
import fcntl
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

try:
    import openai
except ImportError:
    print("skipped: this python has no openai")
    sys.exit(77)

from serve_process import Server, wait_until

YITI, MODEL = sys.argv[1:3]


class ServeTest(unittest.TestCase):
    def start(self, *options, model=MODEL):
        self.server = Server(YITI, model, "--threads", 1, *options)
        self.addCleanup(self.server.end)
        return self.server

    def ask(self, path, body=None):
        request = urllib.request.Request(
            self.server.url + path, data=body and json.dumps(body).encode(),
            headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)

    def status(self):
        return self.ask("/models")["data"][0]["status"]["value"]

    def chat(self):
        reply = self.server.client.chat.completions.create(
            model="tiny_chat", temperature=0, max_tokens=8,
            messages=[{"role": "user", "content": "What is 3?"}])
        return reply.choices[0].message.content

    def test_a_model_is_loaded_on_demand(self):
        self.start("--on-demand")
        self.assertEqual(self.status(), "unloaded")
        self.assertEqual(self.ask("/health"), {"status": "ok"})
        answer = self.chat()
        self.assertEqual(self.status(), "loaded")
        self.assertEqual(self.server.end(), 0)
        self.start()
        self.assertEqual([self.status(), self.chat()], ["loaded", answer])

    def test_fingerprints_name_parameters_and_numerics(self):
        found = set()
        for option in ((), ("--kv", "i8"), ("--rope-scale", 2), ("--exact-activations",)):
            self.start(*option)
            reply = self.ask("/v1/completions", {"prompt": "a", "max_tokens": 1})
            found.add(tuple(reply["system_fingerprint"].split("-")))
            self.server.end()
        self.assertEqual([len(found), len({numerics for numerics, _ in found}),
                          len({version for _, version in found})], [4, 4, 1], found)

    def test_on_demand_serves_and_does_not_train(self):
        for option in ("--data-dir", "--adapter-dir"):
            refused = subprocess.run([YITI, "serve", MODEL, "--on-demand", option, "/tmp"],
                                     capture_output=True, text=True, timeout=60)
            self.assertNotEqual(refused.returncode, 0)
            self.assertRegex(refused.stderr,
                             f"--on-demand excludes {option}|{option} excludes --on-demand")

    def test_signals_end_a_load_at_once(self):
        # Who opens a file with a lease waits until it is given back, or for 45 seconds.
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        with tempfile.TemporaryDirectory() as folder, \
                open(pathlib.Path(folder) / "config.json", "w", encoding="utf-8") as config:
            try:
                fcntl.fcntl(config, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            except OSError as error:
                self.skipTest(f"this file system has no leases: {error}")
            for how in (signal.SIGINT, signal.SIGTERM):
                loading = subprocess.Popen([YITI, "serve", folder, "--port", "0"])
                time.sleep(0.5)
                loading.send_signal(how)
                self.assertEqual(loading.wait(timeout=30), -how)
                self.start("--on-demand", model=folder)
                with concurrent.futures.ThreadPoolExecutor() as pool:
                    held = pool.submit(self.ask, "/props")
                    wait_until("the load", lambda: self.status() == "loading")
                    time.sleep(0.1)
                    self.server.process.send_signal(how)
                    self.assertEqual(self.server.process.wait(timeout=30), -how)
                    with self.assertRaises(OSError):
                        held.result()

    # As llama.cpp's test_completion_parallel_slots, but for the words of another model.
    def test_requests_fill_the_slots_and_answer_as_alone(self):
        prompts = ["Write a very long book.", "Write another a poem.", "What is LLM?",
                   "The sky is blue and I love it.", "Write another very long music lyrics.",
                   "Write a very long joke."]
        bodies = [{"prompt": prompt, "seed": 42, "temperature": 1.0, "n_predict": 1500,
                   "ignore_eos": True, "return_tokens": True} for prompt in prompts]
        alone = {}
        for slots, requests in ((1, 3), (2, 2), (2, 4), (4, 2), (4, 6)):
            server = self.start("--sequences", slots)
            with concurrent.futures.ThreadPoolExecutor(requests) as pool:
                replies = [pool.submit(self.ask, "/completion", body) for body in bodies[:requests]]
                busy = min(slots, requests)
                wait_until(f"{busy} of {slots} slots are busy", lambda: sum(
                    slot["is_processing"] for slot in self.ask("/slots")) == busy)
                for prompt, reply in zip(prompts, replies):
                    reply = reply.result()
                    self.assertEqual(len(reply["tokens"]), 1500)
                    self.assertGreater(len(reply["content"]), 10)
                    self.assertEqual(alone.setdefault(prompt, reply["tokens"]), reply["tokens"])
            server.end()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
