"""The pages of docs/api are those that scripts/python-reference writes."""
from importlib import util
from importlib.machinery import SourceFileLoader

from conftest import ROOT


def test_the_reference_is_fresh():
    loader = SourceFileLoader("python_reference", str(ROOT / "scripts/python-reference"))
    module = util.module_from_spec(util.spec_from_loader("python_reference", loader))
    loader.exec_module(module)
    written = {path.name: path.read_text(encoding="utf-8")
               for path in (ROOT / "docs/api").glob("*.md")}
    stale = [name for name, text in module.pages().items() if written.get(name) != text]
    assert not stale, f"run scripts/python-reference: {stale} are stale"
