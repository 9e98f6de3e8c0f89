"""From a labelled file to a published model: what `make train` runs.

read -> encode -> probe -> fine-tune -> calibrate -> export -> compare -> measure -> publish
"""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from retort.artifact import Artifact, Served, publish
from retort.config import TrainSettings
from retort.data.dataset import READERS, Dataset, load_dataset
from retort.data.sources import resolve_encoder
from retort.disk import write_json
from retort.errors import BadUsage, TrainingFailed
from retort.export.folder import write_golden, write_graph, write_model
from retort.export.quantize import quantize
from retort.export.verify import FLOAT_GRAPH, INT8_GRAPH
from retort.model.architecture import Config, Weights
from retort.model.checkpoint import Checkpoint, load_checkpoint
from retort.model.classifier import Classifier
from retort.model.device import Device, select_device, select_precision
from retort.model.encoder import parse_freeze
from retort.model.families import FAMILIES
from retort.model.heads import HEADS
from retort.model.scratch import FROM_NOTHING
from retort.recipes import fill_settings
from retort.tasks import TASKS, Decoding, Task
from retort.training.board import Board
from retort.training.card import build_card
from retort.training.charts import draw_confusion
from retort.training.checkpoints import Checkpoints
from retort.training.dataset import Examples, balanced_class_weights
from retort.training.part import build_part, flatten
from retort.training.probe import fit_probe
from retort.training.progress import Listeners, TrainingProgress
from retort.training.provenance import Stopwatch, command_of, package_versions, peak_rss_mb
from retort.training.report import TrainingReport, build_metrics, write_report
from retort.training.tensorboard import find_logs, show_tensorboard
from retort.training.trainer import Fitted, fit
from retort.trials import Trials

FEW_ROWS = 50  # a label; below, the frozen encoder with a fitted head is worth a try
N_COMPARED = 256  # validation rows on which the exported graph must equal the trained model
N_GOLDEN = 16
N_PROBED = 50_000  # decisions that a probe is fitted on, where it is only a start
# Where things lie, and whether to go on, makes no difference to what is learned.
PLACES = ("data", "validation", "test", "model", "word_vectors", "models_dir", "checkpoint_dir", "log_dir", "resume")


class Training:
    """One training: each method is a stage that leaves what the next ones take."""

    def __init__(self, settings: TrainSettings, say: Callable[[str], None]) -> None:
        self.settings, self.say = settings, say
        self.stage = Stopwatch(say)
        self.device: Device = select_device(settings.gpu)
        self.precision = select_precision(settings.precision, self.device)

    def read(self) -> None:
        """The files become splits."""
        s = self.settings
        if s.task not in TASKS:
            raise BadUsage(f"Unknown --task {s.task!r}; expected one of {', '.join(TASKS)}.")
        self.dataset: Dataset = load_dataset(
            s.data,
            s.validation,
            s.test,
            text_column=s.text_column,
            text_pair_column=s.text_pair_column,
            label_column=s.label_column,
            seed=s.seed,
            read=READERS[TASKS[s.task].gold],
        )
        self.task: Task = TASKS[s.task].suit(self.dataset.multi_label)
        self.labels = self.dataset.splits.labels
        self.label_names = self.task.label_names(self.labels)
        n_train, n_labels = len(self.dataset.splits.train), len(self.labels)
        self.say(f"{n_train:,} texts to learn {n_labels} labels from: {', '.join(self.labels[:8])} …")
        for line in self.dataset.splits.report.describe():
            self.say(line)
        if self.task.name != s.task:
            self.say(f"A text has several labels here (or a list of them), so this is {self.task.name}.")

    def encode(self) -> None:
        """The encoder is read, and every text becomes encodings."""
        checkpoint = self._start()
        self.settings = s = fill_settings(self.settings, checkpoint.config.family, self.task.answers)
        self.config: Config = replace(checkpoint.config, pooling=s.pooling or checkpoint.config.pooling)
        self.pretrained: Weights = checkpoint.weights
        self.tokenizer = checkpoint.tokenizer
        self.head = self._choose_head()
        self.fingerprint = self._fingerprint()
        self._advise()
        if s.max_seq_len > self.config.max_positions:
            raise BadUsage(
                f"--max-seq-len {s.max_seq_len}: {s.model} reads at most {self.config.max_positions} tokens."
            )
        long_text = s.long_text or self.task.long_text
        self.served = Served(
            self.task.name, s.max_seq_len, long_text, self.label_names, n_characters=self.config.n_characters
        )
        splits = self.dataset.splits
        self.train, self.validation, self.test = (
            build_part(self.task, rows, lambda inputs: self.served.encode(inputs, self.tokenizer), self.labels)
            for rows in (splits.train, splits.validation, splits.test)
        )

    def _start(self) -> Checkpoint:
        s = self.settings
        if s.model in FROM_NOTHING:
            texts = [row.fields["text"] for row in self.dataset.splits.train]
            return FROM_NOTHING[s.model](texts, self.say, s.seed, s.word_vectors)
        if s.word_vectors:
            raise BadUsage(f"--word-vectors is for --model {', '.join(FROM_NOTHING)}; {s.model} knows words already.")
        return load_checkpoint(resolve_encoder(s.model))

    def _choose_head(self) -> str:
        s, task = self.settings, self.task
        if self.config.n_characters and task.answers != "entities":
            raise BadUsage(f"A {self.config.family} labels words, so it is for --task token_classification.")
        if not s.crf:
            return task.head
        if (head := f"{task.head}_crf") not in HEADS:
            raise BadUsage(f"--crf is for tags of words; {task.name} has none.")
        if s.class_weights != "none":
            raise BadUsage(
                "--class-weights weighs single labels, a CRF sequences of them; leave it out, or add --no-crf."
            )
        return head

    def _advise(self) -> None:
        n_train, n_labels = len(self.dataset.splits.train), len(self.labels)
        if n_train / n_labels < FEW_ROWS and not self.settings.few_shot and not self.config.n_characters:
            self.say(
                f"That is {n_train / n_labels:.0f} texts a label; --few-shot trains in seconds and may do as well."
            )

    def probe(self) -> None:
        """The head starts from a logistic regression on what the frozen encoder makes of the texts."""
        s = self.settings
        frozen = self.config.n_layers if s.few_shot else parse_freeze(s.freeze, self.config)
        build = FAMILIES[self.config.family].build
        encoder = build(self.config, self.pretrained, self.precision, s.dropout, s.lora_rank, frozen, s.seed)
        head = HEADS[self.head](
            self.config,
            len(self.label_names),
            self.task.activation,
            self.pretrained,
            s.dropout,
            frozen=frozen > 0,
            seed=s.seed,
        )
        self.model = Classifier(encoder, head)
        if s.model in FROM_NOTHING:
            return
        weights = None
        if s.class_weights == "balanced":
            weights = balanced_class_weights(self.train.flat_targets, len(self.label_names))
        part = self.train if s.few_shot else self.train.sample(N_PROBED, s.seed)
        features = flatten(part.run(self.model.features))
        if not np.isfinite(features).all():
            raise TrainingFailed(
                f"{s.model} gives values for these texts that are no numbers; its weights are damaged, or "
                f"--precision {self.precision} is too narrow for them."
            )
        n_labels, activation = len(self.label_names), self.task.activation
        kernel, bias = fit_probe(features, part.flat_targets, n_labels, activation, s.seed, weights)
        head.start_from(kernel, bias, features.mean(axis=0))

    def find_unfinished(self) -> None:
        """Say whether there is something to go on from, and what becomes of it."""
        self.checkpoints = Checkpoints(self.settings.checkpoint_dir, self.fingerprint)
        if self.settings.resume and not self.checkpoints.exist:
            self.say("There is no unfinished training of these settings and files; starting at the beginning.")
        elif self.settings.resume:
            self.say(f"Going on with the unfinished training in {self.checkpoints.folder}.")
        elif self.checkpoints.exist:
            self.say("Starting over; an unfinished training of the same settings is dropped (--resume would go on).")

    def fine_tune(self, board: Board) -> None:
        """The whole model learns; the best epoch's weights stay.  With `few_shot` the probe is all."""
        s = self.settings
        self.fitted: Fitted | None = None
        if s.few_shot:
            return

        def validate() -> dict[str, float]:
            logits = self.validation.run(self.model.predict_logits)
            self.latest = self.validation.evaluate(logits, self._decoding)
            return self.latest.scores

        examples = Examples(self.train.flat_encodings, self.train.spread_targets)
        with TrainingProgress() as progress:
            self.fitted = fit(self.model, examples, s, validate, Listeners([progress, board]), self.checkpoints)

    def _fingerprint(self) -> str:
        """What must be the same for unfinished training to go on: what was chosen, the files' bytes, the encoder."""
        s = self.settings
        digest = hashlib.sha256(s.model_dump_json(exclude=set(PLACES)).encode() + self.precision.encode())
        for file in (s.data, s.validation, s.test):
            digest.update(hashlib.sha256(file.read_bytes() if file else b"").digest())
        digest.update(self.tokenizer.to_json().encode())
        for name in sorted(self.pretrained):
            digest.update(np.ascontiguousarray(self.pretrained[name]).data)
        return digest.hexdigest()[:16]

    def write(self, folder: Path, board: Board, logs: Path, created: datetime) -> None:
        """The trained model becomes an artifact's files, measured by the very sessions that serve it."""
        weights = self.model.export_weights()
        with self.stage("export"):
            real = self.validation.flat_encodings[:N_COMPARED]
            write_graph(folder, self.config, weights, self.task, real, self.tokenizer.pad_id)
            quantize(folder / FLOAT_GRAPH, folder / INT8_GRAPH, self.train.flat_encodings)
        with self.stage("measure"):
            trials = Trials(folder, self.tokenizer.pad_id, self._decoding, self.validation, self.test)
            self.decision, self.measured = trials.run()
        chosen = self.decision.variant
        if chosen.graph != INT8_GRAPH:
            (folder / INT8_GRAPH).unlink()
        measured = self.measured[chosen.name]
        served = replace(
            self.served,
            temperature=measured.temperature,
            graph=chosen.graph,
            precision=chosen.precision,
            chain=self.model.head.chain,
        )
        write_model(folder, self.config, weights, self.tokenizer, served)
        write_golden(folder, served, self.tokenizer, self.validation.inputs[:N_GOLDEN])
        if not self.fitted:
            board.on_evaluation("validation", measured.validation, 0)
        shutil.copytree(logs, folder / "tensorboard")
        report = self._describe(created)
        write_report(folder / "report.html", report)
        write_json(folder / "metrics.json", build_metrics(report))
        write_json(folder / "training_args.json", {**report.settings, "command": report.command, **report.versions})
        (folder / "README.md").write_text(build_card(report), encoding="utf-8")
        (folder / "confusion_matrix.png").write_bytes(draw_confusion(measured.test))

    @property
    def _decoding(self) -> Decoding:
        """How logits are read now, before anything is calibrated."""
        return Decoding(self.label_names, chain=self.model.head.chain)

    def _describe(self, created: datetime) -> TrainingReport:
        s, fitted = self.settings, self.fitted
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        given = {"train": s.data, "validation": s.validation, "test": s.test}
        return TrainingReport(
            model=s.model,
            family=self.config.family.upper(),
            task=self.task.name,
            created=created,
            data=self.dataset.splits.report,
            files={name: str(file) if file else f"a part of {s.data}" for name, file in given.items()},
            truncated={name: part.n_truncated for name, part in parts.items()},
            variants=self.measured,
            served=self.decision.variant.name,
            reason=self.decision.reason,
            history=fitted.history if fitted else (),
            best_epoch=fitted.best_epoch if fitted else 0,
            settings=s.model_dump(mode="json"),
            command=command_of(s),
            versions=package_versions(),
            device=f"{self.device.sentence} Precision: {self.precision}.",
            seconds=self.stage.seconds,
            examples_per_s=fitted.examples_per_s if fitted else len(self.train.rows) / self.stage.seconds["probe"],
            peak_rss_mb=peak_rss_mb(),
            answers=self.task.answers,
            pipeline_tag=self.task.pipeline_tag,
        )


def train(settings: TrainSettings, say: Callable[[str], None], tensorboard_port: int | None = None) -> Artifact:
    """Train as the settings say and publish the model; `say` is told what happens, a line at a time.

    Raises BadUsage (data or settings that cannot be), TrainingFailed, BadCheckpoint, DownloadFailed; then nothing is
    published, and what was learned so far waits for `--resume`.
    """
    try:
        return _train(settings, say, tensorboard_port)
    except OSError as e:
        raise TrainingFailed(
            f"Cannot read or write {e.filename or 'a file'}: {e.strerror or e}. Nothing was published; "
            "mend that, and the same command with --resume goes on."
        ) from e


def _train(settings: TrainSettings, say: Callable[[str], None], tensorboard_port: int | None) -> Artifact:
    created, name = datetime.now(UTC), Path(settings.model).name
    training = Training(settings, say)
    say(training.device.sentence)
    with training.stage("read"):
        training.read()
    with training.stage("encode"):
        training.encode()
    with training.stage("probe"):
        training.probe()
    training.find_unfinished()
    logs = find_logs(settings.log_dir, f"{created:%Y%m%d%H%M%S}_{name}_{training.fingerprint}", settings.resume)
    with Board(logs, lambda: training.latest) as board, show_tensorboard(settings.log_dir, tensorboard_port, say):
        with training.stage("fine-tune"):
            training.fine_tune(board)
        artifact = publish(
            settings.models_dir, name, lambda folder: training.write(folder, board, logs, created), created
        )
    training.checkpoints.clear()
    scores = training.measured[training.decision.variant.name].test.scores
    say(f"Published {artifact.path}: test " + " · ".join(f"{name} {value:.4f}" for name, value in scores.items()))
    say(training.decision.reason)
    say(f"Look at {artifact.path / 'report.html'}; serve it with: retort serve --models-dir {settings.models_dir}")
    return artifact
