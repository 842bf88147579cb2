// Checks of the board by itself, told in Unity's format.
#pragma once
#include <stdbool.h>

// `broken` adds a check that fails.
void selftest(bool broken);
