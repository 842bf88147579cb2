/** What a config needs of the host that checks it, beside chips: looked for, and not opened or run. */

import { refusalOf } from '../base/program.ts';
import { statIfVisible } from '../base/visible-file.ts';
import type { CheckFinding } from './check-finding.ts';
import type { ChipId, TargetPlan } from './plan.ts';
import { expiryRemark, type TlsIdentity } from './tls-files.ts';

/** What the host lacks may come, or be elsewhere: remarks alone. */
export function inspectHost(
  targets: readonly TargetPlan[],
  tls: TlsIdentity | undefined,
  env: NodeJS.ProcessEnv,
): CheckFinding[] {
  const expiry = tls && expiryRemark(tls, Date.now());
  const ttys = new Set(targets.flatMap(({ lines }) => lines.flatMap(({ chip }) => ttyOf(chip))));
  const programs = new Set(targets.flatMap((target) => programsOf(target)));
  return [
    ...(expiry === undefined ? [] : [remark('certificate', expiry)]),
    ...[...ttys].flatMap((tty) => missingTty(tty)),
    ...[...programs].flatMap((program) => {
      const refusal = refusalOf(program, env);
      return refusal ? [remark('no-program', `${refusal.text}; while it is so, what it is for fails`)] : [];
    }),
  ];
}

function ttyOf(chip: ChipId): string[] {
  return chip.kind === 'modem' ? [chip.tty] : [];
}

function missingTty(tty: string): CheckFinding[] {
  const found = statIfVisible(tty);
  if (found?.isCharacterDevice()) return [];
  const what = found ? 'it is no tty' : 'there is none';
  return [
    remark('no-tty', `${tty}: expected a serial adapter, ${what}; while it is so, the jig does not start`),
  ];
}

function programsOf({ lines, power }: TargetPlan): string[] {
  const ofLines = lines.flatMap(({ chip }) =>
    chip.kind === 'command' ? chip.lines.flatMap(({ high, low, release }) => [high, low, release ?? []]) : [],
  );
  const outlet = power?.outlet;
  // A `state` and uhubctl are called by the check itself.
  const ofPower = outlet?.kind === 'command' ? [outlet.on, outlet.off] : [];
  return [...ofLines, ...ofPower].flatMap(([program]) => program ?? []);
}

function remark(code: CheckFinding['code'], text: string): CheckFinding {
  return { severity: 'remark', code, text };
}
