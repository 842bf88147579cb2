// A line editor with echo and a prompt, and the commands behind it.
#pragma once

#define SAI_UNO_VERSION "1.0.0"

void shell_prompt(void);

// One received byte.
void shell_take(char byte);

// Prints a line in between: what was being typed is shown again below it.
void shell_interject(const char *line);
