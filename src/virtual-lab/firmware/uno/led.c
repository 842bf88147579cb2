#include "led.h"

#include <avr/io.h>

void led_init(void) {
  DDRB |= _BV(DDB5);
}

void led_set(bool on) {
  if (on) {
    PORTB |= _BV(PORTB5);
  } else {
    PORTB &= ~_BV(PORTB5);
  }
}

bool led_is_set(void) {
  return PORTB & _BV(PORTB5);
}

bool led_pin_is_high(void) {
  // A written level shows in the pin register one cycle later. Source: ATmega328P datasheet, 14.2.4.
  __asm__ __volatile__("nop");
  return PINB & _BV(PINB5);
}
