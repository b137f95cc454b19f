"""Where a search keeps its data when the user names no place: `.agenttts/` of the working folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """The one owner of file names: store, tracking data, reports and logs."""

    folder: Path

    @property
    def store_url(self) -> str:
        """The default store: one SQLite file."""
        return f"sqlite:///{self.folder / 'store.db'}"

    @property
    def tracking_uri(self) -> str:
        """The default tracking store: MLflow on SQLite, beside the store."""
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """Where MLflow's artifacts lie when the tracking store is the default one."""
        return self.folder / "artifacts"

    def report(self, search_id: str) -> Path:
        """The report page of a search."""
        return self.folder / "reports" / f"{search_id}.html"

    def log(self, name: str) -> Path:
        """A log file; its folder exists afterwards."""
        path = self.folder / "logs" / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def beside(report: Path) -> Path:
    """Return where a pilot's own page lies, beside the report page of its search."""
    return report.with_name(f"{report.stem}-pilot.html")


def home(working_folder: Path) -> Home:
    """Return the data folder of a working folder, creating it with a .gitignore, so it is never committed."""
    folder = working_folder.resolve() / ".agenttts"
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", "utf-8")
    return Home(folder)
