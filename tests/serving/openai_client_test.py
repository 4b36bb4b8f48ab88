"""Drives a server with the official openai client.

usage: openai_client_test.py SERVER_COMMAND...

The command prints its port as its first line and serves, until its standard input ends, a model
"fake" that answers "say:TEXT" with TEXT (tests/serving/fake_generator.h) and a job "ftjob-1", all
with the API key that is appended to the command.
"""

import json
import sys
import unittest

from fake_server import KEY, FakeServer

try:
    import openai
except ImportError:
    print("skipped: this python has no openai")
    sys.exit(77)

MODEL = "fake"
COMMAND = sys.argv[1:]


def chat_messages(text):
    return [{"role": "user", "content": text}]


class OpenAiClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = FakeServer(COMMAND)
        cls.url = cls.server.url + "/v1"
        cls.client = openai.OpenAI(base_url=cls.url, api_key=KEY, timeout=30, max_retries=0)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.end()

    def chat(self, text, **more):
        return self.client.chat.completions.create(
            model=MODEL, messages=chat_messages(text), **more)

    def test_chat(self):
        reply = self.chat("say:Hello!", temperature=0, seed=1, user="me")
        self.assertEqual(reply.object, "chat.completion")
        self.assertEqual(reply.choices[0].message.role, "assistant")
        self.assertEqual(reply.choices[0].message.content, "Hello!")
        self.assertEqual(reply.choices[0].finish_reason, "stop")
        self.assertEqual(reply.system_fingerprint, "fp_fake")
        self.assertEqual(reply.usage.completion_tokens, 6)
        self.assertEqual(reply.usage.total_tokens, reply.usage.prompt_tokens + 6)
        self.assertEqual(reply._request_id, reply.id)

    def test_chat_with_parts_and_several_choices(self):
        reply = self.client.chat.completions.create(
            model=MODEL, n=2, max_completion_tokens=3,
            messages=[{"role": "developer", "content": "be brief"},
                      {"role": "user", "content": [{"type": "text", "text": "say:abcdef"}]}])
        self.assertEqual([choice.message.content for choice in reply.choices], ["abc", "abc"])
        self.assertEqual([choice.finish_reason for choice in reply.choices], ["length"] * 2)

    def test_stop_strings(self):
        self.assertEqual(
            self.chat("say:one two", stop=[" t", "x"]).choices[0].message.content, "one")

    def test_stream(self):
        chunks = list(self.chat("say:Hé!", stream=True, stream_options={"include_usage": True}))
        self.assertEqual(chunks[0].object, "chat.completion.chunk")
        self.assertEqual(chunks[0].choices[0].delta.role, "assistant")
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        self.assertEqual(text, "Hé!")
        self.assertEqual(chunks[-2].choices[0].finish_reason, "stop")
        self.assertEqual(chunks[-2].system_fingerprint, "fp_fake")
        self.assertEqual(chunks[-1].choices, [])
        self.assertEqual(chunks[-1].usage.completion_tokens, 4)
        self.assertEqual(len({chunk.id for chunk in chunks}), 1)

    def test_stream_helper_accumulates(self):
        with self.client.chat.completions.stream(
                model=MODEL, messages=chat_messages("say:Hello there")) as stream:
            stream.until_done()
            reply = stream.get_final_completion()
        self.assertEqual(reply.choices[0].message.content, "Hello there")

    def test_a_stream_that_is_left(self):
        for _ in range(3):
            with self.chat("forever", stream=True) as stream:
                for number, _ in enumerate(stream):
                    if number == 5:
                        break
        self.assertEqual(self.chat("say:still here").choices[0].message.content, "still here")

    def test_chat_logprobs(self):
        reply = self.chat("say:hi", logprobs=True, top_logprobs=2)
        content = reply.choices[0].logprobs.content
        self.assertEqual([token.token for token in content], ["h", "i"])
        self.assertEqual(content[0].bytes, [ord("h")])
        self.assertEqual(content[0].logprob, -0.5)
        self.assertEqual(len(content[0].top_logprobs), 2)

    def test_completion(self):
        reply = self.client.completions.create(model=MODEL, prompt="say:abc", logprobs=1)
        self.assertEqual(reply.object, "text_completion")
        self.assertEqual(reply.choices[0].text, "abc")
        self.assertEqual(reply.choices[0].logprobs.tokens, ["a", "b", "c"])
        self.assertEqual(reply.choices[0].logprobs.text_offset, [0, 1, 2])

    def test_completion_of_several_prompts(self):
        reply = self.client.completions.create(model=MODEL, prompt=["say:a", "say:b"])
        self.assertEqual([choice.text for choice in reply.choices], ["a", "b"])

    def test_completion_stream(self):
        stream = self.client.completions.create(model=MODEL, prompt="say:abc", stream=True)
        self.assertEqual("".join(chunk.choices[0].text for chunk in stream), "abc")

    def test_sampling_extensions(self):
        reply = self.chat("say:x", extra_body={"top_k": 5, "min_p": 0.1,
                                               "repetition_penalty": 1.1})
        self.assertEqual(reply.choices[0].message.content, "x")

    def test_tool_calls(self):
        tools = [{"type": "function", "function": {"name": "look", "parameters": {
            "type": "object", "properties": {"ok": {"const": True}}, "required": ["ok"]}}}]
        said = 'say:<tool_call>{"name": "look", "arguments": {"ok": true}}</tool_call>'
        reply = self.chat(said, tools=tools)
        self.assertEqual(reply.choices[0].finish_reason, "tool_calls")
        call = reply.choices[0].message.tool_calls[0]
        self.assertEqual(call.function.name, "look")
        self.assertEqual(json.loads(call.function.arguments), {"ok": True})
        turns = chat_messages("look") + [
            reply.choices[0].message,
            {"role": "tool", "tool_call_id": call.id, "content": "say:done"}]
        done = self.client.chat.completions.create(model=MODEL, messages=turns, tools=tools)
        self.assertEqual(done.choices[0].message.content, "done")
        forced = self.chat("say:no", tools=tools, tool_choice=tools[0], parallel_tool_calls=False)
        self.assertEqual(len(forced.choices[0].message.tool_calls), 1)
        with self.client.chat.completions.stream(
                model=MODEL, messages=chat_messages(said), tools=tools) as stream:
            final = stream.get_final_completion()
        self.assertEqual(final.choices[0].message.tool_calls[0].function.name, "look")

    def test_json_schema(self):
        schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"],
                  "additionalProperties": False}
        reply = self.chat('say:{"a":5}', response_format={
            "type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}})
        self.assertEqual(json.loads(reply.choices[0].message.content), {"a": 5})

    def test_responses(self):
        reply = self.client.responses.create(model=MODEL, input="say:hello")
        self.assertEqual(reply.output_text, "hello")
        self.assertEqual(reply.usage.output_tokens, 5)
        with self.client.responses.stream(model=MODEL, input="say:hello") as stream:
            text = "".join(event.delta for event in stream
                           if event.type == "response.output_text.delta")
            final = stream.get_final_response()
        self.assertEqual(text, "hello")
        self.assertEqual(final.output_text, "hello")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.responses.create(model=MODEL, input="x", previous_response_id="resp_1")
        self.assertEqual(caught.exception.param, "previous_response_id")

    def test_embeddings(self):
        # The client asks for base64 by itself.
        reply = self.client.embeddings.create(model=MODEL, input=["ab", "c"])
        self.assertEqual([len(one.embedding) for one in reply.data], [2, 2])
        self.assertEqual(reply.usage.prompt_tokens, 3)
        floats = self.client.embeddings.create(model=MODEL, input="ab", encoding_format="float")
        self.assertEqual(floats.data[0].embedding, reply.data[0].embedding)

    def test_models(self):
        self.assertEqual([model.id for model in self.client.models.list()], [MODEL])
        self.assertEqual(self.client.models.retrieve(MODEL).owned_by, "yiti")

    def test_jobs(self):
        jobs = self.client.fine_tuning.jobs
        self.assertEqual([job.id for job in jobs.list()], ["ftjob-1"])
        job = jobs.retrieve("ftjob-1")
        self.assertEqual(job.status, "running")
        self.assertIsNone(job.trained_tokens)
        self.assertEqual(job.yiti["tokens"], 4096)
        self.assertEqual(job.yiti["step"], 7)
        events = list(jobs.list_events("ftjob-1"))
        self.assertEqual([event.message for event in events], ["step 7", "started"])

    def test_pages(self):
        events = self.client.fine_tuning.jobs.list_events("ftjob-1", limit=1)
        self.assertEqual([event.id for event in events], ["ftevent-2", "ftevent-1"])

    def test_errors(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client.chat.completions.create(model="gpt-5", messages=chat_messages("hi"))
        self.assertEqual(caught.exception.code, "model_not_found")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat("hi", temperature=5)
        self.assertEqual(caught.exception.param, "temperature")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat("hi", reasoning_effort="high")
        self.assertEqual(caught.exception.code, "unsupported_parameter")
        with self.assertRaises(openai.InternalServerError):
            self.chat("fail:")
        with self.assertRaises(openai.APIError):
            list(self.chat("fail:abc", stream=True))
        stranger = self.client.with_options(api_key="wrong")
        with self.assertRaises(openai.AuthenticationError):
            stranger.models.list()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
