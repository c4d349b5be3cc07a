"""A child process for tests, which behaves as its first argument says."""

import signal
import sys
import time


def main() -> int:
    how, name = sys.argv[1:]
    match how:
        case "say-name":
            print(name, flush=True)
            return 3
        case "import-queue":
            import queue

            assert queue.Queue is not None
            return 0
        case "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case "quick":
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("started", flush=True)
    time.sleep(60)
    return 1


if __name__ == "__main__":
    sys.exit(main())
