#!/bin/sh
# A panic is noticed at once, and the watchdog brings the board back.
. "$(dirname "$0")/board.sh"

reset_board
if sai-expect --optional --quiet --timeout 10s --line 'panic' --expect 'this is never printed'; then
  echo "expected the panic to fail the conversation" >&2
  exit 1
fi
sai-expect --timeout 10s --expect '(reset: watchdog)' --expect 'ready' --expect '> '
