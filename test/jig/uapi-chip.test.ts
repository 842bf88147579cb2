import { guestTests } from '../peers/guest-tests.ts';

await guestTests('uapi-chip.test.ts');
