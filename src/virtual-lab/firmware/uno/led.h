// The LED on D13.
#pragma once
#include <stdbool.h>

void led_init(void);
void led_set(bool on);
bool led_is_set(void);

// The level that the pin really has.
bool led_pin_is_high(void);
