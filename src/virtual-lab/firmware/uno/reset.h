// Why the chip started, and how it starts itself again.
#pragma once

// "power-on", "external", "watchdog" or "brown-out".
const char *reset_cause(void);

// Lets the watchdog reset the chip. Does not return.
void reset_by_watchdog(void) __attribute__((noreturn));
