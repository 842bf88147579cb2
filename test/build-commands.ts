/** Before any test: the built commands are those of these sources. */

export async function setup(): Promise<void> {
  // Plain JavaScript, shared with the scripts that run without any dependency.
  const script = new URL('../scripts/build.mjs', import.meta.url).href;
  const { build } = (await import(script)) as { build: () => Promise<boolean> };
  await build();
}
