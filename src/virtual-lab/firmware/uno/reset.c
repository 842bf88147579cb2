#include "reset.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <avr/wdt.h>
#include <stdint.h>

static uint8_t flags __attribute__((section(".noinit")));

// Before main and before variables are cleared: after a watchdog reset the watchdog runs on at 16 ms,
// and cannot be stopped until its flag is cleared. Source: ATmega328P datasheet, 11.9.1.
void reset_save_flags(void) __attribute__((naked, used, section(".init3")));
void reset_save_flags(void) {
  flags = MCUSR;
  MCUSR = 0;
  wdt_disable();
}

const char *reset_cause(void) {
  if (flags & _BV(PORF)) return "power-on";
  if (flags & _BV(WDRF)) return "watchdog";
  if (flags & _BV(EXTRF)) return "external";
  return "brown-out";
}

void reset_by_watchdog(void) {
  cli();
  wdt_enable(WDTO_15MS);
  for (;;) sleep_mode();
}
