/** Names of the environment variables by which the commands meet. */

/** Path of the tty with that index of the leased device, as configured. */
export const ttyVariable = (index: number): string => `SAI_DEVICE_TTY${index}`;

/** The variables of a device that `--and ROLE=TYPE` took as well: `SAI_<ROLE>_TTY0…`, `_NAME`, `_TYPE`, `_JIG`, …. */
export const roleVariables = (role: string) => {
  const prefix = `SAI_${role.toUpperCase()}`;
  return {
    prefix,
    tty: (index: number): string => `${prefix}_TTY${index}`,
    name: `${prefix}_NAME`,
    type: `${prefix}_TYPE`,
    jig: `${prefix}_JIG`,
    probeSerial: `${prefix}_PROBE_SERIAL`,
    portBase: `${prefix}_PORT_BASE`,
  } as const;
};

/** Address of the log proxy that takes what is read from, and sent to, the tty with that index. */
export const logproxyTtyVariable = (index: number): string => `SAI_LOGPROXY_TTY${index}`;

export const ENV = {
  deviceName: 'SAI_DEVICE_NAME',
  deviceType: 'SAI_DEVICE_TYPE',
  /** `<url>/<target>` of the jig that holds the device's lines. */
  deviceJig: 'SAI_DEVICE_JIG',
  /** Serial number of the device's debug probe. */
  deviceProbeSerial: 'SAI_DEVICE_PROBE_SERIAL',
  /** First of ten TCP ports that no other lease on this host gets. */
  devicePortBase: 'SAI_DEVICE_PORT_BASE',
  /** The lease's folder: absolute, unique to the lease, gone with it. Also marks every process of the lease. */
  deviceLease: 'SAI_DEVICE_LEASE',
  /** Decimal number that outranks every older holder of the same device. */
  deviceFence: 'SAI_DEVICE_FENCE',
  /** File to which each command appends its findings. */
  findings: 'SAI_FINDINGS',
  /** Folder of leases and tickets, shared by every user of the host. */
  runDir: 'SAI_RUN_DIR',
  devicesConfig: 'SAI_DEVICES_CONF',
  /** Address of the log proxy for what the commands say of themselves. */
  logproxy: 'SAI_LOGPROXY',
  /** Address of the log proxy for what a jig does. */
  logproxyJig: 'SAI_LOGPROXY_JIG',
  jigConfig: 'SAI_JIG_CONF',
  /** Bearer token that the jig asks for. */
  jigToken: 'SAI_JIG_TOKEN',
  /** File of the certificate that the jig asks for, and of its key. */
  jigCertificate: 'SAI_JIG_CERT',
  jigKey: 'SAI_JIG_KEY',
} as const;

/** First words, after `SAI_`, of names that mean something already: no role may be called so. */
export const RESERVED_ROLES: ReadonlySet<string> = new Set([
  ...Object.values(ENV).map((name) => name.split('_')[1] ?? ''),
  // Exported by a builder, Sai's or ours.
  ...['BUILDER', 'SERVER', 'PROJECT', 'REMOTE', 'INSTANCE', 'PARALLEL', 'OVN', 'VN', 'TASK'],
]);
