/** Of the locks: the module and `lockInTransaction` must agree. */
export const NAMESPACE = 'sample-09';
