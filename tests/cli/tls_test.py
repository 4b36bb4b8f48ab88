"""HTTPS by `yiti serve`, with a certificate that the test makes and OpenAI's client.

usage: tls_test.py YITI MODEL
"""

import http.client
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

try:
    import httpx2
    import openai
except ImportError:
    print("skipped: this python has no openai")
    sys.exit(77)
if shutil.which("openssl") is None:
    print("skipped: there is no openssl")
    sys.exit(77)

from serve_process import Server

YITI, MODEL = sys.argv[1:3]


def make_certificate(folder, name):
    """A self-signed certificate for 127.0.0.1 and its key."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-out", certificate, "-keyout", key],
                   check=True, capture_output=True)
    return certificate, key


class TlsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        path = pathlib.Path(cls.folder.name)
        cls.certificate, cls.key = make_certificate(path, "server")
        cls.other_certificate, cls.other_key = make_certificate(path, "other")
        cls.server = Server(YITI, MODEL, "--name", "tiny", "--threads", 1, "--tls-cert",
                            cls.certificate, "--tls-key", cls.key)
        cls.addClassCleanup(cls.server.end)
        cls.port = int(cls.server.url.rsplit(":", 1)[1])

    def client(self, certificate):
        context = ssl.create_default_context(cafile=str(certificate))
        http = httpx2.Client(verify=context)
        self.addCleanup(http.close)
        return openai.OpenAI(base_url=self.server.url + "/v1", api_key="none", http_client=http,
                             max_retries=0, timeout=30)

    def connect(self, **options):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        for name, value in options.items():
            setattr(context, name, value)
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        self.addCleanup(raw.close)
        return context.wrap_socket(raw, suppress_ragged_eofs=False)

    def test_the_official_client_speaks_to_it(self):
        self.assertTrue(self.server.url.startswith("https://"))
        client = self.client(self.certificate)
        ask = dict(model="tiny", temperature=0, max_tokens=8,
                   messages=[{"role": "user", "content": "What is 3?"}])
        whole = client.chat.completions.create(**ask).choices[0].message.content
        pieces = [chunk.choices[0].delta.content or "" for chunk in
                  client.chat.completions.create(stream=True, **ask) if chunk.choices]
        self.assertEqual("".join(pieces), whole)

    def test_another_certificate_is_not_trusted(self):
        with self.assertRaises(openai.APIConnectionError):
            self.client(self.other_certificate).models.list()

    def test_a_page_gets_what_is_trusted_only(self):
        for certificate, status in ((self.certificate, 200), (self.other_certificate, 502)):
            proxy = Server(YITI, MODEL, "--on-demand", "--cors-proxy",
                           env=os.environ | {"SSL_CERT_FILE": str(certificate)})
            self.addCleanup(proxy.end)
            connection = http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=60)
            self.addCleanup(connection.close)
            connection.request("GET", f"/cors-proxy?url={self.server.url}/health")
            reply = connection.getresponse()
            self.assertEqual(reply.status, status, reply.read())

    def test_one_connection_serves_several_requests_and_ends_orderly(self):
        with self.connect() as stream:
            for closing in ("keep-alive", "close"):
                stream.sendall(f"GET /health HTTP/1.1\r\nHost: x\r\nConnection: {closing}\r\n\r\n"
                               .encode())
                reply = b""
                while not reply.endswith(b'{"status":"ok"}'):
                    reply += stream.recv(4096)
            self.assertEqual(stream.recv(1), b"")  # told by TLS, so that nobody can cut answers short

    def test_old_versions_and_plain_text_are_refused(self):
        with self.connect() as stream:
            self.assertIn(stream.version(), ("TLSv1.2", "TLSv1.3"))
        with self.assertRaises((ssl.SSLError, OSError)):
            self.connect(minimum_version=ssl.TLSVersion.TLSv1,
                         maximum_version=ssl.TLSVersion.TLSv1_1)
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as plain:
            plain.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            reply = b""
            try:
                while piece := plain.recv(4096):
                    reply += piece
            except ConnectionResetError:
                pass
            self.assertNotIn(b"HTTP/1.1 200", reply)

    def test_a_client_that_leaves_in_the_handshake_harms_nobody(self):
        for part in (b"", b"\x16\x03\x01", b"nonsense" * 100):
            with socket.create_connection(("127.0.0.1", self.port)) as half:
                half.sendall(part)
        self.assertEqual(len(self.client(self.certificate).models.list().data), 1)

    def refusal(self, *options):
        done = subprocess.run([YITI, "serve", MODEL, "--port", "0", *map(str, options)],
                              capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        return done.stderr

    def test_files_that_are_no_pair_are_named(self):
        self.assertIn(f"the key in {self.other_key} cannot be used",
                      self.refusal("--tls-cert", self.certificate, "--tls-key", self.other_key))
        self.assertIn(f"the certificate in {self.key} cannot be used",
                      self.refusal("--tls-cert", self.key, "--tls-key", self.key))
        self.assertIn("wants both or none", self.refusal("--tls-cert", self.certificate))
        self.assertIn("--tls-cert", self.refusal("--tls-key", self.key))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
