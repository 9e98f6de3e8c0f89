"""A promise is kept or broken, and says its numbers."""

from dataclasses import dataclass, field


@dataclass
class Report:
    """What one soak found."""

    name: str
    broken: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        print(f"  {text}", flush=True)

    def check(self, is_kept: bool, text: str) -> None:
        """One promise with its numbers."""
        self.say(f"{'kept  ' if is_kept else 'BROKEN'} {text}")
        if not is_kept:
            self.broken.append(f"{self.name}: {text}")
