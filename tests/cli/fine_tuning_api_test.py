"""Fine-tunes through `yiti serve` with the official openai client, and kills the server meanwhile.

usage: fine_tuning_api_test.py YITI MODEL
"""

import io
import json
import pathlib
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
FINAL = ("succeeded", "failed", "cancelled")


def rows(count, answer="It is {}."):
    lines = [{"messages": [{"role": "user", "content": f"What is {i} and one?"},
                           {"role": "assistant", "content": answer.format(i + 1)}]}
             for i in range(count)]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


class FineTuningApiTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.data = pathlib.Path(self.folder.name) / "data"
        self.adapters = pathlib.Path(self.folder.name) / "adapters"
        self.adapters.mkdir()
        self.server = Server(YITI, MODEL, "--data-dir", self.data, "--adapter-dir", self.adapters,
                             "--name", "tiny", "--checkpoint-every", 5, "--rank", 2,
                             "--context", 128, "--threads", 1)
        self.addCleanup(lambda: self.server.end())

    @property
    def client(self):
        return self.server.client

    @property
    def jobs(self):
        return self.client.fine_tuning.jobs

    def upload(self, contents, name="train.jsonl"):
        file = self.client.files.create(file=(name, io.BytesIO(contents)), purpose="fine-tune")
        return self.client.files.wait_for_processing(file.id).id

    def create(self, file, epochs=1, **more):
        return self.jobs.create(
            model="tiny", training_file=file, seed=7,
            method={"type": "supervised", "supervised": {"hyperparameters": {
                "n_epochs": epochs, "batch_size": 2, "learning_rate_multiplier": "auto"}}}, **more)

    def until(self, job, *statuses):
        return wait_until(f"{statuses} of {job}", lambda: (
            found := self.jobs.retrieve(job)).status in statuses and found)

    def events(self, job):
        """Oldest first."""
        return list(reversed(list(self.jobs.list_events(job, limit=1000))))

    def chat(self, model):
        reply = self.client.chat.completions.create(
            model=model, temperature=0, max_tokens=6, logprobs=True,
            messages=[{"role": "user", "content": "What is 3 and one?"}])
        return (reply.system_fingerprint,
                [(token.token, token.logprob) for token in reply.choices[0].logprobs.content])

    def adapter_bytes(self, job):
        return (self.data / "jobs" / job / "run/adapter/adapter_model.safetensors").read_bytes()

    def test_the_client_s_code_runs_unchanged(self):
        train, valid = self.upload(rows(12)), self.upload(rows(3, "Maybe {}."))
        job = self.jobs.create(
            model="tiny", training_file=train, validation_file=valid, suffix="sums",
            hyperparameters={"n_epochs": 3, "batch_size": 1}, metadata={"who": "test"})
        self.assertIn(job.status, ("validating_files", "queued", "running"))
        self.assertIsNone(job.fine_tuned_model)
        done = self.until(job.id, *FINAL)
        self.assertEqual(done.status, "succeeded", done.error)
        self.assertRegex(done.fine_tuned_model, r"^ft:tiny:yiti:sums:[0-9a-f]{8}$")
        self.assertEqual(done.metadata, {"who": "test"})
        self.assertEqual(done.hyperparameters.n_epochs, 3)
        self.assertEqual(done.hyperparameters.learning_rate_multiplier, "auto")
        self.assertGreater(done.trained_tokens, 0)
        events = list(self.jobs.list_events(job.id, limit=7))
        self.assertEqual(len({event.id for event in events}), len(events))
        self.assertIn("successfully completed", events[0].message)
        self.assertIn("Created fine-tuning job", events[-1].message)
        steps = [event.data["step"] for event in reversed(events)
                 if event.type == "metrics" and "train_loss" in event.data]
        self.assertEqual(steps, list(range(1, 37)))
        checkpoints = list(self.jobs.checkpoints.list(job.id))
        self.assertEqual([one.step_number for one in checkpoints], [35, 30, 25, 20])
        self.assertIsNotNone(checkpoints[0].metrics.valid_loss)
        csv = self.client.files.content(done.result_files[0]).text.splitlines()
        self.assertEqual(csv[0], "step,train_loss,train_accuracy,valid_loss,"
                                 "valid_mean_token_accuracy")
        self.assertEqual(len(csv), 37)
        self.assertRegex(csv[36], r"^36,[\d.]+,[\d.]+,[\d.]+,[\d.]+$")
        self.assertIsNotNone(checkpoints[0].metrics.valid_mean_token_accuracy)
        names = {model.id for model in self.client.models.list()}
        self.assertEqual(names, {"tiny", done.fine_tuned_model}
                         | {one.fine_tuned_model_checkpoint for one in checkpoints})
        self.assertNotEqual(self.chat(done.fine_tuned_model), self.chat("tiny"))

    def test_a_killed_server_goes_on_with_the_same_bits(self):
        file = self.upload(rows(20))
        whole = self.create(file, epochs=10)
        self.assertEqual(self.until(whole.id, *FINAL).status, "succeeded")
        job = self.create(file, epochs=10)
        messages = lambda id: [event.message for event in self.events(id)]
        for kills in range(1, 4):
            seen = len(self.events(job.id))
            wait_until("more steps", lambda: len(self.events(job.id)) > seen + 7)
            before = [event.id for event in self.events(job.id)]
            self.server.kill()
            self.server.start()
            after = [event.id for event in self.events(job.id)]
            self.assertEqual(after[:len(before)], before)
            restarts = [text for text in messages(job.id) if "was restarted" in text]
            self.assertEqual(len(restarts), kills)
        done = self.until(job.id, *FINAL)
        self.assertEqual(done.status, "succeeded", done.error)
        self.assertEqual(self.adapter_bytes(job.id), self.adapter_bytes(whole.id))
        losses = [[event.data["train_loss"] for event in self.events(id)
                   if event.type == "metrics"] for id in (job.id, whole.id)]
        self.assertEqual(len(losses[0]), 100)
        self.assertEqual(losses[0], losses[1])
        self.assertEqual(self.chat(done.fine_tuned_model),
                         self.chat(self.jobs.retrieve(whole.id).fine_tuned_model))

    def test_checkpoints_answer_while_the_job_runs(self):
        job = self.create(self.upload(rows(40)), epochs=100)
        found = wait_until("a checkpoint", lambda: list(self.jobs.checkpoints.list(job.id)))
        model = found[0].fine_tuned_model_checkpoint
        self.assertRegex(model, r"^ft:tiny:yiti::[0-9a-f]{8}:ckpt-step-\d+$")
        answer = self.chat(model)
        self.assertEqual(self.jobs.pause(job.id).status, "paused")
        self.until(job.id, "paused")
        kept = [one.fine_tuned_model_checkpoint for one in self.jobs.checkpoints.list(job.id)]
        answers = [self.chat(name) for name in kept]
        self.server.restart()
        self.assertEqual([self.chat(name) for name in kept], answers)
        if model in kept:
            self.assertEqual(answers[kept.index(model)], answer)
        self.assertEqual(self.jobs.retrieve(job.id).status, "paused")
        self.assertIn(self.jobs.resume(job.id).status, ("queued", "running"))
        self.until(job.id, "running")
        self.assertEqual(self.jobs.cancel(job.id).status, "cancelled")
        with self.assertRaises(openai.BadRequestError):
            self.jobs.cancel(job.id)

    def test_jobs_wait_for_each_other(self):
        file = self.upload(rows(40))
        first, second = self.create(file, epochs=100), self.create(file)
        self.until(first.id, "running")
        self.until(second.id, "queued")
        self.assertEqual([job.id for job in self.jobs.list(limit=1)], [second.id, first.id])
        self.jobs.cancel(first.id)
        self.assertEqual(self.until(second.id, *FINAL).status, "succeeded")

    def test_a_tuned_model_is_tuned_again_and_deleted(self):
        file = self.upload(rows(6))
        first = self.until(self.create(file).id, *FINAL).fine_tuned_model
        self.client.files.delete(file)
        again = self.jobs.create(model=first, training_file=self.upload(rows(6, "No, {}.")))
        second = self.until(again.id, *FINAL).fine_tuned_model
        self.assertTrue(second.startswith("ft:tiny:yiti::"), second)
        answer = self.chat(second)
        self.assertTrue(self.client.models.delete(first).deleted)
        self.server.restart()
        names = [model.id for model in self.client.models.list()]
        self.assertIn(second, names)
        self.assertNotIn(first, names)
        self.assertEqual(self.chat(second), answer)
        with self.assertRaises(openai.NotFoundError):
            self.chat(first)

    def test_refusals_say_what_is_wrong(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.upload(rows(2) + b'{"messages": 3}\n', "bad.jsonl")
        self.assertIn("bad.jsonl:3: ", caught.exception.message)
        file = self.upload(rows(2))
        with self.assertRaises(openai.NotFoundError):
            self.jobs.create(model="gpt-5", training_file=file)
        with self.assertRaises(openai.NotFoundError):
            self.jobs.create(model="tiny", training_file="file-none")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.jobs.create(model="tiny", training_file=file, method={"type": "dpo"})
        self.assertEqual(caught.exception.param, "method.type")

    def test_adapters_are_loaded_from_their_folder_only(self):
        job = self.until(self.create(self.upload(rows(6))).id, *FINAL)
        (self.data / "jobs" / job.id / "run/adapter").rename(self.adapters / "mine")
        post = lambda path, **body: self.client.post(path, body=body, cast_to=str)
        post("/load_lora_adapter", lora_name="mine", lora_path="mine")
        self.assertEqual(self.chat("mine"), self.chat(job.fine_tuned_model))
        with self.assertRaises(openai.ConflictError):
            post("/load_lora_adapter", lora_name="mine", lora_path=str(self.adapters / "mine"))
        post("/load_lora_adapter", lora_name="mine", lora_path=str(self.adapters / "mine"),
             load_inplace=True)
        (self.adapters / "out").symlink_to(self.data)
        for path in ("..", "../data", "/etc", "out", "nothing", ""):
            with self.assertRaises((openai.NotFoundError, openai.BadRequestError)):
                post("/load_lora_adapter", lora_name="other", lora_path=path)
        config = self.adapters / "mine" / "adapter_config.json"
        config.write_text(config.read_text().replace('"use_rslora"', '"use_dora": true, "x"'))
        with self.assertRaises(openai.InternalServerError) as caught:
            post("/load_lora_adapter", lora_name="other", lora_path="mine")
        self.assertIn("use_dora", caught.exception.message)
        post("/unload_lora_adapter", lora_name="mine")
        with self.assertRaises(openai.NotFoundError):
            self.chat("mine")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
