"""What `yiti serve` does without room on the disk or memory: it refuses what needs them, and serves on.

usage: degradation_test.py YITI MODEL
"""

import io
import json
import os
import pathlib
import resource
import sys
import tempfile
import unittest

try:
    import openai
except ImportError:
    print("skipped: this python has no openai")
    sys.exit(77)

from serve_process import Server, wait_until

YITI, MODEL = sys.argv[1:3]
ROWS = "".join(json.dumps({"messages": [{"role": "user", "content": f"What is {i}?"},
                                        {"role": "assistant", "content": f"It is {i}."}]}) + "\n"
               for i in range(8)).encode()


class DegradationTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def start(self, **options):
        self.server = Server(YITI, MODEL, "--name", "tiny", "--threads", 1, "--rank", 2,
                             "--data-dir", self.folder / "data", "--cache-dir",
                             self.folder / "cache", "--checkpoint-every", 2, **options)
        self.addCleanup(lambda: self.server.end())
        self.client = self.server.client

    def answer(self, question="What is 3? " * 30):
        reply = self.client.chat.completions.create(
            model="tiny", temperature=0, max_tokens=8,
            messages=[{"role": "user", "content": question}])
        return reply.choices[0].message.content

    def upload(self, contents=ROWS):
        return self.client.files.create(file=("t.jsonl", io.BytesIO(contents)),
                                        purpose="fine-tune").id

    def job(self, file):
        job = self.client.fine_tuning.jobs.create(
            model="tiny", training_file=file, hyperparameters={"n_epochs": 1, "batch_size": 2})
        return wait_until("the job's end", lambda: (
            found := self.client.fine_tuning.jobs.retrieve(job.id)).status
            in ("succeeded", "failed") and found)

    def test_a_full_disk_fails_jobs_and_uploads_and_nothing_else(self):
        self.start(most_file_bytes=8 << 10)
        answer = self.answer()
        done = self.job(self.upload())
        self.assertEqual(done.status, "failed")
        self.assertIn("cannot write", done.error.message)
        with self.assertRaises(openai.APIStatusError) as caught:
            self.upload(ROWS * 20)
        self.assertIn(caught.exception.status_code, (429, 503))
        self.assertEqual([len(self.client.files.list().data), self.answer()], [1, answer])
        self.server.most_file_bytes = None
        self.server.restart()
        self.client = self.server.client
        self.assertEqual(self.answer(), answer)
        self.assertEqual(self.client.fine_tuning.jobs.retrieve(done.id).status, "failed")
        self.assertEqual(self.job(self.upload()).status, "succeeded")

    def test_without_memory_it_refuses_what_is_large(self):
        # Without the address space that malloc sets aside for other threads.
        self.start(env=os.environ | {"MALLOC_ARENA_MAX": "1"})
        answer = self.answer()
        self.upload()
        status = pathlib.Path(f"/proc/{self.server.process.pid}/status").read_text()
        used = int(status.split("VmSize:")[1].split()[0]) << 10
        resource.prlimit(self.server.process.pid, resource.RLIMIT_AS, (used + (4 << 20),) * 2)
        with self.assertRaises(openai.APIStatusError) as caught:
            self.upload(b" " * (48 << 20))
        self.assertEqual(caught.exception.status_code, 503)
        self.assertEqual(caught.exception.code, "out_of_memory")
        self.assertEqual(self.answer(), answer)
        self.assertEqual(len(self.client.files.list().data), 1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
