"""A file of texts becomes the same file with predictions: what `retort predict` runs.

survey -> choose model and columns -> score chunk after chunk -> publish

However large the file is, only a few chunks of it are in memory.  What is written depends on file, model and options
alone, so that a run that was killed goes on as if it had not been.
"""

import gzip
import itertools
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from retort import __version__
from retort.choices import STDOUT, choose_artifact, choose_output
from retort.config import PredictSettings
from retort.data.files import split_suffix
from retort.data.formats import ABSENT, scan_records
from retort.data.parquet_writer import write_parquet
from retort.data.survey import survey
from retort.data.writers import CsvWriter, JsonlWriter, Writer, encode_json
from retort.engine.loading import load_predictor
from retort.engine.predictor import Predictor
from retort.engine.scorer import Pending, Scorer
from retort.errors import BadData, BadUsage
from retort.progress import ScoringProgress
from retort.scored import Columns, Row
from retort.tasks.base import Input
from retort.unfinished import Command, Done, Unfinished, writing

CHUNK_ROWS, CHUNK_CHARACTERS = 2000, 2**20
N_AHEAD = 3  # chunks that are read and tokenized while one is run
WRITERS: dict[str, Callable[[Sequence[str]], Writer]] = {"csv": CsvWriter, "jsonl": JsonlWriter}
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of it.  `n_failed` rows have an error in place of a prediction; `seconds` are those of this run."""

    output: str
    model: str
    n_rows: int
    n_failed: int
    n_tokens: int
    seconds: float
    texts_per_s: float


class Sink(Protocol):
    """Where an output goes."""

    done: Done

    def append(self, content: bytes, n_rows: int = 0, n_failed: int = 0, n_tokens: int = 0) -> None:
        """Write what stands for so many more rows."""


class Stdout:
    """A terminal or a pipe; what went through it cannot be continued."""

    def __init__(self) -> None:
        self.done = Done()

    def append(self, content: bytes, n_rows: int = 0, n_failed: int = 0, n_tokens: int = 0) -> None:
        """Write it at once.  Raises BrokenPipeError: nobody reads any more."""
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        self.done = self.done.plus(len(content), n_rows, n_failed, n_tokens)


class Scoring:
    """One file, model and output."""

    def __init__(self, file: Path, settings: PredictSettings, say: Say) -> None:
        """Find out all that can be wrong before anything is computed.

        Raises BadData, BadUsage, UnknownModel, BadArtifact.
        """
        self.file, self.settings, self.say = file, settings, say
        self.survey, self._stat = survey(file), file.stat()
        self.output, self.format = choose_output(file, self.survey.format, settings.output, settings.resume)
        self.artifact = choose_artifact(settings.models_dir, settings.model)
        next(scan_records(file, self._choose), None)
        if "text_pair" in self.columns.roles and self.artifact.served.fixed_length:
            raise BadUsage(f"{self.artifact.path} reads no pairs; give --text-column to score single texts of {file}.")
        if self.columns.renamed:
            say(f"{file} has columns of these names already; written are {', '.join(self.columns.renamed)}.")

    def run(self) -> Summary:
        """Score what is not yet scored, and publish.  Raises CannotWriteOutput; BadData: the file changed meanwhile."""
        predictor = load_predictor(self.artifact, self.settings.n_threads)
        try:
            if self.output is None:
                return self._score(predictor, Stdout())
            with Unfinished(self.output, self._command(predictor), self.settings.resume, self.say) as unfinished:
                summary = self._score(predictor, unfinished)
                self._check_unchanged()
                self._publish(unfinished)
            return summary
        finally:
            predictor.close()

    def _choose(self, names: Sequence[str]) -> Sequence[str]:
        s = self.settings
        self.columns = Columns(names, s.text_column, s.text_pair_column, s.top_k)
        # Parquet is made at the end, of the input itself and a log of the results.
        self.wanted = list(self.columns.roles.values()) if self.format == "parquet" else self.columns.names
        return self.wanted

    def _command(self, predictor: Predictor) -> Command:
        """Whatever the output depends on."""
        return {
            "version": __version__,
            "input": [self.survey.format, self.survey.sha256],
            "model": [self.artifact.checksum, self.artifact.served.max_seq_len],
            "columns": self.columns.roles,
            "top-k": self.settings.top_k,
            "format": [self.format, self._is_packed],
            "batches": predictor.session.max_batch_tokens,
        }

    @property
    def _is_packed(self) -> bool:
        return self.output is not None and split_suffix(self.output)[1]

    def _score(self, predictor: Predictor, sink: Sink) -> Summary:
        writer = WRITERS[self.format]([*self.columns.kept, *self.columns.added]) if self.format in WRITERS else None
        start, first_row = time.monotonic(), sink.done.n_rows
        if first_row:
            self.say(f"Going on behind {first_row:,} rows that are done.")
        if writer is not None and not sink.done.n_bytes:
            sink.append(self._pack(writer.header()))
        with ScoringProgress() as progress, Scorer(predictor) as scorer:
            for rows, pending in self._submit(scorer, first_row, lambda share: progress(first_row, share, 0)):
                self._write(sink, writer, rows, pending)
                progress(sink.done.n_rows, self._share(rows), sink.done.n_failed)
        seconds, done = time.monotonic() - start, sink.done
        speed = round((done.n_rows - first_row) / max(seconds, 1e-9), 1)
        output = STDOUT if self.output is None else str(self.output)
        counts = done.n_rows, done.n_failed, done.n_tokens
        return Summary(output, self.artifact.version, *counts, round(seconds, 3), speed)

    def _submit(
        self, scorer: Scorer, first_row: int, begin: Callable[[float], None]
    ) -> Iterator[tuple[list[Row], Pending]]:
        """Chunks in their order, each once the ones behind it are on their way."""
        waiting: deque[tuple[list[Row], Pending]] = deque()
        for rows in self._read(first_row):
            if not waiting:
                begin(self._share(rows[:1]))
            waiting.append((rows, scorer.submit([row.given for row in rows if isinstance(row.given, Input)])))
            if len(waiting) > N_AHEAD:
                yield waiting.popleft()
        yield from waiting

    def _share(self, rows: Sequence[Row]) -> float:
        return min(1.0, rows[-1].record.line / max(1, self.survey.n_lines))

    def _read(self, first_row: int) -> Iterator[list[Row]]:
        """Chunks; each begins where the one before it ends, so they are the same wherever a run goes on."""
        rows: list[Row] = []
        n_characters = 0
        for record in itertools.islice(scan_records(self.file, lambda _: self.wanted), first_row, None):
            rows.append(self.columns.read(record, self.wanted, self.artifact.task))
            n_characters += len(record.raw) + sum(len(v) for v in record.values if isinstance(v, str))
            if len(rows) == CHUNK_ROWS or n_characters >= CHUNK_CHARACTERS:
                yield rows
                rows, n_characters = [], 0
        if rows:
            yield rows

    def _write(self, sink: Sink, writer: Writer | None, rows: list[Row], pending: Pending) -> None:
        answers = pending.wait()
        left = iter(answers)
        results = [self.columns.results(next(left) if isinstance(r.given, Input) else r.given) for r in rows]
        if writer is None:
            content = b"".join(encode_json([None if v is ABSENT else v for v in row]) + b"\n" for row in results)
        else:
            both = zip(rows, results, strict=True)
            content = writer.encode([*self.columns.values(row.record), *found] for row, found in both)
        n_failed = sum(found[-1] is not ABSENT for found in results)
        sink.append(self._pack(content), len(rows), n_failed, sum(a.n_tokens for a in answers))

    def _pack(self, content: bytes) -> bytes:
        """Members of gzip behind each other are a gzip file."""
        return gzip.compress(content, mtime=0) if self._is_packed else content

    def _check_unchanged(self) -> None:
        now = self.file.stat()
        if (now.st_size, now.st_mtime_ns) != (self._stat.st_size, self._stat.st_mtime_ns):
            raise BadData(f"{self.file} was changed while it was read; run the command again.")

    def _publish(self, unfinished: Unfinished) -> None:
        if self.format != "parquet":
            unfinished.publish()
            return
        self.say("Writing Parquet.")
        whole = unfinished.path.with_name(f"{unfinished.path.name}.parquet")
        added = self.columns.describe_added(self.artifact.task.answers)
        with writing(whole), unfinished.path.open("rb") as log:
            write_parquet(whole, self.file, self.columns.kept, self.columns.roles["text"], added, map(json.loads, log))
        unfinished.publish(whole)


def predict(file: Path, settings: PredictSettings, say: Say) -> Summary:
    """Score `file` as the settings say; `say` is told what people should know.

    Raises BadData, BadUsage, UnknownModel, BadArtifact, CannotWriteOutput.
    """
    return Scoring(file, settings, say).run()
