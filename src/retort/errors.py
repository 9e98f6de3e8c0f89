"""Everything that can go wrong, as one tree.  It knows nothing of HTTP: `api/errors.py` gives each its status.

RetortError
├── BadUsage             the command line asks for something that cannot be (exit 2)
│   ├── BadData          a file of labelled text cannot be used
│   ├── UnknownModel     no encoder or model of that name
│   └── ModelInUse       a model that serves cannot be removed
├── BadCheckpoint        a pretrained folder or archive cannot be read
├── DownloadFailed       the network gave no (whole) file
├── TrainingFailed       training cannot go on (NaN loss, full disk)
├── BadArtifact          a trained model, or the pointer to it, is damaged or missing
├── CannotWrite          a trained model cannot be written (full disk, no permission)
│   └── CannotWriteOutput  a file of predictions cannot
├── ModelNotReady        no model answers yet: it is still being loaded
├── InferenceFailed      the model gave no answer to this input; those of its neighbours are sound
├── Overloaded           more is waiting than can be answered in time; nothing was computed
├── DeadlinePassed       the client's time ran out; what was not yet computed never is
├── ClientLeft           nobody waits for the answer any more; what was not yet computed never is
└── BadRequest           a client sent something that cannot be answered
    ├── NotJson          the body is not (strict) JSON
    ├── InvalidInput     JSON of the wrong shape; names the item's index where there is one
    ├── BodyTooLong      more bytes than one request may hold
    ├── TooManyTexts     more texts than one request may hold
    ├── TooManyTokens    more tokens than one request may hold
    ├── ModelRefused     a model that an administrator chose cannot serve
    ├── NoSuchModel      the server holds no model of that name
    ├── NoSuchDocument   that model has no card, or no report
    ├── Unauthorized     no API key, or none that is known
    ├── Forbidden        a known API key that may not do this
    └── ForeignPage      a page of another site sent what browsers send unasked
"""


class RetortError(Exception):
    """Root of the tree.  The message says what was expected, what came, and what to do."""


class BadUsage(RetortError):
    """The command line or a setting asks for something that cannot be."""


class BadData(BadUsage):
    """A file of labelled text cannot be used."""


class UnknownModel(BadUsage):
    """No encoder or model of that name."""


class ModelInUse(BadUsage):
    """A model that serves cannot be removed."""


class BadCheckpoint(RetortError):
    """A pretrained folder or archive cannot be read."""


class DownloadFailed(RetortError):
    """The network gave no (whole) file."""


class TrainingFailed(RetortError):
    """Training cannot go on."""


class BadArtifact(RetortError):
    """A trained model, or the pointer to it, is damaged or missing."""


class CannotWrite(RetortError, OSError):
    """A trained model cannot be written.  It takes what OSError takes: errno, reason, file."""

    def __str__(self) -> str:
        return f"Cannot write {self.filename}: {self.strerror}. Make room or allow it, or choose another --models-dir."


class CannotWriteOutput(CannotWrite):
    """A file of predictions cannot be written."""

    def __str__(self) -> str:
        return (
            f"Cannot write {self.filename}: {self.strerror}. Make room or allow it, or choose another --output; to the "
            "same one, --resume goes on with what is done."
        )


class ModelNotReady(RetortError):
    """No model answers yet: it is still being loaded."""


class InferenceFailed(RetortError):
    """The model gave no answer to this input; those of its neighbours are sound."""


class Overloaded(RetortError):
    """More is waiting than can be answered in time; nothing was computed.  `retry_after_s` is whole seconds."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlinePassed(RetortError):
    """The client's time ran out; what was not yet computed never is."""


class ClientLeft(RetortError):
    """Nobody waits for the answer any more; what was not yet computed never is."""


class BadRequest(RetortError):
    """A client sent something that cannot be answered."""


class NotJson(BadRequest):
    """The body is not (strict) JSON."""


class InvalidInput(BadRequest):
    """JSON of the wrong shape."""


class BodyTooLong(BadRequest):
    """More bytes than one request may hold."""


class TooManyTexts(BadRequest):
    """More texts than one request may hold."""


class TooManyTokens(BadRequest):
    """More tokens than one request may hold."""


class ModelRefused(BadRequest):
    """A model that an administrator chose cannot serve; only they read why, for it names files."""


class NoSuchModel(BadRequest):
    """The server holds no model of that name."""


class NoSuchDocument(BadRequest):
    """That model has no such document."""


class Unauthorized(BadRequest):
    """No API key, or none that is known."""


class Forbidden(BadRequest):
    """A known API key that may not do this."""


class ForeignPage(BadRequest):
    """A page of another site sent what browsers send unasked, perhaps without its visitor's will."""
