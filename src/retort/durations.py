"""Durations, as people read them."""


def format_seconds(seconds: float) -> str:
    """Such as `9.3 s`, `2 min 05 s` or `1 h 20 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min {rest:02d} s"
