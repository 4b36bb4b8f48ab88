"""Language models: generation, scoring, adapters, fine-tuning, serving."""
import asyncio
import json
import os
import signal
import struct
import sys
import threading
import time
import urllib.request

import pytest

import yiti

from conftest import ROOT

CHAT = [{"role": "user", "content": "hi"}]


def test_generation(tiny_chat):
    once = tiny_chat.generate("hello", max_tokens=8, temperature=0)
    assert isinstance(once, str) and once.finish_reason in ("length", "stop")
    assert once.prompt_tokens == len(tiny_chat.tokenizer.encode("hello"))
    assert once.fingerprint == tiny_chat.fingerprint
    ids = tiny_chat.tokenizer.encode("hello")
    assert tiny_chat.generate(ids, max_tokens=8, temperature=0).tokens == once.tokens
    assert "".join(tiny_chat.stream("hello", max_tokens=8, temperature=0)) == once
    assert tiny_chat.chat(CHAT, max_tokens=4, temperature=0) == tiny_chat.chat(
        "hi", max_tokens=4, temperature=0)


def test_a_model_says_what_it_is(tiny_chat):
    assert repr(tiny_chat) == "Model('tiny_chat', version=0)"


def test_sampling_follows_the_seed(tiny_chat):
    def draw(seed):
        return tiny_chat.generate("a", max_tokens=16, temperature=1.5, seed=seed).tokens

    assert draw(1) == draw(1)
    assert any(draw(seed) != draw(1) for seed in range(2, 6))


@pytest.mark.parametrize("call, error", [
    (lambda m: m.generate("a", max_tokens="x"), TypeError),
    (lambda m: m.generate("a", temprature=1), TypeError),
    (lambda m: m.generate(1.5), TypeError),
    (lambda m: m.generate([]), ValueError),
    (lambda m: m.generate("a", temperature=-1), ValueError),
    (lambda m: m.generate([10**6]), (ValueError, IndexError)),
    (lambda m: m.embed("a", pooling="max"), ValueError),
    (lambda m: m.logprobs([1]), ValueError),
    (lambda m: m.tokenizer.token_id("no such token"), LookupError),
    (lambda m: m.add_adapter("missing"), FileNotFoundError),
    (lambda m: m.add_adapter(targets=["nothing"]), LookupError),
    (lambda m: yiti.load("missing.gguf"), FileNotFoundError)])
def test_rejects(tiny_chat, call, error):
    with pytest.raises(error):
        call(tiny_chat)


def test_logprobs_are_those_of_generation(tiny_chat):
    made = tiny_chat.generate("hello", max_tokens=6, temperature=0, top_logprobs=0)
    ids = tiny_chat.tokenizer.encode("hello")
    scores = tiny_chat.logprobs(ids + made.tokens).tolist()
    assert scores[len(ids) - 1:] == pytest.approx(made.logprobs[:len(made.tokens)], abs=1e-5)


def test_forward_has_the_bits_of_a_session(tiny_chat):
    ids = tiny_chat.tokenizer.encode("hello there, what is it?")
    tokens = yiti.tensor(ids, dtype="int32")
    scores = tiny_chat.forward(tokens[:-1]).log_softmax()
    assert [scores[i, token].item() for i, token in enumerate(ids[1:])] == tiny_chat.logprobs(ids).tolist()
    losses = tiny_chat.forward(tokens[:-1], labels=tokens[1:])
    assert (losses + tiny_chat.logprobs(ids)).abs().max().item() < 1e-5
    twice = tiny_chat.forward(yiti.concat(tokens, tokens), yiti.concat(*2 * [yiti.arange(len(ids))]))
    assert twice[len(ids):].tolist() == twice[:len(ids)].tolist() == tiny_chat.forward(tokens).tolist()


@pytest.mark.parametrize("adapter", [True, False])
def test_a_training_loop_of_ones_own(adapter):
    model = yiti.load(ROOT / "tests/data/tiny_chat", max_tokens=1024)
    model = model.add_adapter(rank=4, seed=1) if adapter else model
    before = model.generate("hello", max_tokens=8, temperature=0)
    module = model.as_module()
    assert all(("lora_" in name) == adapter for name in module.state_dict())
    tokens = yiti.tensor(model.tokenizer.encode("hello there, what is it?"), dtype="int32")
    optimizer = yiti.optim.AdamW(module.parameters(), lr=0.02)
    losses = []
    for _ in range(20):
        loss = module(tokens[:-1], labels=tokens[1:]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert model.generate("hello", max_tokens=8, temperature=0) == before
    assert module.publish() == model.version == 1
    assert -model.logprobs(tokens.tolist()).mean().item() < losses[-1]
    assert model.generate("hello", max_tokens=8, temperature=0).version == 1


@pytest.mark.parametrize("call, error, text", [
    (lambda m, t: m.forward(t.astype("float32")), ValueError, "tokens is [4] of f32"),
    (lambda m, t: m.forward(t.reshape(2, 2)), ValueError, "tokens is [2, 2]"),
    (lambda m, t: m.forward(t[:0]), ValueError, "no tokens"),
    (lambda m, t: m.forward(t * 1000), (ValueError, IndexError), ""),
    (lambda m, t: m.forward(t, positions=t[1:]), ValueError, "positions is [3]"),
    (lambda m, t: m.forward(t, labels=t.astype("f32")), ValueError, "labels is [4] of f32"),
    (lambda m, t: m.forward([1, 2]), TypeError, ""),
    (lambda m, t: m.forward(t, parameters={"nothing": yiti.ones(1)}), LookupError, "nothing"),
    (lambda m, t: m.publish({next(iter(m.trainable())): yiti.ones(1)}), ValueError, "wants ["),
    (lambda m, t: m.trainable(["nothing"]), LookupError, "nothing"),
    (lambda m, t: m.logprobs([1, 10**6]), (ValueError, IndexError), "token 1000000"),
    (lambda m, t: m.logprobs([1, -1]), (ValueError, IndexError), "token -1")])
def test_forward_rejects(tiny_chat, call, error, text):
    with pytest.raises(error) as caught:
        call(tiny_chat, yiti.arange(4, dtype="int32") + 1)
    assert text in str(caught.value)


def test_embedding(tiny_chat):
    mean, last = tiny_chat.embed("hello there"), tiny_chat.embed("hello there", pooling="last")
    assert mean.ndim == 1 and mean.shape == last.shape and mean.tolist() != last.tolist()


def test_a_stream_can_be_left(tiny_chat):
    stream = tiny_chat.stream("hello", max_tokens=400, temperature=1, seed=1)
    next(stream)
    stream.cancel()
    assert stream.result()["finish_reason"] in ("cancelled", "stop")


def test_asyncio(tiny_chat):
    async def collect():
        pieces = [piece async for piece in tiny_chat.astream("hello", max_tokens=8, temperature=0)]
        both = await asyncio.gather(*(tiny_chat.agenerate("hello", max_tokens=8, temperature=0)
                                      for _ in range(3)))
        return "".join(pieces), both

    pieces, both = asyncio.run(collect())
    assert set(both) == {pieces}


def test_threads(tiny_chat):
    wanted = tiny_chat.generate("hello", max_tokens=8, temperature=0)
    seen = []
    threads = [threading.Thread(
        target=lambda: seen.append(tiny_chat.generate("hello", max_tokens=8, temperature=0)))
        for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [wanted] * 8


def test_tokenizer(tiny_chat):
    tokenizer = yiti.Tokenizer.load(ROOT / "tests/data/tiny_chat")
    ids = tokenizer.encode("hello")
    assert ids == tiny_chat.tokenizer.encode("hello") and tokenizer.decode(ids) == "hello"
    assert "hi" in tokenizer.render_chat(CHAT)
    assert tokenizer.encode_chat(CHAT) == tokenizer.encode(tokenizer.render_chat(CHAT),
                                                           add_special=False)


def write_chats(path, count=12):
    with open(path, "w", encoding="utf-8") as file:
        for i in range(count):
            file.write(json.dumps({"messages": [
                {"role": "user", "content": f"say {i}"},
                {"role": "assistant", "content": f"it is {i}"}]}) + "\n")
    return path


def test_fine_tuning_beside_serving(tiny_chat, tmp_path):
    data = write_chats(tmp_path / "train.jsonl")
    model = tiny_chat.add_adapter(rank=4, seed=1)
    base = tiny_chat.generate("hello", max_tokens=8, temperature=0)
    assert model.generate("hello", max_tokens=8, temperature=0) == base
    untrained, steps = model.fingerprint, []
    trainer = yiti.Trainer(model, data, output=tmp_path / "out", epochs=4, lr=0.05,
                           callbacks=[steps.append])
    with yiti.serve({"base": tiny_chat, "tuned": model}, trainer=trainer) as server:
        before = complete(server, "base")
        result = trainer.wait()
        after = complete(server, "tuned")
        assert complete(server, "base")["text"] == before["text"] != after["text"]
    assert steps[-1]["step"] == result["steps"] and result["last_loss"] < result["first_loss"]
    assert after["system_fingerprint"] == model.fingerprint != untrained
    assert tiny_chat.generate("hello", max_tokens=8, temperature=0) == base
    again = yiti.load(ROOT / "tests/data/tiny_chat", adapter=result["adapter"], max_tokens=512)
    text = model.generate("hello", max_tokens=8, temperature=0)
    assert again.generate("hello", max_tokens=8, temperature=0) == text
    model.save_adapter(tmp_path / "kept")
    kept = tiny_chat.add_adapter(tmp_path / "kept")
    assert kept.generate("hello", max_tokens=8, temperature=0) == text


def get(server, path):
    with urllib.request.urlopen(server.url + path, timeout=60) as reply:
        return json.load(reply)


def test_a_trainers_run_is_a_job_of_the_server(tiny_chat, tmp_path):
    model = tiny_chat.add_adapter(rank=2)
    data = write_chats(tmp_path / "train.jsonl")
    trainer = yiti.Trainer(model, data, max_steps=3, lr=0.01, publish_every=1, batch_tokens=64)
    with yiti.serve({"base": tiny_chat, "tuned": model}, trainer=trainer) as server:
        result = trainer.wait()
        (job,) = get(server, "/fine_tuning/jobs")["data"]
        assert (job["status"], job["model"], job["training_file"]) == ("succeeded", "tuned",
                                                                      "train.jsonl")
        assert get(server, f"/fine_tuning/jobs/{job['id']}") == job
        events = get(server, f"/fine_tuning/jobs/{job['id']}/events")["data"]
        losses = [event["data"]["train_loss"] for event in events if event["type"] == "metrics"]
        assert len(losses) == 3 and losses[0] == pytest.approx(result["last_loss"])
        endless = yiti.Trainer(model, data, epochs=100_000)
        server.list_run(endless, "tuned")
        (second,) = [x for x in get(server, "/fine_tuning/jobs")["data"] if x["id"] != job["id"]]
        assert second["status"] == "running"
        request = urllib.request.Request(
            f"{server.url}/fine_tuning/jobs/{second['id']}/cancel", method="POST")
        urllib.request.urlopen(request, timeout=60).close()
        assert endless.wait()["stopped"]
        assert get(server, f"/fine_tuning/jobs/{second['id']}")["status"] == "cancelled"


def test_tensorboard(tiny_chat, tmp_path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto import event_pb2
    trainer = yiti.Trainer(tiny_chat.add_adapter(), write_chats(tmp_path / "train.jsonl"),
                           max_steps=3, eval_fraction=0.3, eval_every=1, tensorboard=tmp_path / "board")
    losses = []
    trainer.callbacks.append(lambda step: losses.append(step["loss"]))
    trainer.train()
    (path,) = (tmp_path / "board").iterdir()
    data, values, at = path.read_bytes(), {}, 0
    while at < len(data):  # length, its checksum, the event, its checksum
        (size,) = struct.unpack_from("<Q", data, at)
        event = event_pb2.Event.FromString(data[at + 12:at + 12 + size])
        for value in event.summary.value:
            values.setdefault(value.tag, {})[event.step] = value.simple_value
        at += size + 16
    assert values["train/loss"] == {i + 1: pytest.approx(x) for i, x in enumerate(losses)}
    assert values["eval/loss"] and len(losses) == 3


def complete(server, model):
    """The reply, but for what differs from request to request."""
    request = urllib.request.Request(
        server.url + "/completions", headers={"Content-Type": "application/json"},
        data=json.dumps({"model": model, "prompt": "hello", "max_tokens": 4,
                         "temperature": 0}).encode())
    with urllib.request.urlopen(request, timeout=60) as reply:
        answer = json.load(reply)
    return {"text": answer["choices"][0]["text"], "system_fingerprint": answer["system_fingerprint"]}


def test_text_batches(tiny_chat, tmp_path):
    batches = yiti.data.TextBatches(write_chats(tmp_path / "train.jsonl"), tiny_chat.tokenizer,
                                    batch_tokens=128, seed=3)
    assert len(batches) == 12 and 0 < batches.trained_tokens < batches.tokens
    epoch = batches.epoch(1)
    assert sum(len(tokens) for tokens, _, _ in epoch) == batches.tokens
    for tokens, labels, positions in epoch:
        assert len(tokens) <= 128 and positions[0].item() == 0
        inside = labels[:-1] != -100
        assert labels[:-1][inside].tolist() == tokens[1:][inside].tolist()
    again = [tokens.tolist() for tokens, _, _ in batches.epoch(1)]
    assert again == [tokens.tolist() for tokens, _, _ in epoch]
    with pytest.raises(FileNotFoundError):
        yiti.data.TextBatches("missing.jsonl", tiny_chat.tokenizer)


def test_training_errors_arrive(tiny_chat, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{}\n")
    model = tiny_chat.add_adapter()
    with pytest.raises(ValueError, match="bad.jsonl:1"):
        yiti.Trainer(model, bad).train()
    with pytest.raises(TypeError, match="no option learning"):
        yiti.Trainer(model, bad, learning=1).train()


def test_an_error_in_a_callback_stops_the_run(tiny_chat, tmp_path):
    def stop(step):
        raise KeyError("enough")

    trainer = yiti.Trainer(tiny_chat.add_adapter(), write_chats(tmp_path / "train.jsonl"),
                           epochs=1000, callbacks=[stop])
    with pytest.raises(KeyError):
        trainer.train()


def check_ctrl_c(call):
    """Ctrl-C ends a call that lasts for longer within a second. Counted are another thread's naps, which
    take longer, too, where the machine is busy."""
    interrupted, ended, naps = threading.Event(), threading.Event(), []

    def interrupt():
        time.sleep(0.3)
        interrupted.set()
        os.kill(os.getpid(), signal.SIGINT)
        while not ended.is_set():
            time.sleep(0.01)
            naps.append(1)

    # A shell's job in the background begins with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            call()
            assert interrupted.is_set(), "the call ended too soon for this test"
            time.sleep(1)  # the call did not hear it
    finally:
        ended.set()
        thread.join()
        signal.signal(signal.SIGINT, before)
    assert len(naps) < 100


def test_ctrl_c_is_heard_by_a_trainer(tiny_chat, tmp_path):
    data = write_chats(tmp_path / "train.jsonl")
    trainer = yiti.Trainer(tiny_chat.add_adapter(), data, epochs=100_000)
    check_ctrl_c(trainer.train)


@pytest.mark.parametrize("call", [
    lambda model, text: model.generate(text, max_tokens=3000, temperature=1, seed=1),
    lambda model, text: list(model.stream(text, max_tokens=3000, temperature=1, seed=1)),
    lambda model, text: model.embed(text), lambda model, text: model.logprobs(text),
], ids=["generate", "stream", "embed", "logprobs"])
def test_ctrl_c_is_heard_by_a_model(smollm2, call):
    check_ctrl_c(lambda: call(smollm2, "One and another and " * 700))


def test_tensors_outlive_their_model():
    model = yiti.load(ROOT / "tests/data/tiny_chat", max_tokens=256)
    tensor = next(t for t in model.parameters().values() if t.dtype == yiti.float32)
    values = tensor.tolist()
    del model
    assert tensor.tolist() == values


@pytest.fixture(scope="module")
def smollm2(smollm2_path):
    return yiti.load(smollm2_path)


def test_smollm2_in_thirty_lines(smollm2_path):
    pytest.importorskip("openai")
    sys.path.insert(0, str(ROOT / "examples/python"))
    import fine_tune_and_serve
    before, after, result = fine_tune_and_serve.main(
        smollm2_path, ROOT / "examples/data/yiti-qa/train.jsonl", steps=3)
    assert result["steps"] == 3 and before[1] != after[1]
