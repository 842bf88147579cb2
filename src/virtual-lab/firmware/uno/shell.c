#include "shell.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/pgmspace.h>
#include <avr/sleep.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "button.h"
#include "clock.h"
#include "led.h"
#include "reset.h"
#include "selftest.h"
#include "spew.h"
#include "usart.h"

#define BACKSPACE 0x08
#define DELETE 0x7f
#define CONTROL_C 0x03

static char line[128];
static uint8_t length;
static bool last_was_return;

static void version(const char *argument);
static void echo(const char *argument);
static void led(const char *argument);
static void pin(const char *argument);
static void uptime(const char *argument);
static void spew_command(const char *argument);
static void panic(const char *argument);
static void hang(const char *argument);
static void selftest_command(const char *argument);

static const struct {
  const char *name;
  void (*run)(const char *argument);
} commands[] = {
  {"version", version}, {"echo", echo},   {"led", led},   {"pin", pin},
  {"uptime", uptime},   {"spew", spew_command}, {"panic", panic}, {"hang", hang},
  {"selftest", selftest_command},
};

static void run(char *text) {
  char *argument = strchr(text, ' ');
  size_t name_length = argument ? (size_t)(argument - text) : strlen(text);
  for (uint8_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    if (strlen(commands[i].name) != name_length || strncmp(text, commands[i].name, name_length)) continue;
    commands[i].run(argument ? argument + 1 : "");
    return;
  }
  printf_P(PSTR("unknown command: %s\n"), text);
}

void shell_prompt(void) {
  printf_P(PSTR("> "));
}

void shell_take(char byte) {
  bool rest_of_crlf = byte == '\n' && last_was_return;
  last_was_return = byte == '\r';
  if (rest_of_crlf) return;
  if (byte == '\r' || byte == '\n') {
    line[length] = '\0';
    length = 0;
    printf_P(PSTR("\n"));
    if (*line) run(line);
    shell_prompt();
  } else if (byte == CONTROL_C) {
    length = 0;
    printf_P(PSTR("^C\n"));
    shell_prompt();
  } else if (byte == BACKSPACE || byte == DELETE) {
    if (length == 0) return;
    length--;
    printf_P(PSTR("\b \b"));
  } else if ((uint8_t)byte >= ' ' && length < sizeof line - 1) {
    line[length++] = byte;
    usart_send(byte);
  }
}

void shell_interject(const char *text) {
  line[length] = '\0';
  printf_P(PSTR("\n%s\n"), text);
  shell_prompt();
  printf_P(PSTR("%s"), line);
}

static void version(const char *argument) {
  (void)argument;
  printf_P(PSTR("sai-uno " SAI_UNO_VERSION ", built with avr-gcc " __VERSION__ "\n"));
}

static void echo(const char *argument) {
  printf_P(PSTR("%s\n"), argument);
}

static void led(const char *argument) {
  if (!strcmp(argument, "on")) {
    led_set(true);
  } else if (!strcmp(argument, "off")) {
    led_set(false);
  } else if (*argument) {
    printf_P(PSTR("led: expected on or off, got %s\n"), argument);
    return;
  }
  printf_P(led_is_set() ? PSTR("led on\n") : PSTR("led off\n"));
}

static void pin(const char *argument) {
  (void)argument;
  printf_P(button_is_pressed() ? PSTR("button pressed\n") : PSTR("button released\n"));
}

static void uptime(const char *argument) {
  (void)argument;
  printf_P(PSTR("uptime %lu ms\n"), clock_ms());
}

static void spew_command(const char *argument) {
  char *end;
  uint32_t size_bytes = strtoul(argument, &end, 10);
  if (*argument < '0' || *argument > '9' || *end) {
    printf_P(PSTR("spew: expected a number of bytes, got %s\n"), argument);
    return;
  }
  spew(size_bytes);
}

static void panic(const char *argument) {
  (void)argument;
  printf_P(PSTR("*** PANIC: asked for at the shell (%S:%u) ***\n"), PSTR(__FILE__), __LINE__);
  uint8_t r24;
  __asm__ __volatile__("mov %0, r24" : "=r"(r24));
  const uint8_t *stack = (const uint8_t *)SP;
  printf_P(PSTR("r24=%02x sp=%04x sreg=%02x uptime=%lu\n"), r24, SP, SREG, clock_ms());
  printf_P(PSTR("stack: %02x %02x %02x %02x %02x %02x\n"), stack[1], stack[2], stack[3], stack[4], stack[5], stack[6]);
  usart_flush();
  reset_by_watchdog();
}

static void hang(const char *argument) {
  (void)argument;
  printf_P(PSTR("hanging\n"));
  usart_flush();
  cli();
  for (;;) sleep_mode();
}

static void selftest_command(const char *argument) {
  selftest(!strcmp(argument, "broken"));
}
