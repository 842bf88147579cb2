import { Command, CommanderError } from 'commander';
import { packageVersion, strayOption, usageText, VERSION_OPTION } from '../base/command-line.ts';
import { parseDurationMs } from '../base/duration.ts';
import { RigError, reasonOf } from '../base/errors.ts';
import { oneLine } from '../base/one-line.ts';
import type { Invocation } from '../base/run-main.ts';
import { appendFindingOfFailure, findingOf } from '../findings/findings-file.ts';
import { ENV } from '../wire/env.ts';
import { checkConfig } from './check.ts';
import { checkDaemonPattern } from './daemons.ts';
import { DEFAULT_CONFIG, DEFAULT_GRACE_MS } from './defaults.ts';
import { examineHost } from './doctor.ts';
import type { Alias } from './environment.ts';
import { listPool } from './list.ts';
import { isPriority, USUAL_PRIORITY } from './order.ts';
import { parseWaitMs } from './pool.ts';
import { quarantine, releaseFromQuarantine } from './quarantine.ts';
import { checkRoles, type RoleRequest } from './role.ts';
import { runTool, type ToolRequest } from './run-tool.ts';
import { type RunRequest, runUnderLease } from './run-under-lease.ts';
import { scanForDevices } from './scan.ts';
import { watchPool } from './watch.ts';

const EXAMPLES = `
Everything after the type belongs to the command:
  sai-device uno ctest --output-on-failure -j4     run a test suite on a free Uno
  sai-device esp32 ESPPORT=0 idf.py monitor        also export the path of tty 0 as ESPPORT
  sai-device --wait 10m --tag rev2 uno ./flash.sh  wait ten minutes for one that has the tag
  sai-device --and peer=nrf52 uno ./radio.sh       both or none; the second is SAI_PEER_TTY0, SAI_PEER_NAME, ...
  sai-device --priority 9 uno ./hotfix.sh          before everybody who asked for less
  sai-device --no-wait uno true                    status 75 when none is free now
  sai-device --list --json                         who has what, without touching any
  sai-device --tool --flash esptool ...            under a lease: a program that locks the tty for itself
  sai-device --watch                               the same, live; Ctrl-C ends it
  sai-device --quarantine uno-1 --reason 'flashes one time in two'
  sai-device --keep-daemons adb phone ./test.sh    an adb server that the test starts may stay

From a bare machine to a listed device (docs/device-setup.md):
  sai-device --scan > devices.json                 propose entries for the boards that are plugged in
  sai-device --check --config devices.json         is the config right, and what would make it better?
  sai-device --doctor                              what on this host is in the way, and the cure

The command gets SAI_DEVICE_TTY0 (and 1, 2, ...), SAI_DEVICE_NAME, SAI_DEVICE_TYPE, SAI_DEVICE_JIG,
SAI_DEVICE_LEASE, SAI_DEVICE_FENCE, SAI_FINDINGS and SAI_RUN_DIR; with --and peer=... also SAI_PEER_TTY0, SAI_PEER_NAME,
SAI_PEER_TYPE, SAI_PEER_JIG; a device with a probe also SAI_DEVICE_PROBE_SERIAL and SAI_DEVICE_PORT_BASE, the first of ten
TCP ports that are this lease's.

Status: that of the command; 64 usage, 69 run folder not writable or no TCP ports left, 74 device missing or gone,
75 none free in time or lease too long, 78 config or unknown type, 126/127 command cannot start / not found,
128+signal when told to stop.
Of --doctor: 78 the config is wrong, else 74 a tty is, else 69 something else on the host is.
`;

interface Flags {
  config?: string;
  name?: string;
  tag?: string[];
  and?: string[];
  priority?: string;
  /** False: `--no-wait`. */
  wait?: string | false;
  maxLease?: string;
  grace?: string;
  new?: boolean;
  keepDaemons?: string[];
  list?: boolean;
  watch?: boolean;
  check?: boolean;
  scan?: boolean;
  doctor?: boolean;
  quarantine?: string;
  reason?: string;
  release?: string;
  json?: boolean;
  force?: boolean;
  tool?: boolean;
  flash?: boolean;
  optional?: boolean;
  quiet?: boolean;
  verbose?: boolean;
  version?: boolean;
}

/** The command `sai-device`. `guardProgram` is what `guard-main.ts` was built into. */
export async function saiDevice(invocation: Invocation, guardProgram: string): Promise<number> {
  const command = commandLine();
  try {
    return await obey(command, invocation, guardProgram);
  } catch (error) {
    const { optional } = command.opts<Flags>();
    if (!optional) {
      const { env, diagnostics } = invocation;
      appendFindingOfFailure(env[ENV.findings], findingOf('sai-device', error), (text) =>
        diagnostics.fail(text),
      );
    }
    throw error;
  }
}

async function obey(command: Command, invocation: Invocation, guardProgram: string): Promise<number> {
  const { args, env, diagnostics, print } = invocation;
  try {
    command.parse([...args], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw usage(usageText(error));
    const stray = strayOption(command, args);
    if (stray !== undefined) throw usage(stray);
    print(command.helpInformation() + EXAMPLES);
    return 0;
  }
  const flags = command.opts<Flags>();
  if (flags.version) {
    print(`${packageVersion()}\n`);
    return 0;
  }
  diagnostics.verbosity = flags.quiet ? 'quiet' : flags.verbose ? 'verbose' : 'normal';
  const config = flags.config ?? (env[ENV.devicesConfig] || DEFAULT_CONFIG);
  const force = flags.force ?? false;
  const format = flags.json ? 'json' : 'text';
  switch (taskOf(flags, command.args)) {
    case 'list':
      return await listPool(config, format, invocation);
    case 'watch':
      return await watchPool(config, format, invocation);
    case 'check':
      return await checkConfig(config, format, invocation);
    case 'scan':
      return await scanForDevices(config, format, invocation);
    case 'doctor':
      return await examineHost(config, format, invocation);
    case 'quarantine': {
      const { quarantine: name = '', reason = '' } = flags;
      return await quarantine({ config, force, name, reason }, invocation);
    }
    case 'release':
      return await releaseFromQuarantine({ config, force, name: flags.release ?? '' }, invocation);
    case 'tool':
      return await runTool(toolRequestOf(command.args, flags), invocation);
    case 'run':
      break;
  }
  return await runUnderLease(requestOf(command.args, flags, config), invocation, guardProgram);
}

function commandLine(): Command {
  const command = describedCommandLine();
  // To commander they are one option, of which the last one wins.
  const waits = new Set<string>();
  for (const each of ['wait', 'no-wait']) {
    command.on(`option:${each}`, () => {
      if (waits.add(each).size > 1) throw usage('expected one of --wait and --no-wait, got both');
    });
  }
  return command;
}

function describedCommandLine(): Command {
  const collect = (value: string, before: string[] = []): string[] => [...before, value];
  return (
    new Command('sai-device')
      .description('Runs a command while it alone has a free device of a type.')
      .usage(
        '[options] <type> [NAME=<ttyIndex>] [--] <command> [args...]\n' +
          '       sai-device --tool [--flash] [--] <command> [args...]',
      )
      .argument('[words...]')
      .option('--config <file>', `devices config (default: $${ENV.devicesConfig}, else ${DEFAULT_CONFIG})`)
      .option('--name <name>', 'only the device of that name')
      .option('--tag <tag>', 'only devices with that tag; may be repeated', collect)
      .option('--and <role=type>', 'another device, taken together with the first; may be repeated', collect)
      .option(
        '--priority <0-9>',
        `who asks with more is served first; waiting adds one each 10 minutes (default: ${USUAL_PRIORITY})`,
      )
      .option('--wait <duration>', 'longest wait: 30s, 10m, forever (default: as the device says, else 2h)')
      .option('--no-wait', 'fail at once, with status 75, when none is free')
      .option(
        '--max-lease <duration>',
        'end the command after that long, with status 75 (default: as the device says, else 8h)',
      )
      .option('--grace <duration>', 'time between TERM and KILL (default: 5s)')
      .option('--new', 'take another device even when this command runs under a lease that would do')
      .option(
        '--keep-daemons <name>',
        'leave daemons of that name running when the command ends, such as adb or "ccache*"; may be repeated',
        collect,
      )
      .option('--list', 'show all devices, who has them, and who is next')
      .option('--watch', 'the same, and again whenever something changes')
      .option('--check', 'say all that is wrong with the devices config, and what would make it better')
      .option('--scan', 'propose a devices config for the boards that are plugged in')
      .option('--doctor', 'say what on this host is in the way of boards, and the cure')
      .option('--json', 'with --list, --watch, --check, --scan, --doctor: one JSON object a line')
      .option('--quarantine <name>', 'let nobody have that device from now on; needs --reason')
      .option('--reason <text>', 'with --quarantine: why, for everybody who wants the device')
      .option('--release <name>', 'end a quarantine')
      .option(
        '--tool',
        'under a lease: lend its ttys to the command (esptool, tio, ...), which locks them itself',
      )
      .option('--flash', 'with --tool: a failure of the command is one of the rig, not of the firmware')
      .option('--optional', 'a failure of sai-device itself leaves no finding in $SAI_FINDINGS')
      .option('--force', 'accept a run folder on a network or FUSE file system')
      .option('-q, --quiet', 'say only what failed')
      .option('-v, --verbose', 'say also why')
      .option(...VERSION_OPTION)
      .helpOption('-h, --help', 'show this help')
      // What follows the type is the command's, also what looks like an option of ours.
      .passThroughOptions()
      .exitOverride()
      .configureOutput({ writeOut: () => {}, writeErr: () => {} })
  );
}

/** Each but `run` has a flag of its name. */
const TASKS = ['tool', 'list', 'watch', 'check', 'scan', 'doctor', 'quarantine', 'release'] as const;
type Task = 'run' | (typeof TASKS)[number];

/** Those that show something, line by line. */
const LOOKING: readonly Task[] = ['list', 'watch', 'check', 'scan', 'doctor'];

/** @throws {RigError} blame `usage` for flags that do not go together */
function taskOf(flags: Flags, words: readonly string[]): Task {
  const tasks = TASKS.filter((each) => flags[each] !== undefined);
  const [task = 'run', other] = tasks;
  if (other) throw usage(`expected one of --${task} and --${other}, got both`);
  const [word] = words;
  if (word !== undefined && (task === 'quarantine' || task === 'release'))
    throw usage(`--${task}: expected one name and no command, got ${JSON.stringify(word)}`);
  if (word !== undefined && LOOKING.includes(task))
    throw usage(`--${task}: expected no device type or command, got ${JSON.stringify(word)}`);
  if (flags.json && !LOOKING.includes(task)) {
    const names = LOOKING.map((each) => `--${each}`);
    throw usage(`--json: expected together with ${names.slice(0, -1).join(', ')} or ${names.at(-1)}`);
  }
  if (flags.flash && task !== 'tool') throw usage('--flash: expected together with --tool');
  if (flags.reason !== undefined && task !== 'quarantine')
    throw usage('--reason: expected together with --quarantine');
  if (task === 'quarantine' && (flags.reason ?? '').trim() === '')
    throw usage('--quarantine: expected --reason TEXT, for everybody who wants the device');
  return task;
}

function requestOf(words: readonly string[], flags: Flags, config: string): RunRequest {
  const [type, ...rest] = words;
  if (type === undefined) throw usage('expected a device type and a command, got neither');
  if (type.includes('=')) throw usage(`expected a device type, got ${JSON.stringify(type)}`);
  const alias = aliasIn(rest[0]);
  if (alias) rest.shift();
  const hasDashes = rest[0] === '--';
  if (hasDashes) rest.shift();
  const [program, ...args] = rest;
  if (program === undefined)
    throw usage(
      alias
        ? 'expected a command after the alias, got none'
        : `expected a command after type ${type}, got none; a type goes before the command`,
    );
  if (!hasDashes && program.startsWith('-'))
    throw usage(`expected a command after type ${type}, got ${program}; options go before the type`);
  return {
    config,
    force: flags.force ?? false,
    type,
    name: flags.name,
    tags: flags.tag ?? [],
    and: roleRequestsIn(flags.and ?? []),
    priority: priorityOf(flags.priority),
    alias,
    program,
    args,
    waitMs: waitMsOf(flags.wait),
    maxLeaseMs: flags.maxLease === undefined ? undefined : durationOf(flags.maxLease, '--max-lease'),
    graceMs: graceMsOf(flags),
    keepDaemons: (flags.keepDaemons ?? []).map((each) => checkDaemonPattern(each)),
    joins: !flags.new,
    purpose: oneLine([program, ...args].join(' ')),
    optional: flags.optional ?? false,
  };
}

/** Options that choose a device, or belong to its lease. */
function strayOf({ config, name, tag, maxLease, new: isNew, keepDaemons, force }: Flags): string | undefined {
  if (config !== undefined) return '--config';
  if (name !== undefined) return '--name';
  if (tag !== undefined) return '--tag';
  if (maxLease !== undefined) return '--max-lease';
  if (isNew) return '--new';
  if (keepDaemons !== undefined) return '--keep-daemons';
  return force ? '--force' : undefined;
}

function toolRequestOf([program, ...args]: readonly string[], flags: Flags): ToolRequest {
  const stray = strayOf(flags);
  if (stray !== undefined) throw usage(`--tool: expected no ${stray}; it runs in the lease that there is`);
  if (program === undefined) throw usage('--tool: expected a command, got none');
  return {
    program,
    args,
    waitMs: waitMsOf(flags.wait),
    graceMs: graceMsOf(flags),
    isFlash: flags.flash ?? false,
    optional: flags.optional ?? false,
  };
}

function graceMsOf({ grace }: Flags): number {
  return grace === undefined ? DEFAULT_GRACE_MS : durationOf(grace, '--grace');
}

function waitMsOf(wait: Flags['wait']): number | undefined {
  if (wait === undefined) return undefined;
  return wait === false ? 0 : durationOf(wait, '--wait', parseWaitMs);
}

function durationOf(text: string, flag: string, parseMs = parseDurationMs): number {
  try {
    return parseMs(text, flag);
  } catch (error) {
    throw usage(reasonOf(error));
  }
}

function priorityOf(text = String(USUAL_PRIORITY)): number {
  if (/^\d$/.test(text) && isPriority(Number(text))) return Number(text);
  throw usage(`--priority: expected a digit from 0 to 9, got ${JSON.stringify(text)}`);
}

function roleRequestsIn(words: readonly string[]): readonly RoleRequest[] {
  const requests = words.map((word) => {
    const [role = '', ...type] = word.split('=');
    return { role, type: type.join('=') };
  });
  try {
    return checkRoles(requests, '--and');
  } catch (error) {
    throw usage(reasonOf(error));
  }
}

function aliasIn(word: string | undefined): Alias | undefined {
  const match = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(word ?? '');
  const [, name, value] = match ?? [];
  if (name === undefined || value === undefined) return undefined;
  if (!/^\d{1,3}$/.test(value))
    throw usage(`${name}=${value}: expected the index of a tty, such as ${name}=0`);
  if (/^(?:SAI_.*|LD_.*|PATH)$/.test(name))
    throw usage(`${name}=${value}: expected a name other than SAI_*, LD_*, PATH`);
  return { name, ttyIndex: Number(value) };
}

function usage(text: string): RigError {
  return new RigError('usage', `${text}; see sai-device --help`);
}
