#!/bin/sh
# Expects what no firmware here says.
. "$(dirname "$0")/board.sh"

reset_board
sai-expect --timeout 2s --line 'version' --expect 'sai-uno 9.9.9'
