// Milliseconds since reset, from timer 0; the same tick debounces the button.
#pragma once
#include <stdint.h>

void clock_init(void);
uint32_t clock_ms(void);
