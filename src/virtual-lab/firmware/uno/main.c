// sai-uno: a small console firmware for the Arduino Uno, made to be tested by a rig.
#include <avr/interrupt.h>
#include <avr/pgmspace.h>
#include <avr/sleep.h>
#include <stdio.h>

#include "button.h"
#include "clock.h"
#include "led.h"
#include "reset.h"
#include "shell.h"
#include "usart.h"

// Sleeps until an interrupt; one that comes in between is not missed, because the instruction after
// `sei` is always executed first. Source: ATmega328P datasheet, 7.7.
static void sleep_unless_busy(void) {
  cli();
  if (!usart_has_received() && !button_has_changed()) {
    sleep_enable();
    sei();
    sleep_cpu();
    sleep_disable();
  }
  sei();
}

int main(void) {
  led_init();
  button_init();
  usart_init();
  clock_init();
  sei();
  printf_P(PSTR("\nsai-uno " SAI_UNO_VERSION " (reset: %s)\nready\n"), reset_cause());
  shell_prompt();
  for (;;) {
    char byte;
    bool pressed;
    if (usart_receive(&byte)) shell_take(byte);
    if (button_next_change(&pressed)) shell_interject(pressed ? "button pressed" : "button released");
    sleep_unless_busy();
  }
}
