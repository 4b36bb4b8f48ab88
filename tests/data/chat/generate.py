#!/usr/bin/env python3
"""Renders the templates of this folder with jinja2, set up as transformers does, for yiti's tests.

Run in this folder: python3 generate.py (needs transformers 5).
"""

import glob
import json

from transformers.utils.chat_template_utils import _compile_jinja_template, render_jinja_template

TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "The weather.\nNow.", "parameters": {
        "type": "object", "required": ["city"], "properties": {
            "city": {"type": "string", "description": "a city, \"quoted\" <b> é"},
            "days": {"type": "array", "items": {"type": "integer"}},
            "unit": {"enum": ["c", "f"]}}}}},
    {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {
        "type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "object", "properties": {}}}}}},
]

CHATS = {
    "one": [{"role": "user", "content": "Hi"}],
    "system": [{"role": "system", "content": " Be brief. "}, {"role": "user", "content": "What is 2+2?"}],
    "turns": [
        {"role": "user", "content": "Name a colour."}, {"role": "assistant", "content": "Blue.\n"},
        {"role": "user", "content": "Another? {{ x }} 日本\n\n"}, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nRed."},
    ],
    "tools": [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "call12345", "type": "function", "function": {"name": "weather", "arguments": {"city": "Bern", "days": [1, 2]}}}]},
        {"role": "tool", "content": "{\"t\": 21.5}", "tool_call_id": "call12345", "name": "weather"},
        {"role": "assistant", "content": "It is 21.5 °C."}, {"role": "user", "content": "Thanks"},
    ],
    "parts": [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": " What? "}]},
    ],
    "wrong": [{"role": "assistant", "content": "Hello"}, {"role": "assistant", "content": "again"}],
}


def main():
    cases = []
    for path in sorted(glob.glob("*.jinja")):
        source = open(path, encoding="utf-8").read()
        for name, chat in CHATS.items():
            for variables in ({"add_generation_prompt": True}, {"add_generation_prompt": False, "tools": TOOLS},
                              {"add_generation_prompt": True, "enable_thinking": False}):
                case = {"template": path, "messages": chat, "variables": variables}
                try:
                    template = _compile_jinja_template(source)
                    given = {"tools": None, "documents": None, **variables}
                    case["text"] = template.render(messages=chat, bos_token="<s>", eos_token="</s>", **given)
                except Exception as error:
                    case["error"] = str(error)
                if path == "generation.jinja" and "text" in case and name in ("one", "turns"):
                    text, spans = render_jinja_template([chat], chat_template=source, return_assistant_tokens_mask=True,
                                                        **variables)
                    assert text[0] == case["text"]
                    case["spans"] = [[len(case["text"][:a].encode()), len(case["text"][:b].encode())] for a, b in spans[0]]
                cases.append(case)
    with open("cases.json", "w", encoding="utf-8") as f:
        json.dump(cases, f, ensure_ascii=False, indent=0)
    print(len(cases), sum("error" in c for c in cases))
    for c in cases:
        if "error" in c:
            print(c["template"], c["error"][:90])


if __name__ == "__main__":
    main()
