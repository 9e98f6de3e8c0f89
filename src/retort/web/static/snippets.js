// A request becomes code that makes it again: curl, Python, JavaScript.

// What terminals and editors act on or do not show: controls, and characters that turn or hide others.
const UNSEEN = /[\u007f-\u009f\u2028\u2029\ufffe\uffff]|\p{Cf}|\p{Cs}/gu;
const MAX_ARGUMENT = 100_000; // bytes; Linux takes 128 KiB

const hex = (code, width) => code.toString(16).padStart(width, "0");
const asUnits = (c) => Array.from({ length: c.length }, (_, i) => `\\u${hex(c.charCodeAt(i), 4)}`).join("");
const asPython = (c) => (c.length === 1 ? asUnits(c) : `\\U${hex(c.codePointAt(0), 8)}`);

/** A value of JSON whose every character can be seen. */
const encode = (value, escape) => JSON.stringify(value).replace(UNSEEN, escape);

/** `request` is `{address, body, hasKey}`. */
export const LANGUAGES = {
  curl({ address, body, hasKey }) {
    const json = encode(body, asUnits);
    const head = [
      `curl -sS ${quoteShell(address)}`,
      "-H 'Content-Type: application/json'",
      ...(hasKey ? ['-H "Authorization: Bearer $RETORT_API_KEY"'] : []),
    ];
    if (new TextEncoder().encode(json).length < MAX_ARGUMENT) return `${[...head, `-d ${quoteShell(json)}`].join(" \\\n     ")}\n`;
    return `${[...head, "--data-binary @-"].join(" \\\n     ")} <<'JSON'\n${json}\nJSON\n`;
  },

  python({ address, body, hasKey }) {
    const lines = [
      ...(hasKey ? ["import os", ""] : []),
      "import requests",
      "",
      "response = requests.post(",
      `    ${encode(address, asPython)},`,
      `    json=${encode(body, asPython)},`,
      ...(hasKey ? ['    headers={"Authorization": "Bearer " + os.environ["RETORT_API_KEY"]},'] : []),
      "    timeout=60,",
      ")",
      "response.raise_for_status()",
      "print(response.json())",
    ];
    return `${lines.join("\n")}\n`;
  },

  javascript({ address, body, hasKey }) {
    const key = hasKey ? ', "Authorization": `Bearer ${process.env.RETORT_API_KEY}`' : "";
    const lines = [
      `const response = await fetch(${encode(address, asUnits)}, {`,
      '  method: "POST",',
      `  headers: {"Content-Type": "application/json"${key}},`,
      `  body: JSON.stringify(${encode(body, asUnits)}),`,
      "});",
      "if (!response.ok) throw new Error(await response.text());",
      "console.log(await response.json());",
    ];
    return `${lines.join("\n")}\n`;
  },
};

/** One word of a POSIX shell, whatever it holds. */
const quoteShell = (text) => `'${text.replaceAll("'", "'\\''")}'`;
