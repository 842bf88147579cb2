#!/bin/sh
# The shell answers its commands, and says so when it does not know one.
. "$(dirname "$0")/board.sh"

reset_board
sai-expect --timeout 10s \
  --line 'version' --regex 'sai-uno [0-9.]+, built with avr-gcc' \
  --line 'echo hello, bench' --regex '^hello, bench' \
  --line 'led on' --regex '^led on' \
  --line 'led off' --regex '^led off' \
  --line 'reboot' --expect 'unknown command: reboot'

# Two calls of one lease are one conversation: the uptime that the second reads may have arrived with the first.
sai-expect --timeout 10s --line 'uptime' --line 'pin' --regex '^uptime [0-9]+ ms'
sai-expect --timeout 10s --expect 'button released'
