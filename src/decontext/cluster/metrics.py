"""What a run shows in Ray's dashboard and to Prometheus; names begin with `ray_decontext_`."""

from __future__ import annotations

from decontext.folders.manifest import Row

SECONDS = (1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600)
"""Bounds between which the time of a photo is counted."""


class Metrics:
    """The numbers of one worker."""

    def __init__(self, editor: str) -> None:
        from ray.util.metrics import Counter, Gauge, Histogram

        tags = {"editor": editor}
        self._photos = Counter(
            "decontext_photos", "Photos that are done, by status.", ("editor", "status")
        )
        self._steps = Counter("decontext_steps", "Steps of the optimisation.", ("editor",))
        self._seconds = Histogram(
            "decontext_photo_seconds",
            "Time that protecting a photo takes.",
            boundaries=list(SECONDS),
            tag_keys=("editor",),
        )
        self._busy = Gauge("decontext_busy", "1 while the editor works.", ("editor",))
        for metric in (self._photos, self._steps, self._seconds, self._busy):
            metric.set_default_tags(tags)

    def begin(self) -> None:
        """A photo goes to the editor."""
        self._busy.set(1)

    def step(self) -> None:
        """A step is done."""
        self._steps.inc()

    def end(self, row: Row) -> None:
        """A photo is done."""
        self._busy.set(0)
        self._photos.inc(tags={"status": row["status"]})
        if row["seconds"] is not None:
            self._seconds.observe(row["seconds"])
