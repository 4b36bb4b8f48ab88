"""The program that stands in for a server in tests."""
import subprocess

KEY = "test-key"


class FakeServer:
    """Starts the command with KEY and further arguments; it ends when its input does."""

    def __init__(self, command, *arguments):
        self.process = subprocess.Popen(
            [*command, KEY, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=30) == 0
        self.process.stdout.close()
