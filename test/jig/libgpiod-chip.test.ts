import { guestTests } from '../peers/guest-tests.ts';

await guestTests('libgpiod-chip.test.ts');
