"""A `yiti serve` of a test's own."""

import re
import resource
import signal
import subprocess
import threading
import time

import openai


class Server:
    """Starts the command with the given options on a free port, and again after a crash."""

    def __init__(self, yiti, model, *options, env=None, most_file_bytes=None):
        self.command = [yiti, "serve", model, "--port", "0", *map(str, options)]
        self.env = env
        self.most_file_bytes = most_file_bytes  # what is larger cannot be written, as on a full disk
        self.start()

    def start(self):
        self.log = []
        # Without its signal, a write beyond the limit is an error like others.
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, text=True,
                                        env=self.env, restore_signals=False)
        if self.most_file_bytes is not None:
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (self.most_file_bytes,) * 2)
        url = None
        for line in self.process.stderr:
            self.log.append(line)
            found = re.search(r"Serving .* at (https?://[\d.]+:\d+)", line)
            if found:
                url = found.group(1)
                break
        if url is None:
            raise RuntimeError("the server did not start:\n" + "".join(self.log))
        # Read on, so that the server never waits for somebody to take its log.
        self.reader = threading.Thread(target=self.log.extend, args=(self.process.stderr,))
        self.reader.start()
        self.url = url
        self.client = openai.OpenAI(base_url=url + "/v1", api_key="none", timeout=60,
                                    max_retries=0)

    def end(self, how=signal.SIGTERM):
        self.client.close()
        self.process.send_signal(how)
        code = self.process.wait(timeout=60)
        self.reader.join()
        self.process.stderr.close()
        return code

    def kill(self):
        self.end(signal.SIGKILL)

    def restart(self):
        self.end()
        self.start()


def wait_until(what, happens, seconds=90):
    """The first true value of happens()."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = happens()
        if value:
            return value
        time.sleep(0.02)
    raise TimeoutError(f"not within {seconds} s: {what}")
