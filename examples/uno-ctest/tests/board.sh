# What every test begins with. The jig of the device presses its buttons: `--jig reset` plays the sequence "reset".
set -eu

# To the shell's prompt from wherever the last test left the board; nothing older can match from the reset on.
reset_board() {
  sai-expect --timeout 10s --jig reset --expect 'ready' --expect '> '
}
