#!/bin/sh
# A press is seen once, and a release is seen once.
. "$(dirname "$0")/board.sh"

reset_board
sai-expect --timeout 10s --jig press --expect 'button pressed' --expect 'button released'
sai-expect --timeout 10s --line 'pin' --regex '^button released' --fail 'button pressed'
