#include "spew.h"

#include <avr/pgmspace.h>
#include <stdio.h>

#include "crc32.h"
#include "usart.h"

#define LINE_BYTES 64
#define OFFSET_DIGITS 8

static char hex_digit(uint8_t value) {
  return value < 10 ? '0' + value : 'a' + value - 10;
}

// Each line begins with its own offset in hex, so that a hole can be placed; then letters of no pattern.
static char payload_byte(uint32_t index, uint16_t noise) {
  uint8_t column = index % LINE_BYTES;
  if (column == LINE_BYTES - 1) return '\n';
  if (column < OFFSET_DIGITS) {
    uint32_t line_start = index - column;
    return hex_digit(line_start >> (4 * (OFFSET_DIGITS - 1 - column)) & 0xf);
  }
  if (column == OFFSET_DIGITS) return ' ';
  return '!' + (noise >> 8) % ('~' - '!' + 1);
}

void spew(uint32_t size_bytes) {
  printf_P(PSTR("spew: begin %lu\n"), size_bytes);
  uint32_t crc = CRC32_START;
  uint16_t noise = 1;
  for (uint32_t index = 0; index < size_bytes; index++) {
    noise = noise * 25173 + 13849;
    char byte = payload_byte(index, noise);
    crc = crc32_add(crc, byte);
    usart_send(byte);
  }
  printf_P(PSTR("\nspew: sent %lu bytes, crc32 %08lx\n"), size_bytes, ~crc);
}
