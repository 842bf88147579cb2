#include "button.h"

#include <avr/io.h>
#include <stdint.h>
#include <util/atomic.h>

#define DEBOUNCE_MS 5

static volatile bool debounced;
static volatile uint8_t unstable_ms;
// Changes alternate, so their number and the last state told say all.
static volatile uint8_t untold_changes;
static bool told;

void button_init(void) {
  DDRD &= ~_BV(DDD2);
  PORTD |= _BV(PORTD2);
}

bool button_is_down(void) {
  return !(PIND & _BV(PIND2));
}

bool button_is_pressed(void) {
  return debounced;
}

bool button_has_changed(void) {
  return untold_changes > 0;
}

bool button_next_change(bool *pressed) {
  if (!button_has_changed()) return false;
  ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
    untold_changes--;
  }
  told = !told;
  *pressed = told;
  return true;
}

void button_sample(void) {
  if (button_is_down() == debounced) {
    unstable_ms = 0;
    return;
  }
  if (++unstable_ms < DEBOUNCE_MS) return;
  unstable_ms = 0;
  debounced = !debounced;
  // Two changes that cannot be counted cancel out.
  untold_changes = untold_changes == UINT8_MAX ? UINT8_MAX - 1 : untold_changes + 1;
}
