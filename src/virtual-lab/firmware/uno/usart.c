#include "usart.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <stdio.h>

// A pasted screenful fits; indexes of one byte wrap by themselves.
static volatile char received[256];
static volatile uint8_t received_head, received_tail;

#define SENDING_SIZE 64
static volatile char sending[SENDING_SIZE];
static volatile uint8_t sending_head, sending_tail;

static int put(char byte, FILE *stream) {
  (void)stream;
  if (byte == '\n') usart_send('\r');
  usart_send(byte);
  return 0;
}

static FILE usart_stream = FDEV_SETUP_STREAM(put, NULL, _FDEV_SETUP_WRITE);

void usart_init(void) {
  // 117647 baud, 2.1 % off: what every 16 MHz Uno does. Source: ATmega328P datasheet, table 20-6.
  UBRR0 = 16;
  UCSR0A = _BV(U2X0);
  UCSR0C = _BV(UCSZ01) | _BV(UCSZ00);
  UCSR0B = _BV(RXEN0) | _BV(TXEN0) | _BV(RXCIE0);
  stdout = &usart_stream;
}

bool usart_has_received(void) {
  return received_head != received_tail;
}

bool usart_receive(char *byte) {
  if (!usart_has_received()) return false;
  *byte = received[received_tail];
  received_tail++;
  return true;
}

void usart_send(char byte) {
  uint8_t next = (sending_head + 1) % SENDING_SIZE;
  while (next == sending_tail) sleep_mode();
  sending[sending_head] = byte;
  sending_head = next;
  UCSR0B |= _BV(UDRIE0);
}

void usart_flush(void) {
  while (sending_head != sending_tail) sleep_mode();
  // The byte in the data register, then the one in the shift register: 2 x 87 us.
  while (!(UCSR0A & _BV(UDRE0))) {
  }
  while (!(UCSR0A & _BV(TXC0))) {
  }
}

ISR(USART_RX_vect) {
  char byte = UDR0;
  if ((uint8_t)(received_head + 1) == received_tail) return;  // full: lost, as on any board
  received[received_head] = byte;
  received_head++;
}

ISR(USART_UDRE_vect) {
  if (sending_head == sending_tail) {
    UCSR0B &= ~_BV(UDRIE0);
    return;
  }
  UCSR0A = _BV(U2X0) | _BV(TXC0);  // clears it, so that it tells of this byte and no earlier one
  UDR0 = sending[sending_tail];
  sending_tail = (sending_tail + 1) % SENDING_SIZE;
}
