"""Code that a page quotes from a file must be in that file; links must lead somewhere."""
import os
import re
import unittest

ROOT = os.path.normpath(os.path.join(os.path.dirname(__file__), "..", ".."))
QUOTE = re.compile(r"^<!-- (\S+) -->\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)")


def pages():
    for folder, subfolders, names in os.walk(ROOT):
        subfolders[:] = [s for s in subfolders if s[0] != "." and s != "build"]
        for name in names:
            if name.endswith(".md"):
                yield os.path.join(folder, name)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Docs(unittest.TestCase):
    def test_quoted_code_is_in_its_file(self):
        for page in pages():
            for source, code in QUOTE.findall(read(page)):
                with self.subTest(page=page, source=source):
                    self.assertIn(code, read(os.path.join(ROOT, source)))

    def test_links_lead_somewhere(self):
        for page in pages():
            for target in LINK.findall(FENCED.sub("", read(page))):
                with self.subTest(page=page, target=target):
                    self.assertTrue(os.path.exists(os.path.join(os.path.dirname(page), target)))


if __name__ == "__main__":
    unittest.main()
