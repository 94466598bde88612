"""Progress on a terminal, by rich; elsewhere nothing for single items, and one line per minute for long runs."""

import sys
import time

LINE_EVERY_S = 60


def bar(total: int | None, what: str):
    """A rich progress bar on the error stream with one task, as a context manager; invisible off a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    progress.add_task(what, total=total)  # names of files may hold brackets and braces
    return progress


class RunStatus:
    """What a run of notebooks is doing: one line that rich keeps up to date on a terminal, one line per minute elsewhere."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True, highlight=False)
        self.live = self.console.status("") if self.console.is_terminal else None
        self.said = time.monotonic()

    def __enter__(self) -> "RunStatus":
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()

    def cell(self, slug: str, number: int, count: int) -> None:
        """A cell has started."""
        if self.live:
            self.live.update(f"{slug}: cell {number} of {count}")

    def progress(self, slug: str, text: str) -> None:
        """What the notebook's own bar says."""
        if self.live:
            self.live.update(f"{slug}: {text}"[: self.console.width - 4])
        elif time.monotonic() - self.said > LINE_EVERY_S:
            self.said = time.monotonic()
            print(f"{slug}: {text}", file=sys.stderr, flush=True)

    def outcome(self, outcome) -> None:
        """A notebook is done."""
        took = f" in {outcome.seconds:.1f} s" if outcome.seconds else ""
        self.console.print(
            f"{outcome.slug}: {outcome.state}{took}{': ' + outcome.problem if outcome.problem else ''}", markup=False, soft_wrap=True
        )
