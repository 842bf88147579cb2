// USART 0 at 115200 baud, 8N1, interrupt-driven both ways; stdout goes there.
#pragma once
#include <stdbool.h>
#include <stdint.h>

void usart_init(void);

// True with the oldest received byte in *byte; false when there is none. Never waits.
bool usart_receive(char *byte);

bool usart_has_received(void);

// Sends one byte as it is; sleeps while the transmit buffer is full.
void usart_send(char byte);

// Returns when the last byte has been handed to the wire.
void usart_flush(void);
