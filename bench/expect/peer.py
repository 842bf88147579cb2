"""peer.py PEER TTY PATTERN...: sends "go", waits for one of the patterns, the first of which comes."""

import os
import sys

peer, path, patterns = sys.argv[1], sys.argv[2], [word.encode() for word in sys.argv[3:]]
TIMEOUT = 300


def pexpect_default():
    pexpect_with(None)


def pexpect_windowed():
    pexpect_with(256)


def pexpect_with(window):
    from pexpect import fdpexpect

    console = fdpexpect.fdspawn(os.open(path, os.O_RDWR | os.O_NOCTTY), timeout=TIMEOUT, searchwindowsize=window)
    console.send(b"go")
    console.expect_exact(patterns)


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


{"pexpect": pexpect_default, "pexpect-windowed": pexpect_windowed, "pyserial": pyserial, "labgrid": labgrid}[peer]()
