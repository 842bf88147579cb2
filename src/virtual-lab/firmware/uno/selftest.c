#include "selftest.h"

#include <avr/pgmspace.h>
#include <stdint.h>
#include <stdio.h>
#include "button.h"
#include "clock.h"
#include "crc32.h"
#include "led.h"
#include "unity_lines.h"

TEST(test_led_drives_its_pin) {
  bool before = led_is_set();
  led_set(true);
  bool high = led_pin_is_high();
  led_set(false);
  bool low = led_pin_is_high();
  led_set(before);
  EXPECT_EQUAL(1, high);
  EXPECT_EQUAL(0, low);
}

TEST(test_timer_advances) {
  uint32_t start = clock_ms();
  // Far more turns than 3 ms take; a clock that stands still must not hang the test.
  for (uint32_t turn = 0; turn < 20000 && clock_ms() - start < 3; turn++) {
  }
  EXPECT_EQUAL(1, clock_ms() - start >= 3);
}

TEST(test_crc32_of_the_check_string) {
  uint32_t crc = CRC32_START;
  for (const char *digit = "123456789"; *digit; digit++) crc = crc32_add(crc, *digit);
  EXPECT_EQUAL(0xcbf43926, ~crc);
}

TEST(test_button_is_idle) {
  EXPECT_EQUAL(0, button_is_down());
}

TEST(test_one_and_one_is_three) {
  EXPECT_EQUAL(3, 1 + 1);
}

void selftest(bool broken) {
  struct unity_totals totals = {0, 0};
  RUN(test_led_drives_its_pin, &totals);
  RUN(test_timer_advances, &totals);
  RUN(test_crc32_of_the_check_string, &totals);
  RUN(test_button_is_idle, &totals);
  if (broken) RUN(test_one_and_one_is_three, &totals);
  unity_conclude(&totals);
}
