import type { Instruction } from './script.ts';

/** The same instruction in a longer list, in which its own list begins at `by`. */
export function shifted(instruction: Instruction, by: number): Instruction {
  switch (instruction.kind) {
    case 'choose':
      return { ...instruction, to: instruction.to.map((to) => to + by) };
    case 'goto':
    case 'again':
      return { ...instruction, to: instruction.to + by };
    default:
      return instruction;
  }
}
