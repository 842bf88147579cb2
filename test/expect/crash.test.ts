import { describe, expect, test } from 'vitest';
import { crashPatterns } from '../../src/expect/crash.ts';
import { StreamWatch, type WatchEvent } from '../../src/expect/stream-watch.ts';
import { CHUNKINGS } from '../peers/dut-on-pty.ts';

/** Lines of which each begins a dump, by who prints them. */
const FIRST_LINES: Readonly<Record<string, readonly string[]>> = {
  zephyr: [
    'ASSERTION FAIL [count == 3] @ WEST_TOPDIR/app/src/main.c:42',
    '[00:00:12.345,000] <err> [main] os: >>> ZEPHYR FATAL ERROR 4: Kernel panic on CPU 0',
    '[00:00:12.345,000] <err> cpuapp/os: >>> ZEPHYR FATAL ERROR 4: Kernel panic on CPU 0',
    'uart:~$ \x1b[8D\x1b[J[00:00:12.345,000] \x1b[1;31m<err> os: >>> ZEPHYR FATAL ERROR 2: Stack overflow on CPU 0\x1b[0m',
  ],
  'esp-idf': [
    'E (00:00:10.303) task_wdt: Task watchdog got triggered. The following tasks/users did not reset the watchdog in time:',
    'E BOD: Brownout detector was triggered',
    'ESP_ERROR_CHECK failed: esp_err_t 0x101 (ESP_ERR_NO_MEM) at 0x400d1fdf',
    'Stack smashing protect failure!',
    'Fatal exception (28): LoadProhibited',
    "Guru Meditation Error: Core  0 panic'ed (Stack protection fault). ",
  ],
  freertos: [
    'assertion "pxQueue" failed: file "queue.c", line 1545, function: xQueueGenericSend',
    'vAssertCalled( tasks.c, 1234',
    'ASSERT! Line 1234, file tasks.c, GetLastError 0',
  ],
  linux: [
    '[   12.345678] Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008',
    '[   12.345678] BUG: kernel NULL pointer dereference, address: 0000000000000000',
    '[   12.345678] BUG: unable to handle page fault for address: ffffc90000001000',
    '[   12.345678] Internal error: Oops: 0000000096000045 [#1] PREEMPT SMP',
    '[   12.345678] Oops: 0002 [#1] PREEMPT SMP NOPTI',
    '[   12.345678] kernel BUG at fs/ext4/inode.c:2721!',
    '[   12.345678] BUG: KASAN: slab-out-of-bounds in foo+0x12/0x34',
    '[   12.345678] watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [swapper:0]',
    '[   12.345678] NMI watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [swapper:0]',
    '[   12.345678] watchdog: Watchdog detected hard LOCKUP on cpu 1',
    '[   12.345678] BUG: KFENCE: use-after-free read in foo+0x12/0x34',
    '[   12.345678] Oops: Oops: 0002 [#1] SMP NOPTI',
    '[   12.345678] Oops: general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP',
    '[   12.345678] general protection fault, probably for non-canonical address 0xdead: 0000 [#1] PREEMPT SMP',
    '[   12.345678] divide error: 0000 [#1] PREEMPT SMP NOPTI',
    '[   12.345678] invalid opcode: 0000 [#2] PREEMPT SMP NOPTI',
    '[   12.345678] Oops [#1]',
    '[   12.345678] Oops - illegal instruction [#1]',
    '[   12.345678] Oops[#1]:',
    '[   12.345678] CPU 0 Unable to handle kernel paging request at virtual address 00000000, epc == 80001234',
    '[   12.345678] Internal error: synchronous external abort: 0000000096000210 [#1] PREEMPT SMP',
    '[   12.345678] Internal error: : 1028 [#1] SMP ARM',
    '[   12.345678] Internal error: Oops - BUG: 00000000f2000800 [#1] PREEMPT SMP',
    '[   12.345678] BUG: Kernel NULL pointer dereference on read at 0x00000000',
  ],
  'u-boot': [
    '"Synchronous Abort" handler, esr 0x96000010, far 0x51000d8',
    'Bad mode in "Synchronous Abort" handler, esr 0x96000010',
    '"Error" handler, esr 0xbf000002',
    'data abort',
    'prefetch abort',
    'undefined instruction',
    'Unhandled exception: Illegal instruction',
    '### ERROR ### Please RESET the board ###',
  ],
  'tf-a': [
    'PANIC at PC : 0x00000000040098e4',
    'Unhandled Exception in EL3.',
    'PANIC in EL3.',
    'ASSERT: lib/xlat_tables_v2/xlat_tables_core.c:1072',
  ],
  mbed: ['++ MbedOS Fault Handler ++', '++ MbedOS Error Info ++'],
  'cortex-m': [
    '[Hard fault handler - all numbers in hex]',
    '<error> hardfault: HARD FAULT at 0x00023456',
    'Fault on thread main',
    'Fault on interrupt or bare metal(no OS) environment',
    'Wrong parameters value: file ../Src/main.c on line 123',
  ],
  nuttx: [
    '_assert: Assertion failed panic: at file: :0 task: Idle_Task process: Kernel 0x20010bbc',
    '[    6.242000] dump_assert_info: Assertion failed at file: main.c:12 task: nsh_main process: nsh_main 0x8000a806',
    'arm_hardfault: PANIC!!! Hard Fault!:',
    '[    0.123456] [CPU0] [ EMERG] _assert: Assertion failed : at file: main.c:12 task: x 0x1',
    'riscv_exception: PANIC!!! Exception = 0000000000000005',
  ],
  riot: ['*** RIOT kernel panic:', 'main.c:12 => *** RIOT kernel panic:'],
  pico: ['*** PANIC ***'],
  micropython: [
    'HardFault',
    'FATAL ERROR:',
    'FATAL: uncaught exception 20001234',
    'NLR jump failed, val=0x3ffb1234',
    'You are in safe mode because:',
    'Hard fault: memory access or instruction error.',
  ],
  'arduino-esp8266': [
    'Exception (28):',
    'Soft WDT reset',
    'Soft WDT reset - deliberate infinite loop detected',
    'Stack smashing detected at 0x40201234',
    'Stack overflow detected',
    'Fatal exception 28(LoadProhibitedCause):',
    'User exception (panic/abort/assert)',
    'Panic core_esp8266_main.cpp:137 __yield',
  ],
  rust: [
    "thread 'main' panicked at src/main.rs:4:5:",
    "thread 'main' (12345) panicked at src/main.rs:4:5:",
    '0.001234 ERROR panicked at src/main.rs:12:5:',
    "Exception 'Load access fault' mepc=0x42001234, mtval=0x00000000",
    "thread 'main' panicked at 'index out of bounds', src/main.rs:4:5",
    'panicked at src/main.rs:12:9:',
    "!! A panic occured in 'src/main.rs', at line 25, column 5",
    '====================== PANIC ======================',
  ],
  go: [
    'panic: runtime error: index out of range [5] with length 3',
    'panic: runtime error at 0x00028b99: heap alloc in interrupt',
    'fatal error: all goroutines are asleep - deadlock!',
  ],
  sanitizer: [
    '==1234==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602000000014 at pc 0x0000004c',
    '=================1234==ERROR: LeakSanitizer: detected memory leaks',
    'main.c:12:5: runtime error: signed integer overflow',
  ],
  glibc: [
    '*** stack smashing detected ***: terminated',
    '*** buffer overflow detected ***: terminated',
    'free(): invalid pointer',
    'double free or corruption (fasttop)',
    'malloc(): corrupted top size',
    'corrupted size vs. prev_size',
    'corrupted size vs. prev_size while consolidating',
    'free(): double free detected in tcache 2',
    "app: main.c:12: main: Assertion `x == 3' failed.",
    "terminate called after throwing an instance of 'std::runtime_error'",
    'Segmentation fault (core dumped)',
  ],
  qemu: [
    "qemu: fatal: Lockup: can't escalate 3 to HardFault (current priority -1)",
    'qemu: uncaught target signal 11 (Segmentation fault) - core dumped',
  ],
};

const EVERY_FAMILY = Object.entries(FIRST_LINES).flatMap(([family, lines]) =>
  lines.map((line): [string, string, string] => [family, `boot\r\n${line}\r\nmore\r\n`, line]),
);

/** What boards print, and the crash line in it. */
const SAMPLES: readonly [family: string, text: string, line: string][] = [
  [
    'sai-uno',
    'sai-uno 1.0.0 (reset: external)\r\nready\r\n> panic\r\n*** PANIC: requested on the console\r\n',
    '*** PANIC: requested on the console',
  ],
  [
    'esp-idf',
    "I (312) main: start\r\nGuru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\r\n\r\nCore  0 register dump:\r\n",
    "Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.",
  ],
  [
    'esp-idf',
    "Guru Meditation Error: Core  1 panic'ed (Interrupt wdt timeout on CPU1). \r\n",
    "Guru Meditation Error: Core  1 panic'ed (Interrupt wdt timeout on CPU1). ",
  ],
  [
    'esp-idf',
    'assert failed: app_main main.c:12 (0)\r\n\r\nabort() was called at PC 0x400d6c3f on core 0\r\n\r\nBacktrace: 0x40081b2e:0x3ffb5f30\r\n',
    'assert failed: app_main main.c:12 (0)',
  ],
  [
    'esp-idf',
    '\r\nabort() was called at PC 0x400d6c3f on core 0\r\n\r\nBacktrace: 0x40081b2e:0x3ffb5f30\r\n',
    'abort() was called at PC 0x400d6c3f on core 0',
  ],
  [
    'esp-idf',
    '\x1b[0;31mE (10303) task_wdt: Task watchdog got triggered. The following tasks/users did not reset the watchdog in time:\x1b[0m\r\n',
    '\x1b[0;31mE (10303) task_wdt: Task watchdog got triggered. The following tasks/users did not reset the watchdog in time:\x1b[0m',
  ],
  ['esp-idf', 'Brownout detector was triggered\r\n', 'Brownout detector was triggered'],
  [
    'esp-idf',
    '***ERROR*** A stack overflow in task main has been detected.\r\n',
    '***ERROR*** A stack overflow in task main has been detected.',
  ],
  ...EVERY_FAMILY,
  [
    'zephyr',
    '[00:00:00.010,000] <err> os: >>> ZEPHYR FATAL ERROR 4: Kernel panic on CPU 0\r\n',
    '[00:00:00.010,000] <err> os: >>> ZEPHYR FATAL ERROR 4: Kernel panic on CPU 0',
  ],
  [
    'zephyr',
    '\x1b[0m[00:00:01.250,000] \x1b[1;31m<err> os: >>> ZEPHYR FATAL ERROR 0: CPU exception on CPU 0\x1b[0m\r\n',
    '\x1b[0m[00:00:01.250,000] \x1b[1;31m<err> os: >>> ZEPHYR FATAL ERROR 0: CPU exception on CPU 0\x1b[0m',
  ],
  [
    'zephyr',
    'E: ***** BUS FAULT *****\r\nE: >>> ZEPHYR FATAL ERROR 25: Unknown error on CPU 0\r\n',
    'E: >>> ZEPHYR FATAL ERROR 25: Unknown error on CPU 0',
  ],
  [
    'linux',
    '[    1.337420] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n',
    '[    1.337420] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)',
  ],
  [
    'linux',
    '<0>[   12.000001][    T1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b\r\n',
    '<0>[   12.000001][    T1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b',
  ],
  [
    'linux',
    '\r\nimx8 login: [   45.123456] Kernel panic - not syncing: sysrq triggered crash\r\n',
    '[   45.123456] Kernel panic - not syncing: sysrq triggered crash',
  ],
  [
    'esp-idf',
    "x\n\rGuru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\n\r",
    "Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.",
  ],
  ['linux', 'Kernel panic - not syncing: Fatal exception\r\n', 'Kernel panic - not syncing: Fatal exception'],
];

/** What healthy boards print, with the same words in it. */
const NEAR_MISSES: readonly string[] = [
  'test_panic: checks that *** PANIC: is printed ... ok\r\n',
  '> echo *** PANIC: not mine\r\n',
  "I (99) doc: a Guru Meditation Error: Core  0 panic'ed (x) looks like this\r\n",
  'Guru Meditation Error handler installed\r\n',
  'W (12) app: abort() was called at PC by the test double\r\n',
  'abort() was called by the user on core 0\r\n',
  '[00:00:00.010,000] <inf> doc: look for >>> ZEPHYR FATAL ERROR 4: in the log\r\n',
  '>>> ZEPHYR FATAL ERROR count: 0\r\n',
  '[    0.000000] Kernel command line: panic=1 console=ttyS0\r\n',
  '[    0.500000] pstore: will save Kernel panic - not syncing: lines\r\n',
  'Kernel panic - not syncing\r\n',
  'I (12) app: assert failed: handler installed\r\n',
  'W (12) wifi: Brownout detector was triggered last time\r\n',
  'I (12) task_wdt: Task watchdog got triggered in the self test\r\n',
  '***ERROR*** A stack overflow is what this test is about\r\n',
  'ASSERTION FAIL count: 0\r\n',
  '[   12.345678] oops: 3 retries\r\n',
  '[   12.345678] usb: Unable to handle kernel of that size\r\n',
  '[   12.345678] BUG: sleeping is none\r\n',
  '=> echo data abort\r\n',
  'data abort handler installed\r\n',
  '## Error: Please RESET the board\r\n',
  'NOTICE:  PANIC at PC is what BL31 says\r\n',
  'MbedOS Fault Handler ready\r\n',
  'Hard fault handler at 0x08001234\r\n',
  'Fault on line 3\r\n',
  'nsh> echo PANIC!!! no\r\n',
  'RIOT kernel panic: none yet\r\n',
  '*** PANIC *** button pressed\r\n',
  'HardFault_Handler = 0x08000123\r\n',
  'MicroPython FATAL ERROR: none\r\n',
  'Traceback (most recent call last):\r\n  File "main.py", line 1\r\nValueError: 3\r\n',
  'Exception (28) handled\r\n',
  'Soft WDT reset enabled\r\n',
  'Panic button: off\r\n',
  'the test panicked at nothing\r\n',
  'panic: off\r\n',
  'UndefinedBehaviorSanitizer: runtime error: none\r\n',
  'AddressSanitizer: enabled\r\n',
  'free(): 3 blocks\r\n',
  'malloc(): ok\r\n',
  'stack smashing detected: no\r\n',
  'qemu: ready\r\n',
  'Segmentation faults are caught here\r\n',
  'Segmentation fault handler installed\r\n',
  'free(): invalid uses are caught by it\r\n',
  'corrupted size vs. prev_size check: on\r\n',
  'Brownout detector was triggered last time\r\n',
  'panic: runtime error handling is on\r\n',
  'Unhandled exception: None\r\n',
  'FATAL: uncaught exception handler set\r\n',
  'Fault on interrupt or bare metal is handled\r\n',
  'Stack smashing protect failure! is what it says\r\n',
  'Fatal exception (28) handled\r\n',
  'ESP_ERROR_CHECK failed: no\r\n',
  'Stack overflow detected: none\r\n',
  'Stack smashing detected at no time\r\n',
  'Fatal exception 28 handled\r\n',
  'NLR jump failed, val=none\r\n',
  'assertion "x" holds\r\n',
  'vAssertCalled( installed )\r\n',
  'ASSERT! Lines are counted\r\n',
  'ASSERT: x holds\r\n',
  'Wrong parameters value: 3\r\n',
  "Exception 'x' handled\r\n",
  'uart:~$ kernel fatal >>> ZEPHYR FATAL ERROR 4: x\r\n',
  '[    0.000000] Kernel command line: console=ttyS0 oops=panic panic_on_warn=1 root=/dev/mmcblk0p2\r\n',
  '[    0.100000] BUG: sleeping is none\r\n',
  '[    0.200000] mce: CPU0: Oops handler [#0]\r\n',
  '[    0.300000] Oops handler [#1]\r\n',
  '[    0.400000] traps: app[123] general protection fault ip:4011 sp:7ff error:0 in app[400000+1000]\r\n',
  '[    0.500000] general protection fault handling: on\r\n',
  '[    0.600000] app[123]: segfault at 0 ip 0000 sp 0000 error 4 in app[400000+1000]\r\n',
  '[    0.700000] watchdog: Delayed init of the lockup detector failed\r\n',
  '[    0.800000] ramoops: using module parameters: Internal error: none\r\n',
  '[    0.900000] kfence: initialized - using 2097152 bytes for 255 objects\r\n',
  '=> reset\r\nresetting ...\r\nU-Boot 2024.01 (Jan 08 2024)\r\n',
  'ets Jun  8 2016 00:22:57\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n',
];

describe.each(CHUNKINGS)('%s', (chunking) => {
  const eventOf = (text: string): WatchEvent | undefined => {
    const watch = new StreamWatch({ pass: [], fail: [], crash: crashPatterns() });
    watch.expect({ kind: 'literal', bytes: Buffer.from('never') });
    const bytes = Buffer.from(text, 'latin1');
    const chunks = chunking === 'whole chunks' ? [bytes] : [...bytes].map((byte) => Buffer.of(byte));
    for (const chunk of chunks) {
      const event = watch.push(chunk);
      if (event) return event;
    }
    return undefined;
  };

  test.each(SAMPLES)('a crash of %s is known: %j', (family, text, line) => {
    expect(eventOf(text)).toEqual({ kind: 'crash', family, line });
  });

  test.each(NEAR_MISSES)('no crash: %j', (text) => {
    expect(eventOf(text)).toBeUndefined();
  });
});

test('every family that is armed has a sample', () => {
  const families = crashPatterns().map(({ family }) => family);
  const sampled = new Set(SAMPLES.map(([family]) => family));
  expect(new Set(families.filter((family) => family !== 'reset-loop'))).toEqual(sampled);
});

test('every line that begins a dump has a sample', () => {
  const unseen = crashPatterns()
    .filter(({ tells }) => tells === 'crash')
    .filter(({ regex }) => !SAMPLES.some(([, , line]) => regex.find(line, 0)?.start === 0))
    .map(({ regex }) => regex.source);
  expect(unseen).toEqual([]);
});

/** What boards say once, when they start. */
const BOOTS: readonly string[] = [
  'rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)',
  ' ets Jan  8 2013,rst cause:4, boot mode:(3,6)',
  'U-Boot SPL 2024.01 (Jan 08 2024 - 15:37:48 +0000)',
  'U-Boot 2024.01 (Jan 08 2024 - 15:37:48 +0000)',
  'barebox 2024.01.0 #1 Mon Jan 8 15:37:48 UTC 2024',
  '*** Booting Zephyr OS build v3.7.0 ***',
  '[    0.000000] Linux version 6.6.12 (oe-user@oe-host)',
  'main(): This is RIOT! (Version: 2024.01)',
  'sai-uno 1.0.0 (reset: external)',
];

test('every start of a board has a sample', () => {
  const boots = crashPatterns().filter(({ tells }) => tells === 'boot');
  expect(boots.filter(({ regex }) => !BOOTS.some((line) => regex.find(line, 0)?.start === 0))).toEqual([]);
  expect(BOOTS.filter((line) => !boots.some(({ regex }) => regex.find(line, 0)))).toEqual([]);
});

describe('what is looked for', () => {
  const eventOf = (text: string, ...wish: Parameters<typeof crashPatterns>): WatchEvent | undefined => {
    const watch = new StreamWatch({ pass: [], fail: [], crash: crashPatterns(...wish) });
    watch.idle();
    return watch.push(Buffer.from(text));
  };
  const TRACEBACK = 'Traceback (most recent call last):\r\n';

  test('a traceback is a crash where it is asked for', () => {
    expect(eventOf(TRACEBACK, ['python'])).toMatchObject({ family: 'python' });
    expect(eventOf(TRACEBACK, 'auto', { families: ['python'] })).toMatchObject({ family: 'python' });
  });

  test('a device narrows it, and adds what its own firmware prints', () => {
    const device = { families: ['zephyr' as const], patterns: ['^ASSERT: .*$'] };
    expect(eventOf('*** PANIC: no\r\n', 'auto', device)).toBeUndefined();
    expect(eventOf('ASSERT: x\r\n', 'auto', device)).toEqual({
      kind: 'crash',
      family: 'device',
      line: 'ASSERT: x',
    });
  });

  test('nothing is with none', () => {
    expect(crashPatterns('none', { patterns: ['x'] })).toEqual([]);
  });
});

describe('a board that resets in a loop', () => {
  const BOOT = 'rst:0x3 (SW_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\nI (29) boot: ESP-IDF v5.1\r\n';
  const armed = (): StreamWatch => new StreamWatch({ pass: [], fail: [], crash: crashPatterns() });

  test('is a crash at its fifth start', () => {
    const watch = armed();
    watch.expect({ kind: 'literal', bytes: Buffer.from('ready') });
    expect(watch.push(Buffer.from(BOOT.repeat(4)))).toBeUndefined();
    expect(watch.push(Buffer.from(BOOT))).toMatchObject({ kind: 'crash', family: 'reset-loop' });
  });

  test.each([
    'U-Boot SPL 2024.01 (Jan 08 2024)\r\nU-Boot 2024.01 (Jan 08 2024)\r\n[    0.000000] Linux version 6.6.12\r\n',
    '*** Booting MCUboot v2.1.0 ***\r\n*** Booting Zephyr OS build v3.7.0 ***\r\n',
  ])('counts its starts, and not the loaders of each: %j', (boot) => {
    const watch = armed();
    watch.expect({ kind: 'literal', bytes: Buffer.from('ready') });
    expect(watch.push(Buffer.from(boot.repeat(4)))).toBeUndefined();
    expect(watch.push(Buffer.from(boot))).toMatchObject({ kind: 'crash', family: 'reset-loop' });
  });

  test('is none when a step gets on in between', () => {
    const watch = armed();
    for (let i = 0; i < 8; i++) {
      watch.expect({ kind: 'literal', bytes: Buffer.from('v5.1') });
      expect(watch.push(Buffer.from(BOOT))).toMatchObject({ kind: 'step' });
    }
  });

  test('is none when it was sent something, or reset, in between', () => {
    const watch = armed();
    for (let i = 0; i < 8; i++) {
      watch.idle();
      expect(watch.push(Buffer.from(BOOT))).toBeUndefined();
    }
  });
});
