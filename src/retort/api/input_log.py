"""What the log holds of the texts, where the settings want it to hold anything."""

import hmac
import secrets
from collections.abc import Callable, Sequence
from hashlib import sha256

from retort.config import ServeSettings
from retort.tasks.base import Input

MAX_TEXTS = 16  # of one request
MAX_CHARACTERS = 256  # of one text

InputLog = Callable[[Sequence[Input]], list[str | list[str]]]


def build_input_log(settings: ServeSettings) -> InputLog | None:
    """Turns inputs into what is logged of them; None where nothing is.

    Hashes are HMAC-SHA256: equal texts have equal ones, and without the salt nobody can try out which text it was.
    """
    if settings.log_inputs == "none":
        return None
    if settings.log_inputs == "text":
        return lambda inputs: _describe(inputs, lambda text: text[:MAX_CHARACTERS])
    given = settings.log_inputs_salt
    salt = given.get_secret_value().encode() if given else secrets.token_bytes(32)
    return lambda inputs: _describe(inputs, lambda text: hmac.new(salt, text.encode(), sha256).hexdigest())


def _describe(inputs: Sequence[Input], show: Callable[[str], str]) -> list[str | list[str]]:
    return [
        show(each.text) if each.text_pair is None else [show(each.text), show(each.text_pair)]
        for each in inputs[:MAX_TEXTS]
    ]
