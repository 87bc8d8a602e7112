/** The content type of what `Exposition` writes. */
export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

type Labels = Readonly<Record<string, string | number>>;

/** A sample of a series. */
export interface Sample {
  readonly labels?: Labels | undefined;
  readonly value: number;
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' };

const labelsText = (labels: Labels): string => {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${String(value).replace(/[\\"\n]/g, (found) => ESCAPES[found]!)}"`,
  );
  return pairs.length === 0 ? '' : `{${pairs.join()}}`;
};

/** Counts in full, everything else with nine significant digits at most. */
const number = (value: number): string =>
  value === Infinity ? '+Inf' : String(Number.isSafeInteger(value) ? value : Number(value.toPrecision(9)));

/** Numbers of events by size: the cumulative buckets of a Prometheus histogram. */
export class Histogram {
  private readonly counts: number[];
  private sum = 0;

  /** @param bounds upper bounds of the buckets, included, ascending */
  constructor(private readonly bounds: readonly number[]) {
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  add(value: number): void {
    const { bounds, counts } = this;
    let i = 0;
    while (i < bounds.length && value > bounds[i]!) i++;
    counts[i]!++;
    this.sum += value;
  }

  /** The samples of the series `name`, by the suffix of the name. */
  samples(labels: Labels): [suffix: string, Sample][] {
    let total = 0;
    const samples: [string, Sample][] = this.counts.map((count, i) => {
      total += count;
      return ['_bucket', { labels: { ...labels, le: number(this.bounds[i] ?? Infinity) }, value: total }];
    });
    samples.push(['_sum', { labels, value: this.sum }], ['_count', { labels, value: total }]);
    return samples;
  }
}

/** Builds a page in the text format of Prometheus, version 0.0.4. */
export class Exposition {
  private page = '';

  /** @param help one line, without backslashes */
  add(name: string, type: 'counter' | 'gauge', help: string, samples: number | Iterable<Sample>): this {
    this.begin(name, type, help);
    if (typeof samples === 'number') this.line(name, { value: samples });
    else for (const sample of samples) this.line(name, sample);
    return this;
  }

  histogram(name: string, help: string, histograms: Iterable<[Labels, Histogram]>): this {
    this.begin(name, 'histogram', help);
    for (const [labels, histogram] of histograms) {
      for (const [suffix, sample] of histogram.samples(labels)) this.line(name + suffix, sample);
    }
    return this;
  }

  get text(): string {
    return this.page;
  }

  private begin(name: string, type: string, help: string): void {
    this.page += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
  }

  private line(name: string, { labels, value }: Sample): void {
    this.page += `${name}${labels ? labelsText(labels) : ''} ${number(value)}\n`;
  }
}
