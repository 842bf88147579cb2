#include "unity_lines.h"

#include <stdio.h>

void unity_run(const char *file, uint16_t line, const char *name, unity_test test, struct unity_totals *totals) {
  totals->tests++;
  if (test(name)) {
    printf_P(PSTR("%S:%u:%S:PASS\n"), file, line, name);
  } else {
    totals->failures++;
  }
}

bool unity_equal(const char *file, uint16_t line, const char *name, uint32_t expected, uint32_t actual) {
  if (expected == actual) return true;
  printf_P(PSTR("%S:%u:%S:FAIL: Expected %lu Was %lu\n"), file, line, name, expected, actual);
  return false;
}

void unity_conclude(const struct unity_totals *totals) {
  printf_P(PSTR("-----------------------\n"));
  printf_P(PSTR("%u Tests %u Failures 0 Ignored\n"), totals->tests, totals->failures);
  bool ok = totals->failures == 0;
  printf_P(ok ? PSTR("OK\n") : PSTR("FAIL\n"));
  printf_P(ok ? PSTR("Completed: PASS\n") : PSTR("Completed: FAIL\n"));
}
