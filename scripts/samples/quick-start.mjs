// Runs the first sample as two instances.
import { join } from 'node:path';

/** Resolves with whether all checks passed. */
export async function check() {
  const { tour } = await import('../../sample/01-quick-start/tour/tour.mjs');
  return tour();
}

/** Runs until it is interrupted. */
export async function start() {
  const { startInstances } = await import('../../sample/01-quick-start/tour/instances.mjs');
  const instances = await startInstances((line, instance) => console.log(`[${instance}] ${line}`), true);
  const [first, second] = instances.urls;
  const withdrawals = (path) =>
    `seq 25 | xargs -P25 -I_ curl -s -o /dev/null -o /dev/null -X POST '${first}/accounts/${path}?amount=10' '${second}/accounts/${path}?amount=10'`;
  console.log(`
  Two instances share one lock daemon (${instances.daemon}, inside the first). Try:

    # 50 withdrawals of 10 from 1000 over both, without the lock and with it
    ${withdrawals('anna/withdraw-unlocked')}; curl ${first}/accounts/anna
    ${withdrawals('ben/withdraw')}; curl ${second}/accounts/ben

    # a report takes 5 seconds; meanwhile the other instance answers 423
    curl -s -X POST ${first}/reports & sleep 0.2; curl -i -X POST ${second}/reports

    # each second is here once, with the instance that ran it
    tail -f ${join(instances.data, 'ticks.log')}

  Ctrl-C ends both.
  `);

  let asked = false;
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
      asked = true;
      void instances.stop().then(() => process.exit(0));
    });
  }
  await instances.ended;
  if (!asked) {
    console.error('an instance has exited');
    await instances.stop();
    process.exit(1);
  }
}
