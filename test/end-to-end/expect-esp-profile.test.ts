/** @esp-idf-boot on a peer that says what chips say. */

import { expect, test } from 'vitest';
import { CHUNKINGS, DutOnPty } from '../peers/dut-on-pty.ts';
import { type Ended, Workplace } from '../peers/expect-command.ts';

/** Source: espressif/esp-idf, issue 18299: an ESP32-C5 with ESP-IDF 5.5; colours as a 5.x with CONFIG_LOG_COLORS has them. */
const BOOTLOADER = [
  'ESP-ROM:esp32c5-eco2-20250121',
  'Build:Jan 21 2025',
  'rst:0x1 (POWERON),boot:0x18 (SPI_FAST_FLASH_BOOT)',
  'SPI mode:DIO, clock div:1',
  'load:0x408556b0,len:0x16b8',
  'load:0x4084bba0,len:0xde8',
  'load:0x4084e5a0,len:0x3170',
  'entry 0x4084bbaa',
  '\x1b[0;32mI (23) boot: ESP-IDF v5.5.3 2nd stage bootloader\x1b[0m',
  '\x1b[0;32mI (24) boot: chip revision: v1.0\x1b[0m',
  '\x1b[0;32mI (39) boot: Enabling RNG early entropy source...\x1b[0m',
  '\x1b[0;32mI (43) boot: Partition Table:\x1b[0m',
];

const APPLICATION = [
  '\x1b[0;32mI (46) boot: ## Label            Usage          Type ST Offset   Length\x1b[0m',
  '\x1b[0;32mI (52) boot:  0 nvs              WiFi data        01 02 00009000 00006000\x1b[0m',
  '\x1b[0;32mI (224) main_task: Started on CPU0\x1b[0m',
  '\x1b[0;32mI (224) main_task: Calling app_main()\x1b[0m',
  'Hello world!',
];

async function follow(chunking: (typeof CHUNKINGS)[number], lines: readonly string[]): Promise<Ended> {
  await using place = new Workplace();
  await using dut = new DutOnPty(chunking);
  dut.say(lines.map((line) => `${line}\r\n`).join(''));
  return await place.run('--tty', dut.ttyPath, '--script', '@esp-idf-boot', '--timeout', '10s');
}

test.each(CHUNKINGS)('a chip that boots its application is through, in %s', async (chunking) => {
  expect(await follow(chunking, [...BOOTLOADER, ...APPLICATION])).toMatchObject({ status: 0, stderr: [] });
});

// Source: the ROM's own text; bootloader_support/src/bootloader_utility.c.
test.each([
  [
    'waits for a download',
    [
      ...BOOTLOADER.slice(0, 2),
      'rst:0x1 (POWERON),boot:0x0 (DOWNLOAD(USB/UART0/SPI))',
      'waiting for download',
    ],
    'the chip waits for a download, its boot pin was low at reset',
  ],
  [
    'has no program',
    [...BOOTLOADER.slice(0, 3), 'invalid header: 0xffffffff', 'invalid header: 0xffffffff'],
    'the flash has no program',
  ],
  [
    'has no application',
    [...BOOTLOADER, '\x1b[0;31mE (60) boot: No bootable app partitions in the partition table\x1b[0m'],
    'the flash has a bootloader and no application',
  ],
])('a chip that %s fails, with the reason', async (_what, lines, reason) => {
  const ended = await follow('whole chunks', lines);
  expect(ended.status).toBe(1);
  expect(ended.stderr[0]).toMatch(/^sai-expect: \/dev\/pts\/\d+: fail \(@esp-idf-boot:\d+\) said "/);
  expect(ended.stderr[0]).toContain(reason);
});
