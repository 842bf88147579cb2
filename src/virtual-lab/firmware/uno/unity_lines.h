// The few macros of the Unity test framework that are needed here, with its exact output.
// Source: Unity 2.6, UnityTestResultsBegin and UnityConcludeTest.
#pragma once
#include <avr/pgmspace.h>
#include <stdbool.h>
#include <stdint.h>

struct unity_totals {
  uint8_t tests;
  uint8_t failures;
};

// A test tells of its first failure itself and returns false then.
typedef bool (*unity_test)(const char *name);

#define TEST(name)                                      \
  static const uint16_t line_of_##name = __LINE__;      \
  static void body_of_##name(const char *, bool *);     \
  static bool name(const char *title) {                 \
    bool passed = true;                                 \
    body_of_##name(title, &passed);                     \
    return passed;                                      \
  }                                                     \
  static void body_of_##name(__attribute__((unused)) const char *title, bool *passed)

#define EXPECT_EQUAL(expected, actual)                                             \
  do {                                                                             \
    if (unity_equal(PSTR(__FILE__), __LINE__, title, (uint32_t)(expected), (uint32_t)(actual))) break; \
    *passed = false;                                                               \
    return;                                                                        \
  } while (0)

#define RUN(name, totals) unity_run(PSTR(__FILE__), line_of_##name, PSTR(#name), name, totals)

void unity_run(const char *file, uint16_t line, const char *name, unity_test test, struct unity_totals *totals);
bool unity_equal(const char *file, uint16_t line, const char *name, uint32_t expected, uint32_t actual);
void unity_conclude(const struct unity_totals *totals);
