"""One job from its video to its results.

The video is decoded in this thread, frames are analysed in as many threads as there are analysers,
and their entries are made in order. What is done is committed about once a second.
"""

import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from onlooker.config.schema import Config
from onlooker.identity.errors import StoreError
from onlooker.identity.search.searcher import Searcher
from onlooker.jobs.cadence import choose
from onlooker.jobs.entries import Maker, maker
from onlooker.jobs.errors import JobFailed
from onlooker.jobs.job import Job, VideoMetadata
from onlooker.jobs.job_store import LOCK, JobStore
from onlooker.jobs.result_file import NAME, Entry, ResultFile
from onlooker.media.buckets import BucketError, Buckets
from onlooker.media.errors import MediaError
from onlooker.media.picture import Planes
from onlooker.media.video_file import VideoFile
from onlooker.models.heap import return_free_memory
from onlooker.types import Frame
from onlooker.vision.analyser import Analyser, Analysis, Wanted

COMMIT_SECONDS = 1.0
"""Time between two commits: what a kill costs at most."""
MAX_ATTEMPTS = 12
"""Times that a job is begun without any progress before it fails."""
DOWNLOAD_SECONDS = 6 * 3600.0
BEAT_SECONDS = 5.0
"""Between signs of life while a download lasts."""
MAX_RATE_DENOMINATOR = 100_000


class Stopped(Exception):
    """The process is to stop; the job continues in another one."""


class JobRunner:
    """Works on jobs, one at a time, with models that stay loaded.

    open_searcher: opens the collections when a job needs them first. analysers: made when they are
    needed first. beat: called as a sign of life.
    """

    def __init__(
        self,
        store: JobStore,
        config: Config,
        buckets: Buckets,
        open_searcher: Callable[[], Searcher],
        threads: int,
        stop: threading.Event,
        beat: Callable[[], None],
    ) -> None:
        self._store = store
        self._config = config
        self._buckets = buckets
        self._open_searcher = open_searcher
        self._threads = threads
        self._stop = stop
        self._beat = beat
        self._free: SimpleQueue[Analyser] | None = None

    def run(self, job: Job) -> None:
        """Work on a job until it has ended.

        Raises Stopped, and JobError if its results cannot be kept now.
        """
        folder = self._store.place(job.id)
        attempts = self._store.begin(job.id)
        _clear(folder, NAME, LOCK)
        try:
            if attempts > MAX_ATTEMPTS:
                raise JobFailed(
                    f"The process that works on it has died {attempts - 1} times without progress; "
                    "its log says why. Start the job again, or convert the video."
                )
            metadata, number, message = self._results(job, folder)
        except (JobFailed, BucketError, MediaError, StoreError) as error:
            _clear(folder, LOCK)
            self._store.finish(job, "FAILED", str(error))
        else:
            _clear(folder, NAME, LOCK)
            self._store.finish(job, "SUCCEEDED", message, metadata, number)

    def release(self) -> None:
        """Drop the models, which the next job loads again."""
        if self._free is not None:
            self._free = None
            return_free_memory()

    def _results(self, job: Job, folder: Path) -> tuple[VideoMetadata, int, str | None]:
        """Complete the file of results.

        Return the video's description, the number of entries, and a remark if some is missing.
        """
        limits, wanted = self._store.settings, job.request
        bytes_allowed = int(limits.max_gigabytes * 1e9)
        with ExitStack() as closing:
            with self._beating():
                place = wanted.bucket, wanted.name, wanted.version
                download = self._buckets.downloaded(*place, folder, bytes_allowed, DOWNLOAD_SECONDS)
                path = closing.enter_context(download)
            closing.enter_context(_named(path, job))
            video = closing.enter_context(VideoFile(path))
            if (video.seconds or 0) > limits.max_hours * 3600:
                raise JobFailed(
                    f"The video lasts {(video.seconds or 0) / 3600:.2f} hours, and "
                    f"{limits.max_hours:g} are allowed; cut it, or raise [jobs] max_hours."
                )
            with self._beating():
                digest = video.digest
            results = closing.enter_context(ResultFile(folder / NAME, digest))
            if not results.complete:
                self._analyse(job, video, results)
            number, lost = results.complete_all(), results.damaged
            remark = f"{lost} of {results.done} frames could not be decoded." if lost else None
            return metadata_of(video), number, remark

    def _analyse(self, job: Job, video: VideoFile, results: ResultFile) -> None:
        make = maker(job.request, self._config, self._open_searcher, results.tracks)
        rate = Fraction(video.rate).limit_denominator(MAX_RATE_DENOMINATOR)
        is_due = choose(job.request.kind, rate)
        done, damaged, total = results.done, results.damaged, max(video.seconds or 0.0, 1e-3)
        left = done

        def wanted(index: int) -> bool:
            nonlocal left
            if not is_due(index):
                return False
            left -= 1
            return left < 0  # those before were done by a process that ended

        pending: list[Entry] = []
        committed, first = time.monotonic(), None
        for frame, picture, analysis in self._analysed(video, wanted, make.wanted):
            self._beat()
            first = frame.time if first is None and done == 0 else first
            if picture is not None and analysis is not None:
                pending += make.entries(frame, picture, analysis)
            else:
                damaged += 1
            done += 1
            if self._stop.is_set() or time.monotonic() - committed >= COMMIT_SECONDS:
                self._commit(results, make, done, damaged, pending)
                progress = min(1.0, max(0.0, (frame.time - (first or 0.0)) / total))
                self._advance(job, progress, done)
                pending, committed = [], time.monotonic()
                if self._stop.is_set():
                    raise Stopped
        make.finish()
        self._commit(results, make, done, damaged, pending)
        self._advance(job, 1.0, done)

    def _commit(
        self,
        results: ResultFile,
        make: Maker,
        done: int,
        damaged: int,
        pending: Sequence[Entry],
    ) -> None:
        results.commit(done, damaged, make.snapshot(), pending, make.people, make.same)
        make.people, make.same = {}, {}

    def _advance(self, job: Job, progress: float, done: int) -> None:
        if not self._store.advance(job.id, progress, done):
            raise JobFailed("The job was cancelled.")

    def _analysed(
        self, video: VideoFile, wanted: Callable[[int], bool], want: Wanted
    ) -> Iterator[tuple[Frame, Planes | None, Analysis | None]]:
        """Yield the wanted frames in order; picture and analysis are None for a damaged one."""
        free = self._analysers()

        def analyse(picture: Planes) -> Analysis:
            analyser = free.get()
            try:
                [analysis] = analyser([picture], [want])
            finally:
                free.put(analyser)
            return analysis

        waiting: deque[tuple[Frame, Planes | None, Future[Analysis] | None]] = deque()
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="analyse")
        try:
            for frame, picture in video.chosen_frames("job", wanted, self._threads):
                work = None if picture is None else pool.submit(analyse, picture)
                waiting.append((frame, picture, work))
                # As many again wait as are analysed: the decoder is ahead, and memory is bounded.
                if len(waiting) > 2 * self._threads:
                    yield _result(waiting.popleft())
            while waiting:
                yield _result(waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _analysers(self) -> SimpleQueue[Analyser]:
        if self._free is None:
            self._free = SimpleQueue()
            if self._config.runtime.provider == "cuda":
                # One for all threads, whose images share batches once its models are loaded.
                one = Analyser(self._config)
                one.warm_up(Wanted(mesh=True))
                made = [one] * self._threads
            else:
                made = [Analyser(self._config) for _ in range(self._threads)]
            for each in made:
                self._free.put(each)
        return self._free

    @contextmanager
    def _beating(self) -> Iterator[None]:
        """Give signs of life while something lasts that takes its time."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(BEAT_SECONDS):
                self._beat()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _result(
    one: tuple[Frame, Planes | None, "Future[Analysis] | None"],
) -> tuple[Frame, Planes | None, Analysis | None]:
    frame, picture, work = one
    return frame, picture, None if work is None else work.result()


def metadata_of(video: VideoFile) -> VideoMetadata:
    """Return Amazon's description of a video."""
    return VideoMetadata(
        Codec=video.codec,
        DurationMillis=int(Fraction(video.seconds or 0) * 1000),
        Format=video.container,
        FrameRate=float(np.float32(video.rate)),
        FrameHeight=video.height,
        FrameWidth=video.width,
        ColorRange="FULL" if video.full_range else "LIMITED",
    )


def _clear(folder: Path, *kept: str) -> None:
    """Delete what is in a job's folder, such as a download that a killed process left."""
    for path in folder.iterdir():
        if path.name in kept or any(path.name == f"{name}-journal" for name in kept):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def _named(path: Path, job: Job) -> Iterator[None]:
    """Have an error about the video name the object: a file of the server is nobody's business."""
    try:
        yield
    except MediaError as error:
        named = f"{job.request.bucket}/{job.request.name}"
        raise MediaError(str(error).replace(str(path), named)) from error
