"""Fine-tunes an adapter of a model while the same process serves it.

    python fine_tune_and_serve.py MODEL.gguf TRAIN.jsonl
"""
import sys

from openai import OpenAI

import yiti


def main(path, data, steps=40):
    model = yiti.load(path).add_adapter(rank=8)
    trainer = yiti.Trainer(model, data, max_steps=steps, lr=2e-3, batch_tokens=512, publish_every=10,
                           callbacks=[lambda step: print(f"{step['step']}: {step['loss']:.3f}")])
    with yiti.serve(model, name="tuned", trainer=trainer) as server:
        client = OpenAI(base_url=server.url, api_key="none")

        def ask(question):
            answer = client.chat.completions.create(
                model="tuned", messages=[{"role": "user", "content": question}], max_tokens=40,
                temperature=0)
            return answer.choices[0].message.content, answer.system_fingerprint

        before = ask("What is yiti?")
        result = trainer.wait()
        return before, ask("What is yiti?"), result


if __name__ == "__main__":
    for answer in main(*sys.argv[1:])[:2]:
        print(answer)
