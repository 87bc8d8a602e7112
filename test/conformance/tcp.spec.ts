import { conformanceSuite } from './suite.js';

conformanceSuite('tcp');
