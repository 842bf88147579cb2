// biome-ignore-all lint/suspicious/noTemplateCurlyInString: scripts have variables of that form

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { RigError } from '../../src/base/errors.ts';
import { explainPlan } from '../../src/expect/explain-plan.ts';
import { type LoadedScript, loadScript, type ScriptInput } from '../../src/expect/script-file.ts';
import { tempFolder } from '../temp-folder.ts';

interface Given extends Partial<ScriptInput> {
  readonly files?: Readonly<Record<string, string>>;
}

/** Loads `text` as `boot.yaml`, beside `files`. */
async function load(text: string, { files = {}, ...input }: Given = {}): Promise<LoadedScript> {
  const folder = tempFolder();
  for (const [name, content] of Object.entries({ 'boot.yaml': text, ...files })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  const whole: ScriptInput = {
    file: join(folder, 'boot.yaml'),
    variables: [],
    lineEnd: undefined,
    env: {},
    unsafe: undefined,
    missingValues: 'refused',
    pass: 'of the file',
    ...input,
  };
  try {
    return await loadScript(whole);
  } catch (error) {
    if (!(error instanceof RigError)) throw error;
    throw new RigError(error.blame, error.message.replaceAll(`${folder}/`, ''));
  }
}

async function problem(text: string, given?: Given): Promise<string> {
  return await load(text, given).then(
    () => 'no problem',
    (error: unknown) => {
      if (!(error instanceof RigError)) throw error;
      return `${error.blame}: ${error.message}`;
    },
  );
}

/** The plan without the lines about the whole. */
async function plan(text: string, given?: Given): Promise<string[]> {
  const lines = explainPlan(await load(text, given), 'never').split('\n');
  return lines.filter((line) => /^ *\d+\. | on tty /.test(line)).map((line) => line.trim());
}

test('a script in YAML and the same in JSON are the same', async () => {
  const yaml =
    'steps:\n  - line: version\n  - expect: "=> "\n    within: 5s\n  - fresh\n  - pause: 10ms\n  - jig: reset\n';
  const json =
    '{\n\t"steps": [\n\t\t{"line": "version"},\n\t\t{"expect": "=> ", "within": "5s"},\n"fresh", {"pause": "10ms"}, {"jig": "reset"},\n]}';
  const steps = [
    '1. line "version"',
    '2. wait for "=> ", at most 5 s, else fail',
    '3. let go of all that has arrived: only what comes from now on counts',
    '4. wait 10 ms',
    '5. have the jig run "reset"; only what comes from just before it counts',
  ];
  expect(await plan(yaml)).toEqual(steps);
  expect(await plan(json)).toEqual(steps);
});

describe('a file that is wrong is told with line and column:', () => {
  test.each([
    [
      'an unknown key',
      'steps:\n  - expect: a\nstpes: 1\n',
      'boot.yaml:3:1: unknown key "stpes" (did you mean "steps"?)',
    ],
    [
      'an unknown key of a step',
      'steps:\n  - expect: a\n    witin: 5s\n',
      'boot.yaml:3:5: steps.0: unknown key "witin" (did you mean "within"?)',
    ],
    [
      'an unknown step',
      'steps:\n  - expct: a\n',
      'boot.yaml:2:5: steps.0: expected one of send, line, expect, regex, pause, fresh, break, dtr, rts, jig, ysend, xsend, yreceive, choices, label, goto, loop, repeat, fail, call, parallel, got "expct" (did you mean "expect"?)',
    ],
    ['no steps', 'about: a\n', 'boot.yaml:1:1: steps: expected a list of steps, got nothing'],
    ['an empty list', 'steps: []\n', 'boot.yaml:1:1: steps: expected at least one step, got []'],
    ['an empty file', '', 'boot.yaml:1:1: expected keys such as "steps:", it is empty'],
    [
      'a number for a text',
      'steps:\n  - expect: 42\n',
      'boot.yaml:2:5: steps.0.expect: expected a text in quotes, got 42',
    ],
    [
      'a time without a unit',
      'steps:\n  - pause: 10\n',
      'boot.yaml:2:5: steps.0.pause: expected a time such as 300ms, 2s or 5m, got 10',
    ],
    [
      'a time that is none',
      'steps:\n  - pause: soon\n',
      'boot.yaml:2:5: steps.0.pause: the time: expected a duration such as 300ms, 2s, 5m or 8h, got "soon"',
    ],
    [
      'a time for what does not wait',
      'steps:\n  - pause: 1s\n    within: 2s\n',
      'boot.yaml:3:5: steps.0: unknown key "within"',
    ],
    [
      'two kinds in one step',
      'steps:\n  - send: a\n    expect: b\n',
      'boot.yaml:2:5: steps.0: expected one kind of step, got send and expect; write a step for each',
    ],
    [
      'a step that is a list',
      'steps:\n  - [a]\n',
      'boot.yaml:2:5: steps.0: expected a step such as {expect: "login: "}, got ["a"]',
    ],
    [
      'a bad regex',
      'steps:\n  - regex: "(a"\n',
      'boot.yaml:2:5: steps.0.regex: the regular expression: unterminated group at character 1 of "(a"',
    ],
    ['a bad escape', "steps:\n  - send: '\\q'\n", 'boot.yaml:2:5: steps.0.send: the text: expected one of'],
    [
      'an empty text',
      "steps:\n  - expect: ''\n",
      'boot.yaml:2:5: steps.0.expect: expected at least one byte',
    ],
    [
      'a key given twice',
      'steps:\n  - expect: a\nsteps: []\n',
      'boot.yaml:3:1: expected each key once, got steps again',
    ],
    [
      'a key given twice in flow style',
      '{"steps": [\n  {"expect": "a", "expect": "b"}]}',
      'boot.yaml:2:19: expected each key once, got "expect" again',
    ],
    [
      'a wrong step behind a byte order mark',
      '\ufeff{"steps": ["fresh", {"exect": "a"}]}',
      'boot.yaml:1:21: steps.1: expected one of',
    ],
    [
      'a wrong step behind CR and LF',
      'steps:\r\n  - fresh\r\n  - exect: a\r\n',
      'boot.yaml:3:5: steps.1: expected one of',
    ],
    [
      'a tty whose steps would be dropped',
      'steps:\n  - parallel:\n      0: [fresh]\n      __proto__: [fresh]\n',
      'boot.yaml:4:7: steps.0.parallel.__proto__: expected another name, this one is taken',
    ],
    [
      'a variable that would be dropped',
      'variables: {constructor: a}\nsteps: [fresh]\n',
      'boot.yaml:1:13: variables.constructor: expected another name, this one is taken',
    ],
    [
      'a limit of nothing',
      'steps:\n  - loop: {limit: 0, steps: [fresh]}\n',
      'boot.yaml:2:12: steps.0.loop.limit: expected a whole number from 1 to 10000, got 0',
    ],
    ['no YAML', 'steps: [\n', 'boot.yaml:2:1: expected YAML or JSON: '],
    [
      'two documents',
      'steps: [fresh]\n---\na: 1\n',
      'boot.yaml:2:1: expected one document, found another one',
    ],
    [
      'a tag',
      'steps:\n  - send: !!js/function "a"\n',
      'boot.yaml:2:11: expected YAML or JSON: Unresolved tag',
    ],
  ])('%s', async (_what, text, said) => {
    expect(await problem(text)).toContain(`config: ${said}`);
  });

  test('but not for one family of crashes alone', async () => {
    expect((await load('crash: u-boot\nsteps: [fresh]')).crash).toEqual(['u-boot']);
    expect((await load('crash: none\nsteps: [fresh]')).crash).toBe('none');
  });

  test('with all that is wrong in it, in the order of its lines', async () => {
    const text = [
      'crash: uboot',
      'timout: 3s',
      'variables: {user: 3}',
      'steps:',
      '  - send: 3',
      '    within: soon',
      '  - loop: {limt: 3, steps: [{goto: nowhere}]}',
      '  - repeat: {times: 3, steps: [{pause: 1}, {line: "${user}"}, fesh]}',
      '  - goto: elsewhere',
      'fail: [7, {regex: "("}]',
    ].join('\n');
    expect((await problem(text)).replace('config: ', '').split('; ')).toEqual([
      'boot.yaml:1:1: crash: expected auto, none, a family such as u-boot, or a list of them (did you mean "u-boot"?), got "uboot"',
      'boot.yaml:2:1: unknown key "timout" (did you mean "timeout"?)',
      'boot.yaml:3:13: variables.user: expected a text in quotes, or {about: …, default: …, env: …}, got 3',
      'boot.yaml:5:5: steps.0.send: expected a text in quotes, got 3',
      'boot.yaml:6:5: steps.0.within: expected a time such as 300ms, 2s or 5m, got "soon"',
      'boot.yaml:7:12: steps.1.loop: unknown key "limt" (did you mean "limit"?)',
      expect.stringMatching(/^boot\.yaml:8:33: steps\.2\.repeat\.steps\.0\.pause: expected a time/),
      expect.stringMatching(/^boot\.yaml:8:63: steps\.2\.repeat\.steps\.2: expected one of .* got "fesh"/),
      expect.stringMatching(/^boot\.yaml:9:5: steps\.3\.goto: /),
      'boot.yaml:10:8: fail.0: expected a text in quotes, or {regex: "…"}, got 7',
    ]);
    const many = await problem(`steps: [${'{send: 1}, '.repeat(40)}]`);
    expect(many.split('; ')).toHaveLength(11);
    expect(many).toMatch(/; and 30 more mistakes$/);
  });

  test.each([
    '$schema',
    'about',
    'variables',
    'eol',
    'pass',
    'fail',
    'crash',
    'ignoreAnsi',
    'timeout',
    'steps',
  ])('in the words of who writes it: %s', async (key) => {
    const others = key === 'steps' ? {} : { steps: ['fresh'] };
    for (const value of [30, null, 'x!', [30], { a: { b: 1 } }, [{ regex: 3 }], ['x!', []]]) {
      const said = await problem(JSON.stringify({ ...others, [key]: value }));
      expect(said).not.toMatch(/\|| array|object|record|boolean|picklist|never"|unknown, got/);
    }
  });

  test.each([
    'send',
    'line',
    'expect',
    'regex',
    'pause',
    'fresh',
    'break',
    'dtr',
    'rts',
    'jig',
    'ysend',
    'xsend',
    'yreceive',
    'choices',
    'label',
    'goto',
    'loop',
    'repeat',
    'fail',
    'call',
    'parallel',
  ])('in the words of who writes it: a step of %s', async (key) => {
    for (const value of [30, null, [30], { a: { b: 1 } }, [{ regex: 3 }], { limit: 1, times: 1 }, { 0: 3 }]) {
      for (const more of [{}, { within: 3 }, { with: 3 }, { limit: 'x' }]) {
        const said = await problem(JSON.stringify({ steps: [{ [key]: value, ...more }] }));
        expect(said.replace('(did you mean "object"?)', '')).not.toMatch(
          / \| | array|object|record|boolean|picklist/,
        );
      }
    }
  });

  test('a file that is not UTF-8, as its bytes would go out as others', async () => {
    const file = join(tempFolder(), 'latin.yaml');
    writeFileSync(file, Buffer.from('steps:\n  - send: "gr\xfc\xdf"\n', 'latin1'));
    expect(await problem('', { file })).toContain(
      'latin.yaml:2:14: expected UTF-8, found bytes that are none',
    );
  });

  test('a file that is missing, and one that is no file', async () => {
    expect(await problem('steps: [{call: gone.yaml}]')).toBe(
      'config: boot.yaml:1:10: steps.0.call: gone.yaml: expected a file, found none',
    );
    expect(await problem('steps: [fresh]', { file: '/dev/zero' })).toBe(
      'config: /dev/zero: expected a file, found a device, pipe or socket',
    );
  });
});

describe('a way that leads where nobody meant to go is refused:', () => {
  const choices = (...lines: string[]): string =>
    `steps:\n  - choices:\n${lines.map((line) => `      - ${line}\n`).join('')}`;
  test.each([
    [
      'steps after a goto',
      'steps:\n  - goto: end\n  - send: a\n',
      'boot.yaml:3:5: steps.1: expected a way to get here, but the step before always goes elsewhere',
    ],
    [
      'steps after a fail',
      'steps:\n  - fail: no\n  - fresh\n',
      'boot.yaml:3:5: steps.1: expected a way to get here',
    ],
    [
      'a label that nothing goes to',
      'steps:\n  - label: a\n  - send: a\n',
      'boot.yaml:2:5: steps.0: nothing goes to the label "a"',
    ],
    [
      'a label that is there twice',
      'steps:\n  - goto: a\n  - label: a\n  - label: a\n',
      'boot.yaml:4:5: steps.2: expected each label once',
    ],
    [
      'a label that is not there',
      'steps:\n  - label: login\n    limit: 2\n  - goto: logn\n',
      'boot.yaml:4:5: steps.1.goto: expected a label here or around here, or next, leave or end, got "logn" (did you mean "login"?)',
    ],
    [
      'next that is no choice',
      'steps:\n  - goto: next\n',
      'boot.yaml:2:5: steps.0.goto: expected next in a choice alone',
    ],
    [
      'leave outside of a loop',
      'steps:\n  - goto: leave\n',
      'boot.yaml:2:5: steps.0.goto: expected leave inside of loop or repeat',
    ],
    [
      'a label with a name of ours',
      'steps:\n  - label: end\n',
      'boot.yaml:2:5: steps.0: expected a name of your own',
    ],
    [
      'back without a limit',
      'steps:\n  - label: a\n  - send: a\n  - goto: a\n',
      'boot.yaml:4:5: steps.2.goto: goes back to the label "a", which has no limit; write {label: a, limit: 3} there',
    ],
    [
      'into a block',
      `${choices('{expect: a, goto: inside}', '{expect: b, then: [{label: inside}, {send: a}]}')}`,
      'boot.yaml:3:21: steps.0.choices.0.goto: expected a label here or around here',
    ],
    [
      'a choice without a continuation',
      choices('expect: a', '{expect: b, goto: end}'),
      'boot.yaml:3:9: steps.0.choices.0: expected either goto or then, to say how it goes on',
    ],
    [
      'a choice that goes two ways',
      choices('{expect: a, goto: end, then: [fresh]}'),
      'steps.0.choices.0: expected either goto or then',
    ],
    ['a choice of nothing', choices('{goto: end}'), 'steps.0.choices.0: expected either expect or regex'],
    [
      'a choice that waits for two',
      choices('{expect: a, regex: b, goto: end}'),
      'steps.0.choices.0: expected either expect or regex',
    ],
    [
      'the same choice twice',
      choices('{expect: a, goto: end}', "{expect: '\\x61', goto: next}"),
      'boot.yaml:4:9: steps.0.choices.1: can never be chosen: it is the same as choices.0',
    ],
    [
      'the same regex twice',
      choices('{regex: a+, goto: end}', '{regex: a+, goto: next}'),
      'boot.yaml:4:9: steps.0.choices.1: can never be chosen: it is the same as choices.0',
    ],
    [
      'a choice that begins with another one',
      choices('{expect: login incorrect, goto: end}', '{expect: login, goto: next}'),
      'boot.yaml:3:9: steps.0.choices.0: can never be chosen: its beginning is choices.1',
    ],
    [
      'a choice that holds another one',
      choices('{expect: last login at, goto: end}', '{expect: login, goto: next}'),
      'steps.0.choices.0: can never be chosen: part of it is choices.1',
    ],
    [
      'a loop that nothing leaves, before other steps',
      'steps:\n  - loop: {limit: 3, steps: [{send: a}]}\n  - send: b\n',
      'boot.yaml:3:5: steps.1: expected a way to get here',
    ],
    [
      'a loop that nothing leaves, where nothing else can pass',
      'steps:\n  - loop: {limit: 3, steps: [{send: a}]}\n',
      'boot.yaml:1:1: steps: no way leads to the end, and there is no pass text: it could never pass',
    ],
  ])('%s', async (_what, text, said) => {
    const told = await problem(text);
    expect(told).toContain(said);
    expect(told.match(/boot\.yaml:/g)).toHaveLength(1);
  });

  test('a choice that ends with another one is one of its own, when it comes first', async () => {
    expect(await plan(choices('{expect: "root# ", goto: end}', '{expect: "# ", goto: next}'))).toEqual([
      '1. wait for "root# " or "# "; then go to the end or the end',
    ]);
  });

  test('a loop that nothing leaves ends with a pass text', async () => {
    expect(await problem('pass: [PASS]\nsteps:\n  - loop: {limit: 3, steps: [{send: a}]}\n')).toBe(
      'no problem',
    );
  });
});

test('control steps come to a list that says where it goes on', async () => {
  const text = `
steps:
  - label: again
    limit: 3
  - choices:
      - expect: 'login: '
        goto: login
      - regex: '^panic'
        then:
          - jig: reset
          - goto: again
      - expect: '# '
        goto: next
  - goto: end
  - label: login
  - repeat:
      times: 2
      steps:
        - line: root
`;
  expect(await plan(text)).toEqual([
    expect.stringMatching(/^1\. at most 3 times past here, else fail: label again \(.*boot\.yaml:3\)$/),
    '2. wait for "login: " or /^panic/ or "# "; then go to step 6 or step 3 or step 5',
    '3. have the jig run "reset"; only what comes from just before it counts',
    '4. go to step 1',
    '5. go to the end',
    '6. line "root"',
    '7. go to step 6, until it was done 2 times',
  ]);
});

describe('variables', () => {
  const login =
    'variables:\n  user: root\n  host: {about: its name}\n  password: {env: PASSWORD}\nsteps:\n  - expect: ${host} login\n  - line: ${user}\n  - line: ${password}\n';

  test('come from the file, the command line and the environment', async () => {
    const { script } = await load(login, { variables: ['host=a=b'], env: { PASSWORD: 'geheim' } });
    expect(script.steps).toMatchObject([
      { kind: 'expect', choice: [{ bytes: Buffer.from('a=b login') }] },
      { kind: 'send', bytes: Buffer.from('root\n') },
      { kind: 'send', bytes: Buffer.from('geheim\n') },
    ]);
  });

  test.each(['constructor', 'toString', '__proto__'])(
    'a variable from $%s, which is not set, has no value',
    async (name) => {
      const text = `variables:\n  key: {env: ${name}}\nsteps:\n  - line: "${'$'}{key}"\n`;
      expect(await problem(text)).toContain(`the environment variable ${name}, found none`);
    },
  );

  test.each([
    ['jig: ${key}', 'jig: expected no secret in the name of a sequence, which is told'],
    [
      'regex: ^${key}(',
      'regex: the regular expression: /^${key}(/ is none, or one whose time nobody can bound',
    ],
  ])('a secret is not shown when %s is refused', async (step, said) => {
    const text = `variables:\n  key: {env: KEY}\nsteps:\n  - ${step}\n`;
    expect(await problem(text, { env: { KEY: 'geheim' } })).toBe(`config: boot.yaml:4:5: steps.0.${said}`);
  });

  test('what comes from the environment stays a secret in a called script', async () => {
    const loaded = await load(
      'variables: {key: {env: KEY}}\nsteps:\n  - call: a.yaml\n    with: {word: "<${key}>"}\n',
      { env: { KEY: 'geheim' }, files: { 'a.yaml': 'variables: {word: a}\nsteps: [{expect: "${word}"}]' } },
    );
    expect(loaded.script.steps).toMatchObject([{ choice: [{ bytes: Buffer.from('<geheim>') }] }]);
    expect(explainPlan(loaded, 'never')).toContain('wait for "${word}"');
  });

  test('what comes from the environment is never shown', async () => {
    const text =
      'variables:\n  key: {env: KEY}\nsteps:\n  - expect: k ${key}\n  - regex: ^${key}$\n  - choices: [{expect: "${key}", goto: end}, {expect: x, then: [{fail: oh}]}]\n';
    const input = { variables: [], env: { KEY: 'geheim' } };
    const loaded = await load(text, input);
    expect(explainPlan(loaded, 'never')).not.toContain('geheim');
    expect(
      JSON.stringify(loaded.script.steps.map((each) => ('text' in each ? each.text : ''))),
    ).not.toContain('geheim');
  });

  test.each([
    [
      'one without a value',
      [],
      'config: boot.yaml:3:3: variables.host: expected a value, found none; give --var host=…',
    ],
    [
      'one that there is not',
      ['hots=a'],
      'usage: --var hots: boot.yaml has no variable of that name (did you mean "host"?)',
    ],
    ['two for one', ['host=a', 'host=b'], 'usage: --var host: expected one value, got two of them'],
    ['one without a name', ['=a'], 'usage: --var: expected NAME=VALUE, got "=a"'],
    [
      'a secret on the command line',
      ['host=a', 'password=b'],
      'usage: --var password: expected the environment variable PASSWORD instead: what is on a command line, others can read',
    ],
    [
      'a secret that is not set',
      ['host=a'],
      'config: boot.yaml:4:3: variables.password: expected a value in the environment variable PASSWORD, found none; set PASSWORD',
    ],
  ])('refused: %s', async (_what, variables, said) => {
    expect(await problem(login, { variables })).toBe(said);
  });

  test('match themselves in a regex, and nothing else', async () => {
    const { script } = await load('variables: {ip: 10.0.0.1+}\nsteps:\n  - regex: ^ip ${ip}$\n');
    const [step] = script.steps;
    const pattern = step?.kind === 'expect' ? step.choice[0] : undefined;
    const find = (text: string): unknown =>
      pattern?.kind === 'regex' ? pattern.regex.find(text, 0) : 'no regex';
    expect(find('ip 10.0.0.1+')).toMatchObject({ start: 0, end: 12 });
    expect(find('ip 10x0.0.1+')).toBeUndefined();
    expect(find('ip 10.0.0.11')).toBeUndefined();
  });

  test('$${ stands for ${', async () => {
    const { script } = await load("steps:\n  - send: 'echo $${HOME} $$ {a}'\n");
    expect(script.steps).toMatchObject([{ bytes: Buffer.from('echo ${HOME} $$ {a}') }]);
  });

  test.each([
    [
      'a name that is none',
      'steps:\n  - send: ${1a}\n',
      'boot.yaml:2:5: steps.0.send: expected the name of a variable such as ${user}, got "${1a}"',
    ],
    [
      'one that is not closed',
      'steps:\n  - send: ${user\n',
      'expected the name of a variable such as ${user}, got "${user"',
    ],
    [
      'one that nobody knows',
      'variables: {user: a}\nsteps:\n  - send: ${usr}\n',
      'boot.yaml:3:5: steps.0: expected ${usr} to be one of the variables or a named group of a regex before it, found none of that name (did you mean "user"?)',
    ],
    [
      'one in a set of a regex',
      'variables: {a: b}\nsteps:\n  - regex: "[${a}]x"\n',
      'steps.0.regex: expected no variable inside "[${a}]"',
    ],
    [
      'one that is captured later',
      'steps:\n  - send: ${ip}\n  - regex: ip=(?<ip>\\d+)\n',
      'boot.yaml:2:5: steps.0: expected ${ip} to be captured on every way that leads here',
    ],
    [
      'one that is captured on one way only',
      'steps:\n  - choices:\n      - {regex: "ip=(?<ip>\\\\d+)", goto: next}\n      - {expect: none, goto: next}\n  - send: ${ip}\n',
      'boot.yaml:5:5: steps.1: expected ${ip} to be captured on every way that leads here',
    ],
    [
      'a captured one that is given',
      'variables: {ip: a}\nsteps:\n  - regex: ip=(?<ip>\\d+)\n',
      'boot.yaml:3:5: steps.0: expected a new name for the captured text, "ip" is one of the variables',
    ],
    [
      'a captured one in a pass text',
      'pass: ["${ip}"]\nsteps: [{regex: "(?<ip>a)"}]\n',
      'boot.yaml:1:8: pass.0: expected ${ip} to be one of the variables',
    ],
  ])('refused: %s', async (_what, text, said) => {
    expect(await problem(text)).toContain(said);
  });
});

describe('calls', () => {
  test('take their values from who calls, and their paths from the file', async () => {
    const files = {
      'parts/login.yaml':
        'variables: {user: nobody, prompt: "$ "}\nsteps:\n  - line: ${user}\n  - call: prompt.yaml\n    with: {prompt: "${prompt}"}\n',
      'parts/prompt.yaml':
        'variables: {prompt: {about: what it ends with}}\nsteps:\n  - expect: ${prompt}\n  - goto: end\n',
    };
    expect(
      await plan(
        'variables: {me: root}\nsteps:\n  - call: parts/login.yaml\n    with: {user: "${me}"}\n  - send: x\n',
        { files },
      ),
    ).toEqual(['1. line "${user}"', '2. wait for "$ "', '3. go to step 4', '4. send "x"']);
  });

  test.each([
    [
      'a script that calls itself',
      { 'a.yaml': 'steps: [{call: boot.yaml}]' },
      'a.yaml:1:10: steps.0.call: boot.yaml calls itself: boot.yaml calls a.yaml calls boot.yaml',
    ],
    [
      'a value of a variable that there is not',
      { 'a.yaml': 'steps: [fresh]' },
      'boot.yaml:3:12: steps.0.with.user: a.yaml has no variable of that name',
      'user',
    ],
    [
      'a value that lacks',
      { 'a.yaml': 'variables: {user: {about: a}}\nsteps: [fresh]' },
      'boot.yaml:2:5: steps.0: expected a value of user for a.yaml; write with: {user: …}',
    ],
    [
      'a called script with a say in the whole',
      { 'a.yaml': 'pass: [a]\nsteps: [fresh]' },
      'boot.yaml:2:5: steps.0.call: expected steps and variables in a.yaml, it has pass as well',
    ],
    [
      'a called script that is wrong',
      { 'a.yaml': 'steps: [{send: 1}]' },
      'a.yaml:1:10: steps.0.send: expected a text in quotes, got 1',
    ],
    [
      'captured texts of who calls',
      { 'a.yaml': 'steps: [{send: "${ip}"}]' },
      'a.yaml:1:9: steps.0: expected ${ip} to be one of the variables',
    ],
  ])('refused: %s', async (_what, files: Record<string, string>, said, name = '') => {
    const text = `steps:\n  - call: a.yaml\n${name === '' ? '' : `    with: {${name}: a}\n`}`;
    expect(await problem(text, { files })).toContain(`config: ${said}`);
  });

  test('scripts that call scripts that call scripts are not made without end', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 20 }, (_, index) => [
        `${index}.yaml`,
        index === 19 ? 'steps: [fresh]' : `steps: [{call: ${index + 1}.yaml}, {call: ${index + 1}.yaml}]`,
      ]),
    );
    expect(await problem('steps: [{call: 0.yaml}]', { files })).toContain('expected at most 10000 steps');
  });
});

describe('parallel steps', () => {
  test('are lists of their own', async () => {
    expect(
      await plan(
        'steps:\n  - parallel:\n      0: [{send: a}, {goto: end}]\n      shell: [{expect: b}]\n  - send: c\n',
      ),
    ).toEqual([
      '1. at the same time, the first failure ends all:',
      'on tty 0:',
      '1. send "a"',
      '2. go to the end',
      'on tty shell:',
      '1. wait for "b"',
      '2. send "c"',
    ]);
  });

  test.each([
    [
      'parallel within parallel',
      '{a: [{parallel: {b: [fresh]}}]}',
      'steps.0.parallel.a.0: expected steps on one tty here',
    ],
    [
      'a goto out of them',
      '{a: [{goto: out}]}\n  - label: out',
      'steps.0.parallel.a.0.goto: expected a label here or around here',
    ],
    [
      'steps that never end',
      '{a: [{fail: oh}]}',
      'steps.0.parallel.a: no way leads to the end of these steps',
    ],
    ['no tty at all', '{}', 'steps.0.parallel: expected at least one tty'],
    [
      'the same captured name on two',
      '{a: [{regex: "(?<x>a)"}], b: [{regex: "(?<x>a)"}]}',
      'two ttys capture "x"',
    ],
    [
      'a text that another tty captures',
      '{a: [{regex: "(?<x>a)"}], b: [{send: "${x}"}]}',
      'expected ${x} to be captured on every way',
    ],
  ])('refused: %s', async (_what, branches, said) => {
    expect(await problem(`steps:\n  - parallel: ${branches}\n`)).toContain(said);
  });

  test('what each of them captures is known to all when they have ended', async () => {
    expect(
      await problem(
        'steps:\n  - parallel: {a: [{regex: "(?<x>a)"}], b: [{regex: "(?<y>a)"}]}\n  - send: ${x}${y}\n',
      ),
    ).toBe('no problem');
  });
});

test('what a file says about the whole is taken from it', async () => {
  const loaded = await load(
    'about: Boots\ntimeout: 5m\neol: crlf\nignoreAnsi: true\ncrash: none\npass: [PASS, {regex: "^ok$"}]\nfail: ["${what}"]\nvariables: {what: FAIL}\nsteps: [{line: a}]\n',
  );
  expect(loaded).toMatchObject({
    about: 'Boots',
    timeoutMs: 300_000,
    ignoresAnsi: true,
    crash: 'none',
    script: {
      steps: [{ kind: 'send', bytes: Buffer.from('a\r\n') }],
      pass: [{ shown: '"PASS"' }, { shown: '/^ok$/' }],
      fail: [{ shown: '"FAIL"' }],
    },
  });
});
