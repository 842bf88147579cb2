#!/bin/sh
# After a reset the board says what it is, and why it started.
. "$(dirname "$0")/board.sh"

sai-expect --timeout 10s --jig reset \
  --regex 'sai-uno [0-9]+\.[0-9]+\.[0-9]+ \(reset: external\)' \
  --expect 'ready' \
  --expect '> '
