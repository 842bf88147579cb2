/** What is wrong with ttys and locks: not there, not permitted, not the host's own, not the board that is meant. */

import { basename } from 'node:path';
import type { Ailment, ExaminedNode, Patient } from './ailment.ts';
import type { HostFiles } from './host-files.ts';
import { fileSystemOf } from './mounts.ts';
import { permissionCure } from './permission.ts';
import { NO_TTY, whyUnusable } from './place.ts';
import type { PooledDevice } from './pool.ts';
import { doubtOfIdentity, isById, isNamedByOrder, linksTo } from './serial-links.ts';
import { listUsbDevices, type UsbDevice } from './sysfs-usb.ts';
import { identityProblem } from './usb-identity.ts';

/** Milliseconds; the driver's default is 16. Source: Linux drivers/usb/serial/ftdi_sio.c. */
const GOOD_LATENCY_MS = 1;

const hardware = (problem: string, cure: string): Ailment => ({ blame: 'hardware', problem, cure });

export function ailmentsOfNodes(
  devices: readonly PooledDevice[],
  nodes: readonly ExaminedNode[],
  patient: Patient,
): Ailment[] {
  const { files } = patient;
  const usbDevices = listUsbDevices(files);
  return [
    ...nodes.flatMap((each) => [
      ...aboutAccess(each, patient),
      ...aboutAdapter(each, usbDevices, devices.length > 0, files),
    ]),
    ...aboutIdentities(devices, files),
  ];
}

function aboutAccess({ what, label, path, node, number }: ExaminedNode, patient: Patient): Ailment[] {
  const { login, mayUse, files } = patient;
  const error = files.errorAt(path);
  if (node === undefined || error !== undefined) {
    const { problem, cure } = whyUnusable(path, what, error ?? 'ENOENT', login, files);
    const hint = problem === 'no permission' ? '' : '; see --scan';
    return [hardware(`${label}: ${problem}`, `${cure}${hint}`)];
  }
  if (what === 'tty' && number === undefined) {
    const problem = `${label}: ${NO_TTY}`;
    return [{ blame: 'config', problem, cure: 'correct the config; see --scan' }];
  }
  const found: Ailment[] = [];
  if (!mayUse(path, what)) {
    found.push(hardware(`${label}: no permission`, permissionCure(path, what, login, files)));
  }
  const fileSystem = number === undefined ? undefined : foreignFileSystem(node, files);
  if (fileSystem !== undefined) {
    found.push(
      hardware(
        `${label}: a device node of its own, on ${fileSystem}: locks on it do not keep out who uses the host's`,
        `bind-mount the host's instead: -v /dev:/dev, or -v ${node}:${node}; and share /run/sai`,
      ),
    );
  }
  return found;
}

/** Only devtmpfs is one and the same for the whole host. A pty is nobody else's anyway. */
function foreignFileSystem(node: string, files: HostFiles): string | undefined {
  const type = fileSystemOf(node, files);
  return type === 'devtmpfs' || type === 'devpts' ? undefined : type;
}

function aboutAdapter(
  { label, path, node = '', usb }: ExaminedNode,
  usbDevices: readonly UsbDevice[],
  isConfigured: boolean,
  files: HostFiles,
): Ailment[] {
  if (!usb) return [];
  const found: Ailment[] = [];
  const { byPath = 'its link in /dev/serial/by-path' } = linksTo(basename(node), files);
  const doubt = isById(path) ? doubtOfIdentity(usb, usbDevices) : undefined;
  if (doubt !== undefined) {
    found.push({ blame: 'config', problem: `${label}: ${doubt}`, cure: `write ${byPath}` });
  }
  if (isConfigured && isNamedByOrder(path)) {
    const problem = `${label}: goes to whichever board was plugged in first`;
    found.push({ blame: 'config', problem, cure: `write ${byPath}` });
  }
  const latency = `/sys/class/tty/${basename(node)}/device/latency_timer`;
  const latencyMs = Number(files.text(latency) ?? GOOD_LATENCY_MS);
  if (latencyMs > GOOD_LATENCY_MS) {
    found.push({
      blame: 'unavailable',
      problem: `${label}: its FTDI adapter holds bytes back for ${latencyMs} ms`,
      cure: `install hardware/udev/70-sai-rig.rules, or as root: echo ${GOOD_LATENCY_MS} > ${latency}`,
    });
  }
  return found;
}

function aboutIdentities(devices: readonly PooledDevice[], files: HostFiles): Ailment[] {
  return devices.flatMap((device) => {
    const paths = [...device.ttys.filter(({ locked }) => locked).map(({ path }) => path), ...device.locks];
    if (paths.some((path) => files.stat(path) === undefined)) return []; // said already
    const nodes = paths.map((path) => ({ path, number: files.deviceNumber(path) }));
    const wrong = identityProblem(device, nodes, files);
    return wrong ? [hardware(`${device.name}: ${wrong.problem}`, wrong.cure)] : [];
  });
}
