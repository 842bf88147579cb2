import { describe, expect, test } from 'vitest';
import { CrashDump, evidenceIn } from '../../src/expect/crash-dump.ts';
import type { CrashFamily } from '../../src/wire/crash.ts';
import { CHUNKINGS } from '../peers/dut-on-pty.ts';

interface Dump {
  readonly family: CrashFamily;
  /** What some print before the line that tells. */
  readonly before?: readonly string[];
  readonly first: string;
  readonly lines: readonly string[];
  readonly evidence: string;
  /** Whether the last of `lines` is known to be the last. */
  readonly ends: boolean;
}

const DUMPS: readonly Dump[] = [
  {
    family: 'esp-idf',
    first: "Guru Meditation Error: Core  0 panic'ed (Unhandled debug exception). ",
    lines: [
      'Debug exception reason: Stack canary watchpoint triggered (main) ',
      'Core  0 register dump:',
      'PC      : 0x400d1234  PS      : 0x00060b30',
      'EXCVADDR: 0x00000000  LBEG    : 0x400014fd',
      'Rebooting...',
    ],
    evidence: 'Stack canary watchpoint triggered (main), pc 0x400d1234, address 0x00000000',
    ends: true,
  },
  {
    family: 'esp-idf',
    first: "Guru Meditation Error: Core  0 panic'ed (Store access fault). Exception was unhandled.",
    lines: ['MEPC    : 0x42007e6a  RA      : 0x42007e64', 'MTVAL   : 0x00000010  MHARTID : 0x00000000'],
    evidence: 'pc 0x42007e6a, address 0x00000010',
    ends: false,
  },
  {
    family: 'zephyr',
    before: [
      '[00:00:00.010,000] <err> os: ***** MPU FAULT *****',
      '[00:00:00.010,000] <err> os:   MMFAR Address: 0x4',
      '[00:00:00.010,000] <err> os: Faulting instruction address (r15/pc): 0x000004c2',
    ],
    first: '[00:00:00.010,000] <err> os: >>> ZEPHYR FATAL ERROR 19: Unknown error on CPU 0',
    lines: [
      '[00:00:00.010,000] <err> os: Current thread: 0x20000590 (main)',
      '[00:00:00.020,000] <err> os: Halting system',
    ],
    evidence: 'MPU FAULT, pc 0x000004c2, address 0x4, task 0x20000590 (main)',
    ends: true,
  },
  {
    family: 'linux',
    first: '[    3.1] BUG: kernel NULL pointer dereference, address: 0000000000000000',
    lines: [
      '[    3.1] CPU: 0 PID: 1 Comm: insmod Tainted: G           O',
      '[    3.1] RIP: 0010:crash_init+0x12/0x1000 [crash]',
      '[    3.1] CR2: 0000000000000000',
      '[    3.1] ---[ end Kernel panic - not syncing: Fatal exception ]---',
    ],
    evidence: 'pc crash_init+0x12/0x1000, task insmod',
    ends: true,
  },
  {
    family: 'u-boot',
    first: '"Synchronous Abort" handler, esr 0x96000010, far 0x51000d8',
    lines: [
      'elr: 0000000001002a48 lr : 0000000001002c88 (reloc)',
      'elr: 00000000f2f26a48 lr : 00000000f2f26c88',
      'resetting ...',
    ],
    evidence: 'pc 0000000001002a48',
    ends: true,
  },
  {
    family: 'sai-uno',
    first: '*** PANIC: asked for at the shell (shell.c:137) ***',
    lines: ['r24=34 sp=08ef sreg=80 uptime=12', 'stack: 01 02 03 04 05 06'],
    evidence: '',
    ends: true,
  },
  {
    family: 'mbed',
    first: '++ MbedOS Fault Handler ++',
    lines: [
      'FaultType: HardFault',
      'PC   : 00003DC8',
      'BFAR : 0000AAA3',
      '-- MbedOS Fault Handler --',
      '++ MbedOS Error Info ++',
      'Error Message: Fault exception',
      '-- MbedOS Error Info --',
    ],
    evidence: 'HardFault, pc 00003DC8, address 0000AAA3',
    ends: true,
  },
  {
    family: 'cortex-m',
    first: '[Hard fault handler - all numbers in hex]',
    lines: [
      'R0 = 0',
      'LR [R14] = 8001235  subroutine call return address',
      'PC [R15] = 8001234  program counter',
    ],
    evidence: 'pc 8001234',
    ends: false,
  },
  {
    family: 'nuttx',
    before: [
      'riscv_exception: EXCEPTION: Load access fault. MCAUSE: 00000005, EPC: 80008bfe, MTVAL: 01473e00',
    ],
    first: 'riscv_exception: PANIC!!! Exception = 00000005',
    lines: [
      'dump_assert_info: Assertion failed panic: at file: x.c:131 task: nsh_main process: nsh_main 0x8000a806',
    ],
    evidence: 'pc 80008bfe, address 01473e00, task nsh_main',
    ends: false,
  },
  {
    family: 'riot',
    first: '*** RIOT kernel panic:',
    lines: ['HARD FAULT HANDLER', '', '*** halted.'],
    evidence: 'HARD FAULT HANDLER',
    ends: true,
  },
  {
    family: 'pico',
    first: '*** PANIC ***',
    lines: ['', 'ep 83 was already available'],
    evidence: 'ep 83 was already available',
    ends: false,
  },
  {
    family: 'micropython',
    first: 'HardFault',
    lines: ['R0    00000000', 'PC    0800a1b2'],
    evidence: 'pc 0800a1b2',
    ends: false,
  },
  {
    family: 'python',
    first: 'Traceback (most recent call last):',
    lines: ['  File "main.py", line 3, in <module>', 'OSError: [Errno 5] EIO'],
    evidence: 'OSError: [Errno 5] EIO',
    ends: true,
  },
  {
    family: 'arduino-esp8266',
    first: 'Exception (28):',
    lines: [
      'epc1=0x4020104b epc2=0x00000000 epc3=0x00000000 excvaddr=0x00000004 depc=0x00000000',
      '>>>stack>>>',
      'ctx: cont',
      '3fffff40:  00000000 3ffee638 3ffee638 00000001',
      '<<<stack<<<',
    ],
    evidence: 'pc 0x4020104b, address 0x00000004, task cont',
    ends: true,
  },
  {
    family: 'rust',
    first: "thread 'main' panicked at src/main.rs:4:5:",
    lines: ['index out of bounds: the len is 3 but the index is 5'],
    evidence: 'index out of bounds: the len is 3 but the index is 5',
    ends: false,
  },
  {
    family: 'go',
    first: 'panic: runtime error: invalid memory address or nil pointer dereference',
    lines: ['[signal SIGSEGV: segmentation violation code=0x1 addr=0x8 pc=0x48a7b3]', 'exit status 2'],
    evidence: 'pc 0x48a7b3, address 0x8',
    ends: true,
  },
  {
    family: 'sanitizer',
    first:
      '==7==ERROR: AddressSanitizer: SEGV on unknown address 0x000000000000 (pc 0x55 bp 0x7f sp 0x7f T0)',
    lines: ['    #0 0x55 in main main.c:3', '==7==ABORTING'],
    evidence: '',
    ends: true,
  },
  {
    family: 'glibc',
    first: "terminate called after throwing an instance of 'std::runtime_error'",
    lines: ['  what():  no flash', 'Aborted'],
    evidence: 'no flash',
    ends: true,
  },
];

describe.each(CHUNKINGS)('%s', (chunking) => {
  const followed = (dump: CrashDump, text: string): number => {
    const bytes = Buffer.from(text);
    if (chunking === 'whole chunks') return dump.push(bytes);
    return [...bytes].reduce((used, byte) => used + dump.push(Buffer.of(byte)), 0);
  };

  test.each(DUMPS)('a dump of $family ends where it does: $first', ({ family, lines, ends }) => {
    const dump = new CrashDump(family);
    const text = `\r\n${lines.join('\r\n')}\r\n`;
    expect(followed(dump, ends ? `${text}more\r\n` : text)).toBe(text.length);
    expect(dump.isOver).toBe(ends);
  });

  test('the next start of the board is no part of a dump', () => {
    const dump = new CrashDump('rust');
    const text = '\r\npanicked\r\n';
    expect(followed(dump, `${text}rst:0xc (SW_CPU_RESET),boot:0x13\r\nready`)).toBe(text.length);
    expect(dump.isOver).toBe(true);
  });

  test('starts too many are followed by no dump, and the line that has begun by the end of it', () => {
    const dump = new CrashDump('reset-loop');
    expect(followed(dump, '\r')).toBe(0);
    expect(dump.isOver).toBe(false);
    expect(followed(dump, '\n')).toBe(2);
    expect(dump.isOver).toBe(true);
  });

  test('an unfinished line is left to who reads next', () => {
    const dump = new CrashDump('rust');
    expect(followed(dump, '\r\nregisters\r\n> ')).toBe('\r\nregisters\r\n'.length);
  });
});

test.each(DUMPS)('$family tells where: $first', ({ family, before = [], first, lines, evidence }) => {
  expect(evidenceIn(family, first, [...before, first, ...lines].join('\n')).told).toBe(evidence);
});

test('a dump that goes on for ever is cut', () => {
  const dump = new CrashDump('linux');
  for (let i = 0; i < 1024 && !dump.isOver; i++) dump.push(Buffer.alloc(4096, 'x\n'));
  expect(dump.isOver).toBe(true);
});
