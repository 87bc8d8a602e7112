const { TestEnvironment } = require('jest-environment-node');

/**
 * One failure tells the fate of a mutant: the tests behind it are left out. Jest's own `bail` knows only whole files, and
 * here all specs are one.
 */
module.exports = class extends TestEnvironment {
  hasFailed = false;

  handleTestEvent = ({ name, test }) => {
    if (!process.env.__STRYKER_ACTIVE_MUTANT__) return;
    if (name === 'test_done') this.hasFailed ||= test.errors.length > 0;
    if (name === 'test_start' && this.hasFailed) test.mode = 'skip';
  };
};
