"""Runs a command as the child of a small process: `launch.py FD COMMAND..` writes what it took to FD as JSON.

Linux counts the memory of the process that forked as the child's own, so a large parent would hide a small child."""

import json
import os
import signal
import sys
import time


def main() -> int:
    """The exit code is the command's, 128 + the signal that ended it, or 127 where it could not be started."""
    report, command = int(sys.argv[1]), sys.argv[2:]
    begin = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(report)
        try:
            os.execv(command[0], command)
        except OSError as error:
            print(f"cannot be started: {error.strerror}", file=sys.stderr, flush=True)
            os._exit(127)
    # An interrupt reaches both: the child decides what to do with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, status, usage = os.wait4(child, 0)
    taken = {
        "wall_seconds": time.monotonic() - begin,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    }
    os.write(report, json.dumps(taken).encode())
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
