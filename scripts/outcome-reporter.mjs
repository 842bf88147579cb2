// A vitest reporter that writes the counts, and every skip with its reason, to $SAI_TEST_OUTCOME.

import { writeFileSync } from 'node:fs';

// biome-ignore lint/style/noDefaultExport: vitest loads a reporter by its default export
export default class OutcomeReporter {
  onTestRunEnd(testModules, unhandledErrors) {
    const outcome = { passed: 0, failed: unhandledErrors.length, skipped: [] };
    for (const testModule of testModules) {
      if (testModule.errors().length > 0) outcome.failed += 1;
      for (const test of testModule.children.allTests()) {
        const result = test.result();
        if (result.state === 'passed') outcome.passed += 1;
        else if (result.state === 'failed') outcome.failed += 1;
        else
          outcome.skipped.push({
            name: `${testModule.relativeModuleId} > ${test.fullName}`,
            reason: result.note ?? 'no reason given',
          });
      }
    }
    writeFileSync(process.env.SAI_TEST_OUTCOME, JSON.stringify(outcome));
  }
}
