const NodeEnvironment = require('jest-environment-node').default;

/**
 * For many specs in one file: shows them the state of jest-circus, where the blocks are, and stops at the first test that
 * fails. A mutant is dead by then; what would follow is mostly tests that wait in vain.
 */
module.exports = class OneFileEnvironment extends NodeEnvironment {
  hasFailed = false;

  handleTestEvent(event, state) {
    if (event.name === 'setup') this.global.circusState = state;
    if (event.name === 'test_done') this.hasFailed ||= event.test.errors.length > 0;
    if (event.name === 'test_start' && this.hasFailed) event.test.mode = 'skip';
  }
};
