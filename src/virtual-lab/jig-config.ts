/** The config by which `sai-jig` drives the lines of a lab's boards. */

/** Lines and sequences of one kind of board, in the words of the jig's config. */
export interface JigWiring {
  readonly gpios: readonly {
    readonly name: string;
    readonly wire: string;
    readonly activeLow?: true;
    readonly safe?: 0;
    readonly direction?: 'in';
  }[];
  readonly sequences: readonly { readonly name: string; readonly seq: readonly object[] }[];
}

type Gpio = JigWiring['gpios'][number];
type Sequence = JigWiring['sequences'][number];

const RESET: Gpio = { name: 'reset', wire: 'RESET', activeLow: true, safe: 0 };

const RESET_SEQUENCES: readonly Sequence[] = [
  { name: 'reset', seq: [{ pulse: 'reset', for: '50ms' }] },
  ...holdAndRelease('reset'),
];

export const UNO_WIRING: JigWiring = {
  gpios: [
    RESET,
    { name: 'button', wire: 'D2', activeLow: true, safe: 0 },
    { name: 'led', wire: 'D13', direction: 'in' },
  ],
  sequences: [
    ...RESET_SEQUENCES,
    { name: 'press', seq: [{ pulse: 'button', for: '100ms' }] },
    ...holdAndRelease('button'),
  ],
};

/** For boards that have nothing to be driven but their reset. */
export const RESET_WIRING: JigWiring = { gpios: [RESET], sequences: RESET_SEQUENCES };

export const MICROBIT_WIRING: JigWiring = {
  gpios: [
    RESET,
    { name: 'button-a', wire: 'BTN_A', activeLow: true, safe: 0 },
    { name: 'button-b', wire: 'BTN_B', activeLow: true, safe: 0 },
    { name: 'pin0', wire: 'P0', safe: 0 },
    { name: 'pin1', wire: 'P1', direction: 'in' },
  ],
  sequences: [
    ...RESET_SEQUENCES,
    { name: 'press-a', seq: [{ pulse: 'button-a', for: '100ms' }] },
    ...holdAndRelease('button-a'),
    { name: 'press-b', seq: [{ pulse: 'button-b', for: '100ms' }] },
    ...holdAndRelease('button-b'),
    { name: 'pin0-high', seq: [{ gpio_name: 'pin0', value: 1 }] },
    { name: 'pin0-low', seq: [{ gpio_name: 'pin0', value: 0 }] },
  ],
};

function holdAndRelease(name: string): Sequence[] {
  return [
    { name: `hold-${name}`, seq: [{ gpio_name: name, value: 1 }] },
    { name: `release-${name}`, seq: [{ gpio_name: name, value: 0 }] },
  ];
}

/** A board and the chip that its lines are on. */
export interface WiredBoard {
  readonly name: string;
  readonly chip: string;
  readonly wiring: JigWiring;
}

/** Only this machine may ask: everybody on it can already use the sockets. */
export function jigConfig(boards: readonly WiredBoard[], port: number | undefined): object {
  return {
    schema: 'sai-jig',
    ...(port === undefined ? {} : { port }),
    iface: '127.0.0.1',
    targets: boards.map(({ name, chip, wiring }) => ({
      name,
      gpios: wiring.gpios.map((gpio) => ({ ...gpio, chip, line: gpio.name })),
      sequences: wiring.sequences,
    })),
  };
}

/** Whether a file's text is what {@link jigConfig} makes for a lab in `dir`. */
export function isLabsJigConfig(text: string, dir: string): boolean {
  try {
    const { schema, targets } = JSON.parse(text) as {
      schema: unknown;
      targets: { gpios: { chip: string }[] }[];
    };
    const chips = targets.flatMap(({ gpios }) => gpios.map(({ chip }) => chip));
    return schema === 'sai-jig' && chips.length > 0 && chips.every((chip) => chip.startsWith(`${dir}/`));
  } catch {
    return false; // whatever it is, no lab wrote it
  }
}
