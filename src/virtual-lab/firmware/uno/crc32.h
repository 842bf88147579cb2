// IEEE CRC-32, as in Ethernet, zip and PNG.
#pragma once
#include <stdint.h>

#define CRC32_START 0xffffffffUL

// Begin with CRC32_START; the result is the complement of the last value.
uint32_t crc32_add(uint32_t crc, uint8_t byte);
