declare module 'parse-prometheus-text-format' {
  interface Family {
    readonly name: string;
    readonly help: string;
    readonly type: string;
    readonly metrics: readonly Readonly<Record<string, unknown>>[];
  }
  /** @throws if the text is not in the format */
  export default function parse(text: string): Family[];
}
