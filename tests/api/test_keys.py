"""Which keys are known, and what becomes of their files."""

import hashlib
import logging
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from retort.api.keys import Keys, load_keys, read_keys
from retort.config import ServeSettings
from retort.errors import BadUsage

ONE, TWO, THREE = "key-of-team-one-1", "key-of-team-two-2", "key-of-team-three-3"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "keys"
    file.write_text(f"# who may predict\n\n{ONE}\n  {TWO}  # team two\n")
    return file


def rewrite(file: Path, text: str) -> None:
    """As careful people do."""
    draft = file.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(file)


def test_a_known_key_is_found_by_its_id() -> None:
    keys = Keys(f"{ONE}, {TWO}")
    for key in (ONE, TWO):
        assert keys.find(key) == hashlib.sha256(key.encode()).hexdigest()[:8]
    for other in ("", ONE[:-1], ONE + "x", ONE.upper(), f"{ONE},{TWO}", "ключ-команды-один", "\ud800" * 16):
        assert keys.find(other) is None


def test_a_file_and_a_setting_add_up(file: Path) -> None:
    keys = Keys(THREE, file)
    assert all(map(keys.find, (ONE, TWO, THREE)))


def test_without_keys_there_are_none() -> None:
    assert not any(load_keys(ServeSettings()))


def test_a_changed_file_is_read_again(file: Path) -> None:
    keys = Keys("", file)
    rewrite(file, f"{THREE}\n")
    assert keys.find(THREE)
    assert keys.find(ONE) is None


def test_a_file_changed_in_place_within_one_tick_of_the_clock_is_read_again(file: Path) -> None:
    keys = Keys("", file)
    for key in (ONE, TWO) * 20:  # of one length
        file.write_text(key)
        assert keys.find(key)


BROKEN = {
    "gone": None,
    "empty": b"",
    "only comments": b"# nobody\n",
    "a short key": b"short\n",
    "two keys on a line": f"{ONE} {TWO}\n".encode(),
    "no UTF-8": b"\xff\xfe" * 20,
    "no ASCII": "ключ-команды-один-один\n".encode(),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_keeps_the_last_good_keys_and_says_so_once(
    file: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    keys, content = Keys("", file), BROKEN[name]
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    for _ in range(3):
        assert keys.find(ONE)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(file) in caplog.text
    rewrite(file, THREE)
    assert keys.find(THREE)
    assert keys.find(ONE) is None


@pytest.mark.parametrize("name", BROKEN)
def test_a_server_does_not_start_with_a_broken_file(tmp_path: Path, name: str) -> None:
    file, content = tmp_path / "keys", BROKEN[name]
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadUsage, match="Cannot take keys from") as caught:
        load_keys(ServeSettings(admin_keys_file=file))
    assert ONE not in str(caught.value)


def test_a_file_with_windows_line_ends_and_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(f"\ufeff{ONE}\r\n{TWO}\r\n".encode())
    assert len(read_keys(tmp_path / "keys")) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_keeps_the_keys(file: Path) -> None:
    keys = Keys("", file)
    file.chmod(0)
    assert keys.find(ONE)


@pytest.mark.parametrize("given", ["", ",", "short", f"{ONE},short", "a b c d e f g h i j k l", "k" * 513, "é" * 20])
@pytest.mark.parametrize("setting", ["api_keys", "admin_keys"])
def test_keys_that_could_be_guessed_are_refused_and_not_repeated(setting: str, given: str) -> None:
    with pytest.raises(ValidationError, match="expected") as caught:
        ServeSettings(**{setting: given})
    assert not given.strip(",") or given not in str(caught.value)
    assert ONE not in str(caught.value)


def test_settings_do_not_show_their_keys() -> None:
    settings = ServeSettings(api_keys=ONE, admin_keys=TWO, log_inputs_salt=THREE)
    for key in (ONE, TWO, THREE):
        assert key not in repr(settings) + str(settings) + settings.model_dump_json()
