import { ConfigError } from './errors.js';
import { LAYOUT, otherLayout } from './shared-state.js';
import { VERSION } from './version.js';

/**
 * Call it where the package is used, not where it is loaded: an application may import the package and never use it.
 * @throws ConfigError if a copy is loaded that would not see the locks of this one
 */
export function refuseOtherLayouts(): void {
  const other = otherLayout();
  if (!other) return;
  throw new ConfigError(
    `two versions of nestjs-dflockd that cannot work together are loaded in this process: ` +
      `${VERSION} (layout ${LAYOUT}) and ${String(other.version)} (layout ${String(other.layout)}); ` +
      'install only one of them; "npm ls nestjs-dflockd" shows which packages depend on each',
  );
}
