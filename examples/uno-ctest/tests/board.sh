# What every test begins with. On a bench with wires, a jig presses these buttons.
set -eu

# To the shell's prompt from wherever the last test left the board; nothing older can match from here on.
reset_board() {
  sai-expect --fresh
  sai-virtual-lab reset
  sai-expect --timeout 10s --expect 'ready' --expect '> '
}

press_button() {
  sai-virtual-lab press --for "$1"
}
