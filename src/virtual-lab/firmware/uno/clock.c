#include "clock.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <util/atomic.h>

#include "button.h"

static volatile uint32_t elapsed_ms;

void clock_init(void) {
  // 16 MHz / 64 / 250 = 1 kHz.
  TCCR0A = _BV(WGM01);
  OCR0A = 249;
  TIMSK0 = _BV(OCIE0A);
  TCCR0B = _BV(CS01) | _BV(CS00);
}

uint32_t clock_ms(void) {
  uint32_t now;
  ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
    now = elapsed_ms;
  }
  return now;
}

ISR(TIMER0_COMPA_vect) {
  elapsed_ms++;
  button_sample();
}
