// CSV and lines become texts; results become CSV.

const TEXT_NAMES = [
  "text", "post", "question", "sentence", "utterance", "query", "message", "sms", "content", "comment", "review", "tweet",
  "document", "passage", "description", "body", "input", "title", "headline", "subject", "texts", "x",
];
const PAIR_NAMES = [
  ["sentence1", "sentence2"], ["premise", "hypothesis"], ["question1", "question2"], ["text_a", "text_b"],
  ["text", "text_pair"], ["text1", "text2"],
];
const FORMULA = /^[=+\-@\t\r]/;

/** A file's characters.  Throws an Error with a sentence where it is no text. */
export function decode(buffer) {
  const bytes = new Uint8Array(buffer);
  const mark = bytes.length > 1 ? (bytes[0] << 8) | bytes[1] : 0;
  const encoding = mark === 0xfffe ? "utf-16le" : mark === 0xfeff ? "utf-16be" : "utf-8";
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw new Error("This file is not text in UTF-8. Save it as “CSV UTF-8” or as plain text, then choose it again.");
  }
}

/** The lines that hold something. */
export function splitLines(text) {
  return text.split(/\r\n|\n|\r/).filter((line) => line.trim() !== "");
}

/** Rows of cells (RFC 4180); the separator is what the first line has most of: comma, semicolon or tab. */
export function parseCsv(text) {
  const first = text.slice(0, text.search(/[\r\n]|$/));
  const separator = [",", ";", "\t"].sort((a, b) => first.split(b).length - first.split(a).length)[0];
  const rows = [];
  let row = [];
  let cell = "";
  let isQuoted = false;
  const endCell = () => { row.push(cell); cell = ""; };
  const endRow = () => {
    endCell();
    if (row.length > 1 || row[0] !== "") rows.push(row);
    row = [];
  };
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (isQuoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') cell += text[++i];
      else isQuoted = false;
    } else if (c === '"' && cell === "") isQuoted = true;
    else if (c === separator) endCell();
    else if (c === "\n" || c === "\r") {
      if (c === "\r" && text[i + 1] === "\n") i++;
      endRow();
    } else cell += c;
  }
  if (cell !== "" || row.length) endRow();
  return rows;
}

/**
 * A table of a file: `names` of its columns, `rows`, and which columns the texts are probably in (`pair`: -1 for none).
 * The first row names columns where one of its cells is a name that such columns have, or where there are several.
 */
export function readTable(text) {
  const all = parseCsv(text);
  const first = (all[0] ?? []).map((name) => name.trim().toLowerCase());
  const isNamed = first.length > 1 || TEXT_NAMES.includes(first[0]);
  const names = isNamed ? all[0].map((name, i) => name.trim() || `column ${i + 1}`) : ["text"];
  const [column, pair] = guessColumns(first);
  return { names, rows: isNamed ? all.slice(1) : all, column, pair };
}

function guessColumns(names) {
  for (const [a, b] of PAIR_NAMES) if (names.includes(a) && names.includes(b)) return [names.indexOf(a), names.indexOf(b)];
  const known = TEXT_NAMES.find((name) => names.includes(name));
  return [known === undefined ? 0 : names.indexOf(known), -1];
}

/** Rows of cells as CSV for spreadsheets: a cell that would be a formula begins with an apostrophe. */
export function writeCsv(rows) {
  const line = (cells) => cells.map((cell) => quote(typeof cell === "number" ? String(cell) : neutralise(String(cell)))).join(",");
  return `${rows.map(line).join("\r\n")}\r\n`;
}

const neutralise = (cell) => (FORMULA.test(cell) ? `'${cell}` : cell);
const quote = (cell) => (/[",\r\n]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
