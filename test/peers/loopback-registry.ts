/** A registry of npm that has the packages which this checkout has, and no others. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { ROOT } from './running-lab.ts';

interface Manifest {
  readonly name: string;
  readonly version: string;
}

interface Installed extends Manifest {
  readonly folder: string;
}

/** `npm_config_registry`; until the test is finished. `without`: packages that it has not. */
export async function startRegistry(without: readonly string[]): Promise<string> {
  const packages = installed().filter(({ name }) => !without.includes(name));
  const server = createServer((request, response) => answer(request, response, packages));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A package may be there more than once, in other versions inside others. */
function installed(): Installed[] {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: object };
  return Object.keys(lock.packages)
    .filter((path) => path.startsWith('node_modules/') && existsSync(join(ROOT, path, 'package.json')))
    .map((path) => {
      const folder = join(ROOT, path);
      return { ...(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest), folder };
    });
}

/** `/NAME` tells of a package, `/NAME/-/VERSION.tgz` is it. Source: npm registry, package metadata. */
function answer(request: IncomingMessage, response: ServerResponse, packages: readonly Installed[]): void {
  const [name, file] = decodeURIComponent(request.url ?? '')
    .slice(1)
    .split('/-/');
  const known = packages.filter((each) => each.name === name);
  const wanted = known.find(({ version }) => file === `${version}.tgz`);
  if (wanted) {
    const options = [
      '--exclude=./node_modules',
      '--use-compress-program=gzip -1',
      '--transform=s,^\\.,package,',
    ];
    const tar = spawn('tar', ['-c', ...options, '-C', wanted.folder, '.'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    tar.stdout.pipe(response);
  } else if (known.length > 0) {
    const versions = known.map(({ folder: _, ...manifest }) => {
      const tarball = `http://${request.headers.host}/${manifest.name}/-/${manifest.version}.tgz`;
      return [manifest.version, { ...manifest, dist: { tarball } }] as const;
    });
    const told = { name, 'dist-tags': { latest: versions[0]?.[0] }, versions: Object.fromEntries(versions) };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(told));
  } else response.writeHead(404).end('{}');
}
