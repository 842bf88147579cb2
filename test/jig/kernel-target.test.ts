import { guestTests } from '../peers/guest-tests.ts';
import { whyNoLibgpiod } from '../peers/needs.ts';

await guestTests('kernel-target.test.ts', whyNoLibgpiod());
