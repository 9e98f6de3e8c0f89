"""Where training computes and in which precision: what was asked for meets what the machine has."""

import functools
import os
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from retort.errors import BadUsage

BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")


@dataclass(frozen=True, slots=True)
class Device:
    """`kind` is "cpu" or "gpu"; `sentence` says to a person what was chosen and why."""

    kind: str
    sentence: str


def select_device(gpu: int | None) -> Device:
    """Make TensorFlow see GPU number `gpu` only (the first when None), or no GPU where there is none.

    To be called before TensorFlow computes anything.  Raises BadUsage: there are GPUs, but not that many.
    """
    found = tf.config.list_physical_devices("GPU")
    if not found:
        n_cores = tf.config.threading.get_intra_op_parallelism_threads() or _n_cores()
        asked = f"No GPU {gpu} here: " if gpu is not None else ""
        return Device("cpu", f"{asked}training on the CPU with {n_cores} core{'s' if n_cores > 1 else ''}.")
    if gpu is not None and gpu >= len(found):
        raise BadUsage(f"There is no GPU {gpu}: this machine has {len(found)}, counted from 0.")
    chosen = found[gpu or 0]
    tf.config.set_visible_devices([chosen], "GPU")
    tf.config.experimental.set_memory_growth(chosen, True)
    name = tf.config.experimental.get_device_details(chosen).get("device_name", "unknown model")
    return Device("gpu", f"Training on GPU {gpu or 0} ({name}).")


def select_precision(precision: str, device: Device) -> str:
    """What `auto` means on this device: bfloat16 where the hardware multiplies in it, else float32.

    Raises BadUsage: float16 was asked for without a GPU.
    """
    if precision == "auto":
        return "bfloat16" if (_gpu_has_bfloat16() if device.kind == "gpu" else _cpu_has_bfloat16()) else "float32"
    if precision == "float16" and device.kind != "gpu":
        raise BadUsage("--precision float16 needs a GPU, and there is none; take bfloat16, float32 or auto.")
    return precision


@functools.cache
def _cpu_has_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False
    return any(flag in flags for flag in BFLOAT16_FLAGS)


def _gpu_has_bfloat16() -> bool:
    gpu = tf.config.get_visible_devices("GPU")[0]
    return tuple(tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))) >= (8, 0)


def _n_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
