"""A board on a pty, and the cost of the command that talks to it, in one line of JSON.

board.py KIND BYTES COMMAND...   where {TTY} in COMMAND is the board's tty. KINDS:
  flood   once it is sent "go", says BYTES bytes of log lines, then the mark, as fast as they are taken
  late    the same a second after COMMAND has started, for commands that send nothing
  paced   like flood, at 300 kB/s
  ready   has said the mark before COMMAND starts
  echo    answers each line with itself
  silent  says nothing
  quiet   the same; ends COMMAND after 11 s and tells what it has used of the CPU in the last 10 of them: no start, no end
"""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
import tty

MARK = b"\r\nCompleted: PASS\r\n"
LINE = b"[    1.234567] usb 1-1: new high-speed USB device number 2 using xhci_hcd\r\n"
PIECE = LINE * (65536 // len(LINE))
PACE = 300_000
LIMIT = float(os.environ.get("BOARD_LIMIT", "120"))


def pieces(size):
    left = size
    while left > 0:
        piece = PIECE[:left]
        left -= len(piece)
        yield piece
    yield MARK


def write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


def say(fd, size, pace):
    begun = time.monotonic()
    sent = 0
    for piece in pieces(size):
        step = 3000 if pace else len(piece)
        for at in range(0, len(piece), step):
            write_all(fd, piece[at:at + step])
            sent += len(piece[at:at + step])
            late = begun + sent / PACE - time.monotonic()
            if pace and late > 0:
                time.sleep(late)


def wait_for_go(fd):
    heard = b""
    while b"go" not in heard:
        heard += os.read(fd, 64)


def echo(fd):
    try:
        while True:
            os.write(fd, os.read(fd, 4096))
    except OSError:
        pass


def cpu_of_threads(pid):
    """In seconds. Source: Linux, Documentation/scheduler/sched-stats.rst: the first field, nanoseconds."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat") as stat:
            total += int(stat.read().split()[0])
    return total / 1e9


def measure_quiet(child):
    time.sleep(1)
    before = cpu_of_threads(child.pid)
    time.sleep(10)
    used = cpu_of_threads(child.pid) - before
    child.kill()
    return used


def main():
    kind, size, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    master, slave = os.openpty()
    tty.setraw(slave)
    path = os.ttyname(slave)
    if kind == "ready":
        os.write(master, MARK)
    env = dict(os.environ, SAI_DEVICE_TTY0=path)
    begun = time.perf_counter()
    child = subprocess.Popen([word.replace("{TTY}", path) for word in command], env=env)
    watchdog = threading.Timer(LIMIT, child.kill)
    watchdog.daemon = True
    watchdog.start()
    writer = None
    if kind in ("flood", "paced", "late"):
        if kind == "late":
            time.sleep(1)
            begun = time.perf_counter()
        else:
            wait_for_go(master)
        writer = os.fork()
        if writer == 0:
            say(master, size, kind == "paced")
            os._exit(0)
    elif kind == "echo":
        threading.Thread(target=echo, args=(master,), daemon=True).start()
    quiet = measure_quiet(child) if kind == "quiet" else None
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - begun
    if writer:
        os.kill(writer, 9)
        os.waitpid(writer, 0)
    outcome = {
        "status": os.waitstatus_to_exitcode(status),
        "seconds": seconds,
        "cpuSeconds": usage.ru_utime + usage.ru_stime,
        "rssMb": usage.ru_maxrss / 1024,
    }
    if quiet is not None:
        outcome["quietCpuSeconds"] = quiet
    if kind == "paced":
        digest = hashlib.sha256()
        for piece in pieces(size):
            digest.update(piece)
        outcome["sha256"] = digest.hexdigest()
    print(json.dumps(outcome))


main()
