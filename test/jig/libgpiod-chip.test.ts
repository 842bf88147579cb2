import { guestTests } from '../peers/guest-tests.ts';
import { whyNoLibgpiod } from '../peers/needs.ts';

await guestTests('libgpiod-chip.test.ts', whyNoLibgpiod());
