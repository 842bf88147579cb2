#!/bin/sh
# Builds sai-uno with avr-gcc, the same bytes wherever it runs, and notes the compiler beside the image.
# Usage: build.sh [OUTPUT.hex]; the default is the committed image.
set -eu
here=$(dirname "$0")
case ${1:-} in
'') output=$(cd "$here" && pwd)/uno.hex ;;
/*) output=$1 ;;
*) output=$(pwd)/$1 ;;
esac
# Relative names only: __FILE__ gets into the image.
cd "$here"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

avr-gcc -mmcu=atmega328p -DF_CPU=16000000UL -std=gnu11 -Os -Wall -Wextra -Werror \
  -ffunction-sections -fdata-sections -Wl,--gc-sections -o "$work/uno.elf" \
  main.c shell.c usart.c clock.c button.c led.c reset.c crc32.c spew.c selftest.c unity_lines.c
avr-objcopy -O ihex -R .eeprom "$work/uno.elf" "$output"

sum=$(sha256sum "$output" | cut -d ' ' -f 1)
printf '{\n  "compiler": "%s",\n  "sha256": "%s"\n}\n' "$(avr-gcc -dumpversion | sed 's/^/avr-gcc /')" "$sum" >"$output.json"
