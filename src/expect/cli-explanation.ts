import { ESCAPES_HELP } from './text.ts';

/** What `sai-expect --help` says after its options. */
export const EXPLANATION = String.raw`
Without steps it reads the ttys of the leased device ($SAI_DEVICE_TTY0 and, if set, TTY1) at 115200 baud until one
says "Completed: PASS" (status 0) or "Completed: FAIL" (status 1), for at most 15 minutes.

TEXT is UTF-8 with the escapes ${ESCAPES_HELP}, at most 16 KiB. RE is a JavaScript
regular expression over bytes: . and classes take one byte each, ^ and $ are ends of lines (also at a lone \r), it sees
at most the last 4 KiB, of a longer line too, and is decided at the end of a line or when the board has been quiet for
50 ms. Look-around, back references and what is too large (1200 states), whose time nobody can bound, are refused;
--unsafe-regex takes them, and gives up after a second. Each match uses up what it matched; the next step looks at what follows.
--wait-echo waits for no echo of lines with control bytes. A break on a pty does nothing, and a pty has no DTR and RTS.
A --pass text ends the session at once, also while steps are left, unless a --fresh, --jig, --break, --dtr or --rts is still to come; with steps done
and no --pass text, the session has passed.

Under a lease, what was read and not used is there for the next sai-expect, also after a kill -9, but for what was being
read at that very instant. Put --fresh before what provokes an answer:
what had arrived by then can no longer match. --jig does that by itself, then has the jig at $SAI_DEVICE_JIG run the
sequence; what the board says meanwhile is for the next step.

Examples:
  sai-device esp32 sai-expect
  sai-expect --tty /dev/ttyUSB0 --line version --expect '1.2.'
  sai-expect --expect 'login: ' --line root --regex '^# ?$' --timeout 90s
  sai-device uno sai-expect --jig reset --expect 'ready'
  sai-expect --fresh --line selftest --pass 'ALL OK' --fail 'FAILED' --timeout 5m
  sai-expect --send '\x03' --expect '=> ' --line 'boot' --expect 'Linux version'
  sai-expect --line loady --expect 'bps...' --ysend u-boot.img --expect '=> ' --timeout 5m
  sai-expect --dtr off --rts on --pause 100ms --rts off --expect 'rst:0x1 (POWERON'
  sai-expect --format 7E1 --pace 5ms --wait-echo --line 'show version' --expect 'Version'
  sai-device u-boot sai-expect --script @u-boot-stop
  sai-expect --script boot.yaml --var user=root --dry-run
  sai-expect --fresh --line selftest --results unity --junit selftest.xml
  sai-expect --fresh --line panic --expect-crash
  sai-expect --record boot.rec --jig reset --expect 'ready'
  sai-expect --replay boot.rec --expect 'ready'

Exit status: 0 pass; 1 fail text, crash or silence; 64 usage, or a file that is to be read is not there; 69 the lease is over, the jig does not answer, or lrzsz is
missing; 74 tty gone, missing or refused; 75 another sai-expect reads the console; 78 a script that is wrong, a file
that cannot be written, or a --jig step and no jig; 128+n told to stop.`;
