import { conformanceSuite } from './suite.js';

conformanceSuite('duplex');
