// A flood of printable bytes that says afterwards what it was, so that a listener can prove it got them all.
#pragma once
#include <stdint.h>

void spew(uint32_t size_bytes);
