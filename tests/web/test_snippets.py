"""What is copied asks the same again: it is run, by bash, Python and the browser."""

import ast
import json
import subprocess
import sys
from typing import Any

from browser import Open

from served import Server

TEXTS = [
    'it\'s "quoted" `whoami` $(whoami) $HOME ${HOME} !! !x \\ \\n %s @file & | ; < > # ~ * ?',
    "two\nlines\tand\r\u2028\u2029\u0085more",
    "'; rm -rf /; '''\"\"\" \\' \\\" \\\\' </script> ${`x`}",
    "👍🏽 👩‍👩‍👧‍👦 é 你 \u202e\u2066 \U000e0041 \ufeff \x00\x1b[31m\x7f",
    "JSON\nJSON\n",
    "java " * 30_000,
]


def test_code_in_each_language_gives_the_same_answer(open_page: Open, server: Server) -> None:
    watched = open_page("wide")
    page = watched.page
    for text in TEXTS:
        page.fill("#text", "")
        page.evaluate("(text) => { document.querySelector('#text').value = text }", text)
        page.click("#predict")
        watched.wait()
        sent = page.input_value("#text")  # a field knows one kind of line end
        _, expected = server.ask("POST", "/models/wide/predict", {"x": [sent], "top_k": 10})
        snippets = {language: copied(page, language) for language in ("curl", "python", "javascript")}
        assert json.loads(run("bash", given=snippets["curl"])) == expected
        assert ast.literal_eval(run(sys.executable, "-", given=snippets["python"])) == expected
        said: list[Any] = page.evaluate(
            "(code) => new Promise((done) => { const console = { log: done };"
            " (Object.getPrototypeOf(async () => {}).constructor)('console', code)(console) })",
            snippets["javascript"],
        )
        assert said == expected


def copied(page: Any, language: str) -> str:
    """What lands in the clipboard."""
    page.check(f"[name=language][value={language}]")
    page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text }")
    page.click("#copy")
    page.wait_for_selector("#copied:not(:empty)")
    return str(page.evaluate("window.copied"))


def run(*command: str, given: str = "") -> str:
    ran = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
