# SPDX-License-Identifier: Apache-2.0
"""The index's directory: its runs, the manifest that names them, and how both change safely."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from opentrail.durable import OS_FILES, TEMPORARY_SUFFIX, Files, make_dir
from opentrail.errors import Corrupt
from opentrail.eventlog.base import LogReader
from opentrail.history.derive import DERIVE_VERSION
from opentrail.history.manifest import FORMAT_VERSION, NAME, Manifest, RunRef, load, store
from opentrail.history.run import REBUILD_HINT, Merged, Run, Source, write_run

MERGE_RUNS = 20
"""Runs merged into one (of a million rows). One level: each row is written twice in all."""


@dataclass(frozen=True, slots=True)
class _Merge:
    """A merge that is under way."""

    result: RunRef
    parts: list[RunRef]
    work: Iterator[None]


class Runs:
    """All runs. One thread changes them; ``tables`` may be handed to any."""

    def __init__(
        self, directory: Path, manifest: Manifest, tables: tuple[Run, ...], files: Files
    ) -> None:
        """Use ``open``."""
        self.directory = directory
        self.rebuilt_because = ""
        """Why it was begun anew when it was opened; "" when it was not."""
        self._files = files
        self._manifest = manifest
        self._merge: _Merge | None = None
        self.tables = tables
        """The runs, mapped, in order of position."""

    @classmethod
    def open(cls, directory: Path, log: LogReader, files: Files = OS_FILES) -> "Runs":
        """Open the runs in ``directory`` if they are an index of ``log``, else begin anew.

            1. read the manifest, map the runs that it names, check all their bytes
            2. if that cannot be used, remove the manifest, durably (a crash after it: no manifest,
               the same again)
            3. delete the files that no manifest names (a crash in between: deleted next time)

        Raises: OSError.
        """
        make_dir(directory, files)
        manifest = load(directory)
        tables: tuple[Run, ...] = ()
        reason = unusable(manifest, log)
        if manifest is not None and not reason:
            try:
                tables = tuple(_whole(named_run(directory, ref)) for ref in manifest.runs)
            except (Corrupt, FileNotFoundError) as error:
                reason = str(error)
        if manifest is None or reason:
            files.unlink(directory / NAME)
            files.sync_dir(directory)
            manifest = Manifest(FORMAT_VERSION, DERIVE_VERSION, log.log_id, 0, [])
        runs = cls(directory, manifest, tables, files)
        runs.rebuilt_because = reason
        runs.delete_unnamed()
        return runs

    @property
    def covered(self) -> int:
        """Position up to which the runs cover the log."""
        return self._manifest.covered

    @property
    def unmerged(self) -> int:
        """Runs that wait to be merged."""
        return sum(not ref.merged for ref in self._manifest.runs)

    def add(self, source: Source, end: int) -> None:
        """Add the rows of ``source``, which are those of the log from ``covered`` to ``end``.

            1. write the run                (a crash: a file that no manifest names)
            2. name it in the manifest      (a crash before: the log is indexed again from the old
               ``covered``; after: from ``end``. No row is lost or doubled)

        Raises: OSError: the index is as it was before, in memory; on disk it may be either.
        """
        rows = len(source.rows()[0])
        ref = RunRef(self.covered, end, rows, merged=False)
        for _ in write_run(self.directory / ref.file_name, source, self._files):
            pass
        table = Run(self.directory / ref.file_name)
        self._store(replace(self._manifest, covered=end, runs=[*self._manifest.runs, ref]))
        self.tables = (*self.tables, table)

    def merge_part(self, merge_runs: int = MERGE_RUNS) -> bool:
        """Do one part of merging ``merge_runs`` runs; False when there are too few to merge.

        Raises: OSError: the merge begins again at the next call. Corrupt: a run is damaged.
        """
        if self._merge is None:
            self._merge = self._next_merge(merge_runs)
        if self._merge is None:
            return False
        merge, self._merge = self._merge, None
        try:
            next(merge.work)
        except StopIteration:
            self._finish(merge)
        else:
            self._merge = merge
        return True

    def drop_expired(self, first: int) -> bool:
        """Forget runs that lie wholly under ``first``, the oldest position that the log keeps.

            1. the manifest without them (a crash: files that no manifest names)
            2. delete their files

        Returns whether there were any; not while a merge is under way. Raises: OSError.
        """
        expired = [ref for ref in self._manifest.runs if ref.end <= first]
        if not expired or self._merge is not None:
            return False
        kept = self._manifest.runs[len(expired) :]
        self._store(replace(self._manifest, runs=kept))
        self.tables = self.tables[len(expired) :]
        self._delete(expired)
        return True

    def _next_merge(self, merge_runs: int) -> _Merge | None:
        parts = [ref for ref in self._manifest.runs if not ref.merged][:merge_runs]
        if len(parts) < merge_runs:
            return None
        result = RunRef(parts[0].start, parts[-1].end, sum(ref.rows for ref in parts), merged=True)
        first = self._manifest.runs.index(parts[0])
        # A merge of what was damaged meanwhile would have checksums that are right.
        source = Merged([_whole(run) for run in self.tables[first : first + merge_runs]])
        path = self.directory / result.file_name
        return _Merge(result, parts, write_run(path, source, self._files))

    def _finish(self, merge: _Merge) -> None:
        """Put the merged run in the place of its parts.

        1. name it in the manifest instead of them (a crash: files that no manifest names)
        2. delete them; lookups that still read them have them mapped
        """
        table = Run(self.directory / merge.result.file_name)
        first = self._manifest.runs.index(merge.parts[0])
        stop = first + len(merge.parts)
        named = self._manifest.runs
        self._store(replace(self._manifest, runs=[*named[:first], merge.result, *named[stop:]]))
        self.tables = (*self.tables[:first], table, *self.tables[stop:])
        self._delete(merge.parts)

    def _store(self, manifest: Manifest) -> None:
        store(self.directory, manifest, self._files)
        self._manifest = manifest

    def _delete(self, refs: list[RunRef]) -> None:
        for ref in refs:
            self._files.unlink(self.directory / ref.file_name)

    def delete_unnamed(self) -> None:
        """Delete what a crash left. Raises: OSError."""
        named = {ref.file_name for ref in self._manifest.runs}
        for path in self.directory.iterdir():
            if path.name.endswith((".run", TEMPORARY_SUFFIX)) and path.name not in named:
                self._files.unlink(path)


def named_run(directory: Path, ref: RunRef) -> Run:
    """Map the run ``ref``. Raises: Corrupt: it is not a whole run, or another one. OSError."""
    run = Run(directory / ref.file_name)
    inside = ref.start <= run.oldest_position and run.newest_position < ref.end
    if len(run.times) != ref.rows or not inside:
        raise Corrupt("not the run that the manifest names", str(run.path), REBUILD_HINT)
    return run


def _whole(run: Run) -> Run:
    """Return ``run``, whose bytes are those that were written. Raises: Corrupt: they are not."""
    damaged = run.damaged()
    if damaged:
        raise Corrupt(f"damaged: {', '.join(damaged)}", str(run.path), REBUILD_HINT)
    return run


def unusable(manifest: Manifest | None, log: LogReader) -> str:
    """Return why the index that ``manifest`` describes is not one of ``log``; "" if it is."""
    if manifest is None:
        return "there is no index"
    reasons = {
        f"its format is {manifest.version}": manifest.version != FORMAT_VERSION,
        "it was made by other rules": manifest.derive_version != DERIVE_VERSION,
        "it belongs to another log": manifest.log_id != log.log_id,
        "it covers more than the log holds": manifest.covered > log.durable_end(),
        "its manifest leaves out a part of the log": not _joined(manifest, log),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _joined(manifest: Manifest, log: LogReader) -> bool:
    """Whether the runs cover all that the log keeps up to ``covered``: what they lacked, nobody would see."""
    places = [(ref.start, ref.end) for ref in manifest.runs]
    ends = [end for _, end in places]
    if [start for start, _ in places[1:]] != ends[:-1] or ends[-1:] not in ([], [manifest.covered]):
        return False
    begins = places[0][0] if places else manifest.covered
    try:
        return begins == 0 or begins <= log.first()
    except Corrupt:  # the log's beginning, of which whoever reads it tells
        return True
