"""peer.py PEER TTY PATTERN...: sends "go", waits for one of the patterns, the first of which comes. PEERS:
  pexpect           what most write: expect(), which takes the patterns for regexes, and nothing else set; it looks at
                    all that has come, again at each read of at most 2000 bytes
  pexpect-windowed  the same, told to look at the last 512 bytes only
  pexpect-exact     expect_exact(), which takes them for texts and remembers how far it has looked
  pyserial          no matcher at all: a loop that looks with `in` at what a read gave and a few bytes before it
  labgrid           its SerialDriver's expect(), regexes too, nothing else set
  reader            looks for nothing but the end of the first pattern, at the end of what it reads: what the pty gives
"""

import os
import sys

peer, path, patterns = sys.argv[1], sys.argv[2], [word.encode() for word in sys.argv[3:]]
TIMEOUT = 300


def fdspawn(**options):
    from pexpect import fdpexpect

    console = fdpexpect.fdspawn(os.open(path, os.O_RDWR | os.O_NOCTTY), timeout=TIMEOUT, **options)
    console.send(b"go")
    return console


def pexpect_default():
    fdspawn().expect(patterns)


def pexpect_windowed():
    fdspawn(searchwindowsize=512).expect(patterns)


def pexpect_exact():
    fdspawn().expect_exact(patterns)


def reader():
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    os.write(fd, b"go")
    while not os.read(fd, 65536).rstrip().endswith(patterns[0]):
        pass


def pyserial():
    import serial

    port = serial.Serial(path, 115200, timeout=1)
    port.write(b"go")
    longest = max(len(pattern) for pattern in patterns)
    text = b""
    while not any(pattern in text for pattern in patterns):
        text = text[-longest:] + port.read(max(1, port.in_waiting))


def labgrid():
    from labgrid import Target
    from labgrid.driver import SerialDriver
    from labgrid.resource import RawSerialPort

    target = Target("bench")
    RawSerialPort(target, "port", port=path)
    driver = SerialDriver(target, "serial")
    target.activate(driver)
    driver.write(b"go")
    driver.expect([pattern.decode() for pattern in patterns], timeout=TIMEOUT)


{
    "pexpect": pexpect_default,
    "pexpect-windowed": pexpect_windowed,
    "pexpect-exact": pexpect_exact,
    "pyserial": pyserial,
    "labgrid": labgrid,
    "reader": reader,
}[peer]()
