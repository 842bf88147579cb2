// The button on D2, active low with the chip's own pull-up.
#pragma once
#include <stdbool.h>

void button_init(void);

// What the pin says now, not debounced.
bool button_is_down(void);

// The debounced state.
bool button_is_pressed(void);

// True once for each debounced change, in order, with the new state in *pressed.
bool button_next_change(bool *pressed);

bool button_has_changed(void);

// Called each millisecond by the clock's interrupt.
void button_sample(void);
