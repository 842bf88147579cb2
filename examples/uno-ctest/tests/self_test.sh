#!/bin/sh
# The firmware's own unit tests, run on the chip. The first failed one ends the wait.
. "$(dirname "$0")/board.sh"

reset_board
sai-expect --timeout 30s --line 'selftest' --pass 'Completed: PASS' --fail 'Completed: FAIL' --fail ':FAIL:'
