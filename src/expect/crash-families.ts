/** What firmware prints when it dies, by family. A new one is an entry here, with a sample and a near miss in the tests. */

import type { CrashFamily } from '../wire/crash.ts';

/** A line with which a dump begins. */
export interface CrashStart {
  /** ASCII that every such line holds, so that nothing else is looked for until it comes. */
  readonly word: string;
  /** Of a regular expression that matches the whole line, from its beginning. */
  readonly source: string;
}

/** Regular expressions are made when there is a crash: those that there are would be a twentieth of every start. */
export interface CrashKnowledge {
  readonly family: CrashFamily;
  readonly starts: readonly CrashStart[];
  /** The dump's last line. Without one, or when it does not come, the dump ends with quiet. */
  readonly last?: () => RegExp;
  /** What is told beside the first line: `pc`, `address`, `task`, `reason`. The first match of each name counts. */
  readonly evidence: () => readonly RegExp[];
}

/**
 * In front of a line, the log back ends of Zephyr put colour, time, level, thread and module, or `E: `; its shell the
 * prompt that it takes back.
 */
const ZEPHYR = String.raw`^(?:[^\x1b\r\n]{1,32}\x1b\[\d+D\x1b\[J)?(?:\x1b\[[\d;]*m)*(?:\[[^\]\r\n]+\] )?(?:\x1b\[[\d;]*m)*(?:<err> (?:\[[^\]\r\n]*\] )?[\w./]+: |E: )?`;
/** The same for printk: level, time and caller. With a time also behind the prompt that a shell has left in the line. */
const PRINTK = String.raw`(?:^(?:<\d>)?|(?:^<\d>)?\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? )`;
const NUTTX = String.raw`^(?:\x1b\[[\d;]*m)*(?:\[ *\d+\.\d{6}\] )?(?:\[ *\w+\] )*`;
const ESP_LOG = String.raw`^(?:\x1b\[[\d;]*m)?E \([\d:.]+\) `;
const REST = String.raw`[^\r\n]*`;

/** `word`, at the beginning of the line or after `before`, and the rest of the line. */
function line(word: string, before = '^', after = ''): CrashStart {
  return { word, source: `${before}${escaped(word)}${after}${REST}` };
}

/** The same, and nothing else in the line. */
function whole(word: string, before = '^', after = ''): CrashStart {
  return { word, source: String.raw`${before}${escaped(word)}${after}\r?$` };
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`);
}

/** What the kernel puts behind each way to die. Source: Linux, arch/*'s die(). */
const DIE_COUNT = String.raw`[^\r\n]*\[#[1-9]\d*\]`;

export const CRASH_KNOWLEDGE: readonly CrashKnowledge[] = [
  {
    // Source: the firmware of the virtual lab's Uno.
    family: 'sai-uno',
    starts: [line('*** PANIC: ')],
    last: () => /^stack: /,
    evidence: () => [],
  },
  {
    // Source: ESP-IDF, components/esp_system/panic.c, port/panic_handler.c, task_wdt/task_wdt.c, port/brownout.c;
    // components/newlib/assert.c; components/freertos/port_common.c: vApplicationStackOverflowHook.
    family: 'esp-idf',
    starts: [
      line('Guru Meditation Error: Core', '^', String.raw` *\d+ panic'ed \(`),
      line('abort() was called at PC 0x', '^', String.raw`[0-9a-fA-F]+ on core \d`),
      line('assert failed: ', '^', String.raw`[^ \r\n]+ [^ \r\n]+:\d+ \(`),
      line('***ERROR*** A stack overflow in task ', '^', String.raw`[^\r\n]+ has been detected`),
      line('ESP_ERROR_CHECK failed: esp_err_t 0x'),
      whole('Stack smashing protect failure!'),
      line('Fatal exception (', '^', String.raw`\d+\): [A-Z]`),
      whole(
        'Brownout detector was triggered',
        String.raw`^(?:\x1b\[[\d;]*m)?(?:E (?:\([\d:.]+\) )?[\w.]+: )?`,
        String.raw`[ .]*(?:\x1b\[[\d;]*m)?`,
      ),
      line('task_wdt: Task watchdog got triggered', ESP_LOG),
    ],
    last: () => /^Rebooting\.\.\.|^CPU halted\./,
    evidence: () => [
      /^(?:PC|MEPC) +: (?<pc>0x[0-9a-f]{8})/m,
      /^Backtrace: ?(?<pc>0x[0-9a-f]{8}):/m,
      /(?:EXCVADDR|MTVAL) *: (?<address>0x[0-9a-f]{8})/,
      /^Debug exception reason: (?<reason>.+?) *$/m,
      /task_wdt: +- (?<task>\S+ \(.+\))/,
    ],
  },
  {
    // Source: Zephyr, kernel/fatal.c; lib/os/assert.c; arch/arm/core/fatal.c, arch/riscv/core/fatal.c.
    family: 'zephyr',
    starts: [
      line('>>> ZEPHYR FATAL ERROR ', ZEPHYR, String.raw`\d+: `),
      line('ASSERTION FAIL [', ZEPHYR, String.raw`[^\r\n]*\] @ `),
    ],
    last: () => /Halting system|Resetting system/,
    evidence: () => [
      /Faulting instruction address \(r15\/pc\): (?<pc>0x[0-9a-f]+)/,
      /mepc: (?<pc>0x[0-9a-f]+|[0-9a-f]{8,16})/,
      /(?:MMFAR|BFAR) Address: (?<address>0x[0-9a-f]+)/,
      /Current thread: (?<task>0x[0-9a-f]+ \(.+?\))/,
      /\*{5} (?<reason>[A-Z ]+FAULT) \*{5}/,
    ],
  },
  {
    // Source: Linux, kernel/panic.c, lib/bug.c, kernel/watchdog.c, mm/kasan/report.c, arch/*/kernel/traps.c, arch/*/mm/fault.c.
    family: 'linux',
    starts: [
      line('Kernel panic - not syncing: ', PRINTK),
      line(
        'Unable to handle kernel ',
        String.raw`${PRINTK}(?:CPU \d+ )?`,
        String.raw`[^\r\n]+ at virtual address `,
      ),
      line('BUG: kernel NULL pointer dereference, address: ', PRINTK),
      line('BUG: unable to handle ', PRINTK, String.raw`[^\r\n]+`),
      line('BUG: Kernel NULL pointer dereference ', PRINTK),
      line('Internal error: ', PRINTK, DIE_COUNT),
      line('Oops', PRINTK, String.raw`(?:(?:: | - )[^\r\n]*| )?\[#[1-9]\d*\]`),
      line('general protection fault', PRINTK, DIE_COUNT),
      line('divide error: ', PRINTK, DIE_COUNT),
      line('invalid opcode: ', PRINTK, DIE_COUNT),
      line('kernel BUG at ', PRINTK, String.raw`[^ \r\n]+:\d+!`),
      line('BUG: K', PRINTK, '(?:ASAN|FENCE|MSAN): '),
      line('watchdog: BUG: soft lockup - CPU#', `${PRINTK}(?:NMI )?`),
      line('watchdog: Watchdog detected hard LOCKUP on cpu ', `${PRINTK}(?:NMI )?`),
    ],
    last: () => /---\[ end Kernel panic - not syncing/,
    evidence: () => [
      /\bRIP: \w+:(?<pc>\S+)/,
      /\bpc : (?<pc>\S+)/,
      /\bPC is at (?<pc>\S+)/,
      /\bepc : (?<pc>\S+)/,
      /\bCR2: (?<address>[0-9a-f]{8,16})/,
      /\bCPU: \d+ (?:UID: \d+ )?PID: \d+ Comm: (?<task>\S+)/,
    ],
  },
  {
    // Source: U-Boot, arch/arm/lib/interrupts_64.c, arch/arm/lib/interrupts.c, arch/riscv/lib/interrupts.c, lib/hang.c.
    family: 'u-boot',
    starts: [
      line('"Synchronous Abort" handler, esr 0x', '^(?:Bad mode in )?'),
      line('"Error" handler, esr 0x'),
      { word: 'data abort', source: String.raw`^data abort\r?$` },
      { word: 'prefetch abort', source: String.raw`^prefetch abort\r?$` },
      { word: 'undefined instruction', source: String.raw`^undefined instruction\r?$` },
      line('Unhandled exception: ', '^', '(?:Instruction|Illegal|Breakpoint|Load|Store|Environment)'),
      line('### ERROR ### Please RESET the board ###'),
    ],
    last: () => /^### ERROR ### Please RESET the board ###|^resetting \.\.\./m,
    evidence: () => [
      // Once relocated it prints where the code was linked, which symbols are looked up by, and then where it ran.
      /^elr: (?<pc>[0-9a-f]{8,16})/m,
      /^pc : \[<(?<pc>[0-9a-f]{8})>\]/m,
      /^EPC: (?<pc>[0-9a-f]{8,16})/m,
      /\bfar (?<address>0x[0-9a-f]+)/,
    ],
  },
  {
    // Source: Trusted Firmware-A, bl31/aarch64/crash_reporting.S, common/aarch64/debug.S, lib/libc/assert.c.
    family: 'tf-a',
    starts: [
      line('PANIC at PC : 0x'),
      line('Unhandled Exception in EL3.'),
      line('PANIC in EL3.'),
      whole('ASSERT: ', '^', String.raw`[^ :\r\n]+\.[chS]:\d+(?::[^\r\n]*)?`),
    ],
    evidence: () => [
      /PANIC at PC : (?<pc>0x[0-9a-f]+)/,
      /^elr_el3 += (?<pc>0x[0-9a-f]+)/m,
      /^x30 += (?<pc>0x[0-9a-f]+)/m,
    ],
  },
  {
    // Source: Mbed OS, platform/source/TARGET_CORTEX_M/mbed_fault_handler.c, platform/source/mbed_error.c.
    family: 'mbed',
    starts: [line('++ MbedOS Fault Handler ++'), line('++ MbedOS Error Info ++')],
    last: () => /^-- MbedOS Error Info --/m,
    evidence: () => [
      /^PC +: (?<pc>[0-9A-F]{8})/m,
      /^Location: (?<pc>0x[0-9A-F]+)/m,
      /^(?:MMFAR|BFAR) +: (?<address>[0-9A-F]{8})/m,
      /^FaultType: (?<reason>\w+)/m,
      /^Error Message: (?<reason>.+?) *$/m,
      /^Current Thread: (?<task>\S+)/m,
    ],
  },
  {
    // Source: newlib, libc/stdlib/assert.c, which configASSERT mostly comes to; FreeRTOS, Demo/*: vAssertCalled.
    family: 'freertos',
    starts: [
      line('" failed: file "', String.raw`^assertion "[^\r\n]*`, String.raw`[^\r\n]*", line \d+`),
      line('vAssertCalled( ', '^', String.raw`[^ \r\n]+, \d+`),
      line('ASSERT! Line ', '^', String.raw`\d+, file `),
    ],
    evidence: () => [],
  },
  {
    // Source: J. Yiu, The Definitive Guide to the ARM Cortex-M3, hard_fault_handler_c; nRF5 SDK,
    // components/libraries/hardfault/hardfault_implementation.c; CmBacktrace, cm_backtrace.c with cmb_en_US.h; STM32Cube, main.c: assert_failed.
    family: 'cortex-m',
    starts: [
      line('[Hard fault handler - all numbers in hex]'),
      line('HARD FAULT at 0x', String.raw`^(?:\x1b\[[\d;]*m)*(?:<error> hardfault: )?`),
      line('Fault on ', '^', String.raw`(?:interrupt or bare metal\(|thread )`),
      line('Wrong parameters value: file ', '^', String.raw`[^\r\n]+ on line \d+`),
    ],
    evidence: () => [/^PC(?: \[R15\])? *= *(?<pc>[0-9a-fA-Fx]+)/m, /HARD FAULT at (?<pc>0x[0-9A-Fa-f]+)/],
  },
  {
    // Source: NuttX, sched/misc/assert.c; arch/arm/src/armv7-m/arm_hardfault.c, arch/risc-v/src/common/riscv_exception.c.
    family: 'nuttx',
    starts: [
      line(
        'Assertion failed ',
        `${NUTTX}(?:_assert|dump_assert_info|up_assert): `,
        String.raw`[^\r\n]*at file: `,
      ),
      line('PANIC!!! ', String.raw`${NUTTX}\w+: `),
    ],
    evidence: () => [
      /EPC: (?<pc>[0-9a-f]{8,16})/,
      /\bPC: (?<pc>[0-9a-f]{8})/,
      /MTVAL: (?<address>[0-9a-f]{8,16})/,
      /\btask: (?<task>\S+)/,
    ],
  },
  {
    // Source: RIOT, core/lib/panic.c; core/lib/assert.c.
    family: 'riot',
    starts: [line('*** RIOT kernel panic:', String.raw`^(?:[^ \r\n]+:\d+ => )?`)],
    last: () => /^\*\*\* (?:halted|rebooting)\./m,
    evidence: () => [
      /RIOT kernel panic:\s+(?<reason>\S.*?) *$/m,
      /^ *pc: (?<pc>0x[0-9a-f]+)/m,
      /^(?<pc>0x[0-9a-f]{6,16})\s+^\*\*\* RIOT/m,
    ],
  },
  {
    // Source: pico-sdk, src/rp2_common/pico_platform_panic/panic.c.
    family: 'pico',
    starts: [{ word: '*** PANIC ***', source: String.raw`^\*\*\* PANIC \*\*\*\r?$` }],
    evidence: () => [/\*\*\* PANIC \*\*\*\s+(?<reason>\S.*?) *$/m],
  },
  {
    // Source: MicroPython, ports/stm32/stm32_it.c, ports/*/main.c: nlr_jump_fail; CircuitPython, supervisor/shared/safe_mode.c.
    family: 'micropython',
    starts: [
      { word: 'HardFault', source: String.raw`^HardFault\r?$` },
      { word: 'FATAL ERROR:', source: String.raw`^FATAL ERROR:\r?$` },
      line('FATAL: uncaught exception ', '^', '(?:0x)?[0-9a-f]{4}'),
      line('NLR jump failed, val=', '^', '(?:0x)?[0-9a-f]+'),
      line('You are in safe mode because:'),
      line('Hard fault: memory access or instruction error.'),
    ],
    evidence: () => [
      /^PC +(?<pc>[0-9a-f]{8})/m,
      /safe mode because:\s+(?<reason>\S.*?) *$/m,
      /^FATAL ERROR:\s+(?<reason>\S.*?) *$/m,
    ],
  },
  {
    // Source: Python, Lib/traceback.py; MicroPython, py/obj.c: mp_obj_print_exception.
    family: 'python',
    starts: [
      {
        word: 'Traceback (most recent call last):',
        source: String.raw`^Traceback \(most recent call last\):\r?$`,
      },
    ],
    last: () => /^(?!Traceback)[A-Za-z_][\w.]*(?:: .*)?$/,
    evidence: () => [
      /^(?<reason>(?!Traceback)[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Iteration)\b.*?) *$/m,
    ],
  },
  {
    // Source: Arduino core for ESP8266, cores/esp8266/core_esp8266_postmortem.cpp.
    family: 'arduino-esp8266',
    starts: [
      { word: 'Exception (', source: String.raw`^Exception \(\d+\):\r?$` },
      whole('Soft WDT reset', '^', '(?: - deliberate infinite loop detected)?'),
      line('Stack smashing detected at 0x'),
      whole('Stack overflow detected'),
      line('Fatal exception ', '^', String.raw`\d+\(\w+\):`),
      line('User exception (panic/abort/assert)'),
      line('Panic ', '^', String.raw`[^ \r\n]+:\d+ `),
    ],
    last: () => /^<<<stack<<</,
    evidence: () => [
      /\bepc1=(?<pc>0x[0-9a-f]{8})/,
      /\bexcvaddr=(?<address>0x[0-9a-f]{8})/,
      /^ctx: (?<task>\w+)/m,
    ],
  },
  {
    // Source: Rust, library/std/src/panicking.rs; esp-backtrace, src/lib.rs.
    family: 'rust',
    starts: [
      line(
        'panicked at ',
        String.raw`^(?:\d+(?:\.\d+)? +)?(?:\[?ERROR\]? +)?(?:thread '[^'\r\n]*' (?:\(\d+\) )?)?`,
        String.raw`(?:'|[^ \r\n]+:\d+:\d+)`,
      ),
      line('!! A panic occured ', '^(?:ERROR +)?'),
      line("Exception '", '^', String.raw`[A-Z][^'\r\n]*' mepc=0x`),
      line(' PANIC ======', '^=+'),
    ],
    evidence: () => [
      /panicked at [^'\r\n]+:\d+:\d+:\s+(?<reason>\S.*?) *$/m,
      /panicked at '(?<reason>[^\r\n]*?)',/,
    ],
  },
  {
    // Source: Go, src/runtime/panic.go; TinyGo, src/runtime/panic.go.
    family: 'go',
    starts: [
      line('panic: runtime error', '^', '(?:: | at 0x)'),
      line('fatal error: all goroutines are asleep - deadlock!'),
    ],
    last: () => /^exit status \d+/,
    evidence: () => [
      /runtime error at (?<pc>0x[0-9a-f]+)/,
      /\baddr=(?<address>0x[0-9a-f]+) pc=(?<pc>0x[0-9a-f]+)/,
    ],
  },
  {
    // Source: LLVM, compiler-rt/lib/asan/asan_report.cpp, lib/ubsan/ubsan_diag.cpp.
    family: 'sanitizer',
    starts: [
      line('Sanitizer: ', String.raw`^=+\d+==(?:ERROR|WARNING): (?:Address|Leak|Memory|Thread|HWAddress)`),
      line(': runtime error: ', String.raw`^[^ :\r\n]+:\d+:\d+`),
    ],
    last: () => /^=+\d+==ABORTING/,
    evidence: () => [/\bat pc (?<pc>0x[0-9a-f]+)/, /\bon (?:unknown )?address (?<address>0x[0-9a-f]+)/],
  },
  {
    // Source: glibc, debug/fortify_fail.c, malloc/malloc.c: malloc_printerr, assert/assert.c; libstdc++, vterminate.cc.
    family: 'glibc',
    starts: [
      line(
        ' detected ***: terminated',
        String.raw`^\*\*\* (?:stack smashing|buffer overflow|bit out of range 0 - FD_SETSIZE on fd_set)`,
      ),
      line(
        'free(): ',
        '^',
        '(?:invalid (?:pointer|size|next size)|double free detected|corrupted unsorted|unaligned chunk)',
      ),
      line('double free or corruption ('),
      line('malloc(): ', '^', '(?:invalid|corrupted|unaligned|unsorted|smallbin|mismatching|memory)'),
      whole('corrupted size vs. prev_size', '^', '(?: while consolidating| in fastbins)?'),
      {
        word: 'Assertion `',
        source: String.raw`^[^ \r\n]+: [^\r\n]+:\d+: [^\r\n]+: Assertion \`[^\r\n]*' failed\.`,
      },
      line("terminate called after throwing an instance of '"),
      whole('Segmentation fault', '^', String.raw`(?: \(core dumped\))?`),
    ],
    last: () => /^Aborted/,
    evidence: () => [/^ +what\(\): +(?<reason>.+?) *$/m],
  },
  {
    // Source: QEMU, target/arm/helper.c, cpu-target.c: cpu_abort, linux-user/signal.c.
    family: 'qemu',
    starts: [line('qemu: fatal: '), line('qemu: uncaught target signal ')],
    evidence: () => [/\bR15=(?<pc>[0-9a-f]{8})/, /\bpc=(?<pc>[0-9a-f]{8,16})/i],
  },
];

/** What a board prints once at each start. Source: what the ROMs of ESP chips and these programs print first. */
export const BOOT_LINES: readonly CrashStart[] = [
  { word: 'rst:0x', source: String.raw`^rst:0x[0-9a-f]+ \([A-Z0-9_]+\)${REST}` },
  { word: 'rst cause:', source: String.raw`^ ?ets [A-Z][a-z]{2} +\d+ \d{4},rst cause:\d+${REST}` },
  { word: 'U-Boot ', source: String.raw`^U-Boot (?:SPL )?20\d\d\.\d\d${REST}` },
  { word: 'barebox ', source: String.raw`^barebox 20\d\d\.\d\d${REST}` },
  { word: '*** Booting ', source: String.raw`^\*\*\* Booting [^\r\n]+ \*\*\*` },
  { word: 'Linux version ', source: String.raw`${PRINTK}Linux version \d+\.\d+${REST}` },
  { word: 'main(): This is RIOT!', source: String.raw`^main\(\): This is RIOT!${REST}` },
  { word: ' (reset: ', source: String.raw`^sai-uno \d+\.\d+\.\d+ \(reset: ${REST}` },
];
