"""Fine-tunes a model over HTTP with the openai package, and chats with the result.

Start a server that keeps jobs, then run this:

    yiti serve MODEL.gguf --data-dir yiti-data
    python fine_tune.py --file examples/data/yiti-qa/train.jsonl
"""

import argparse
import time

import openai


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--url", default="http://127.0.0.1:8080/v1")
    options.add_argument("--file", required=True, help="JSONL of conversations")
    options.add_argument("--epochs", type=int, default=3)
    options.add_argument("--question", default="What is yiti?")
    options = options.parse_args()
    client = openai.OpenAI(base_url=options.url, api_key="none")
    base = next(model.id for model in client.models.list() if model.owned_by == "yiti")

    # 1. Upload the conversations. A line that cannot be used is named at once.
    with open(options.file, "rb") as data:
        file = client.files.create(file=data, purpose="fine-tune")
    print(f"Uploaded {file.filename}: {file.bytes} bytes, {file.id}")

    # 2. Start a job. What is left out, or "auto", the server chooses.
    job = client.fine_tuning.jobs.create(
        model=base, training_file=file.id, suffix="example",
        method={"type": "supervised", "supervised": {"hyperparameters": {
            "n_epochs": options.epochs}}})

    # 3. Follow it. Checkpoints can be chatted with while it runs.
    seen = set()
    while True:
        job = client.fine_tuning.jobs.retrieve(job.id)
        for event in reversed(list(client.fine_tuning.jobs.list_events(job.id))):
            if event.id not in seen:
                print(event.message)
            seen.add(event.id)
        if job.status in ("succeeded", "failed", "cancelled"):
            break
        time.sleep(0.5)
    if job.status != "succeeded":
        raise SystemExit(f"The job has {job.status}: {job.error and job.error.message}")

    # 4. The same question to the base and to the new model.
    for model in (base, job.fine_tuned_model):
        reply = client.chat.completions.create(
            model=model, temperature=0, max_tokens=64,
            messages=[{"role": "user", "content": options.question}])
        print(f"\n{model}\n  {reply.choices[0].message.content}")

    # 5. The loss of each step, as a table.
    table = client.files.content(job.result_files[0]).text
    print("\n" + "\n".join(table.splitlines()[:4]) + "\n…")


if __name__ == "__main__":
    main()
