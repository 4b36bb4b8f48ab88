"""Language models: load, generate, fine-tune, serve."""
import asyncio
import time

from . import _yiti, nn
from ._yiti import Model
from .callbacks import TensorBoard

__all__ = ["Generation", "LanguageModule", "Model", "Server", "Trainer", "load", "serve"]


class Generation(str):
    """A generated text, with `tokens`, `finish_reason`, `logprobs` (NaN unless asked for by
    top_logprobs), `prompt_tokens`, `cached_tokens`, and the `version` and `fingerprint` of the
    parameters that made it."""

    def __new__(cls, result):
        self = super().__new__(cls, result["text"])
        vars(self).update({key: value for key, value in result.items() if key != "text"})
        return self


def load(path, adapter=None, *, device=None, kv=None, exact_activations=False, dequantise=False,
         max_tokens=8192, sequences=8):
    """Loads a GGUF file or a Hugging Face folder, with the adapter of a PEFT folder if one is given.

    kv: the dtype of keys and values, float32, float16, bfloat16 or int8; otherwise float32 for
    float32 weights, else float16. dequantise: quantised weights become float32, so that all of
    them can be trained.
    max_tokens: of all sequences together, in the KV cache; sequences: at once."""
    model = _yiti.load_model(path, device, kv, exact_activations, dequantise, max_tokens, sequences)
    return model if adapter is None else model.add_adapter(adapter)


def _generate(self, prompt, **options):
    """Continues a text or token ids; options as with stream()."""
    return Generation(self.stream(prompt, **options).result())


def _chat(self, messages, *, stream=False, variables=None, **options):
    """The assistant's next turn in a conversation, [{"role": ..., "content": ...}, ...], or a str for
    one message of the user. stream: its text as it comes. variables: for the chat template."""
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    prompt = self.tokenizer.encode_chat(messages, variables)
    return self.stream(prompt, **options) if stream else self.generate(prompt, **options)


async def _astream(self, prompt, **options):
    """stream() for asyncio: `async for piece in model.astream(prompt)`."""
    stream = self.stream(prompt, **options)
    try:
        while (piece := await asyncio.to_thread(next, stream, None)) is not None:
            yield piece
    finally:
        stream.cancel()


async def _agenerate(self, prompt, **options):
    """generate() for asyncio."""
    return await asyncio.to_thread(self.generate, prompt, **options)


class LanguageModule(nn.Module):
    """A language model as a module to train in a loop of one's own. Its parameters are copies, named
    as the model's: the adapter's where it has one, else all, or those of `names`. The model goes on
    as it is until publish()."""

    def __init__(self, model, names=None):
        self.model = model
        vars(self).update((name, nn.Parameter(value))
                          for name, value in model.trainable(names).items())

    def forward(self, tokens, positions=None, labels=None):
        """Model.forward() with this module's parameters."""
        return self.model.forward(tokens, positions, labels, dict(self.named_parameters()))

    def publish(self):
        """Makes the parameters a new version of the model, which generations that begin from then on
        see; gives its number."""
        return self.model.publish(self.state_dict())


def _as_module(self, names=None):
    """The model as an nn.Module: see LanguageModule."""
    return LanguageModule(self, names)


def _model_text(self):
    return f"Model({self.name!r}, version={self.version})"


Model.__repr__ = _model_text
Model.generate, Model.chat, Model.astream, Model.agenerate = _generate, _chat, _astream, _agenerate
Model.as_module = _as_module


class Trainer:
    """Fine-tunes a model on JSONL: its adapter where it has one, else all weights.

    data, eval_data: paths; output: a folder for adapter, log, curve and checkpoints. config: lr,
    schedule, epochs, max_steps, batch_tokens, accumulate, publish_every, ... as the options of `yiti
    finetune`. callbacks are called with each step's numbers, a dict under Hugging Face's metric
    names, in the thread that calls train(). tensorboard: a folder for TensorBoard's event files."""

    def __init__(self, model, data, *, eval_data=None, output=None, callbacks=(), progress=False,
                 tensorboard=None, **config):
        self.model, self.data, self.eval_data, self.output = model, data, eval_data, output
        self.callbacks, self.config = list(callbacks), config
        self.progress = progress
        self._board = None if tensorboard is None else TensorBoard(tensorboard)
        if self._board is not None:
            self.callbacks.append(self._board)
        self.notes, self._run = [], None

    def start(self):
        """Begins in a thread of its own; wait() follows it."""
        if self._run is None:
            self._run = _yiti.FineTuneRun(self.model, self.data, self.eval_data, self.output,
                                          self.config)
        return self

    def wait(self):
        """Follows the run to its end and gives its result. Ctrl-C stops the run behind the step under
        way."""
        bar = _bar() if self.progress else None
        try:
            while (event := self._run.next()) is not None:
                if isinstance(event, str):
                    self.notes.append(event)
                    continue
                if bar is not None:
                    bar.total = event["total_steps"]
                    bar.set_postfix(loss=f"{event['loss']:.4f}", refresh=False)
                    bar.update(event["step"] - bar.n)
                for callback in self.callbacks:
                    callback(event)
        except BaseException:
            self._run.stop()
            raise
        finally:
            if bar is not None:
                bar.close()
            if self._board is not None:
                self._board.close()
        return self._run.result()

    def train(self):
        """start() and wait()."""
        return self.start().wait()

    def stop(self):
        """Ends the run behind the step under way, with what was learnt kept."""
        if self._run is not None:
            self._run.stop()


def _bar():
    from tqdm.auto import tqdm  # only where progress is wanted
    return tqdm(unit="step")


class Server:
    """An OpenAI-compatible server in this process, until close() or the end of a with block."""

    def __init__(self, models, host="127.0.0.1", port=0, api_keys=(), log=None):
        self.host = host
        self._server = _yiti.HttpServer(models, host, port, list(api_keys), log)

    @property
    def port(self):
        return self._server.port

    @property
    def url(self):
        """What clients take as their base_url."""
        return f"http://{self.host}:{self.port}/v1"

    def list_run(self, trainer, name=None):
        """Starts a trainer, if need be, and lists its run among the jobs, where clients can follow and
        cancel it. name: under which its model is served."""
        self._server.list_run(trainer.start()._run.record, name or trainer.model.name)

    def add(self, name, model):
        """Serves another model, in place of what has the name."""
        self._server.add(name, model)

    def remove(self, name):
        self._server.remove(name)

    def close(self):
        self._server.close()

    def wait(self):
        """Until Ctrl-C, then closes."""
        try:
            while True:
                time.sleep(0.2)
        except KeyboardInterrupt:
            self.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def serve(model, *, name=None, host="127.0.0.1", port=0, api_keys=(), trainer=None, log=None):
    """Serves a model, or several by name in a dict, beside whatever else this process does: training
    of the same model goes on, and each version is served as it is published. trainer: is started, and
    its run listed under /v1/fine_tuning/jobs. Gives the Server; call its wait() to do nothing else."""
    models = model if isinstance(model, dict) else {name or model.name: model}
    server = Server(models, host, port, api_keys, log)
    if trainer is not None:
        names = [name for name, served in models.items() if served is trainer.model]
        server.list_run(trainer, names[0] if names else None)
    return server
