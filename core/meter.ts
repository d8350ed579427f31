/** What a metric is. */
export interface MetricDefinition {
  readonly type: "counter" | "gauge" | "histogram";
  /** What it tells, with its unit. */
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
}

/** The metrics of a program, by name without prefix. */
export type Metrics = Readonly<Record<string, MetricDefinition>>;

/** The names in `T` of metrics of a type. */
export type NameOf<T extends Metrics, Type extends MetricDefinition["type"]> = {
  [K in keyof T & string]: T[K]["type"] extends Type ? K : never;
}[keyof T & string];

/** The labels of a metric, each with its value. */
export type LabelsOf<T extends Metrics, K extends keyof T> = Readonly<Record<T[K]["labels"][number], string>>;

/** A gauge's values, each with its labels. */
export type GaugeValues<T extends Metrics, K extends keyof T> = Iterable<
  readonly [labels: LabelsOf<T, K>, value: number]
>;

/** Counts and times what happens, for those who run the program. Never throws and never waits. */
export interface Meter<T extends Metrics> {
  count<K extends NameOf<T, "counter">>(name: K, labels: LabelsOf<T, K>, by?: number): void;
  observe<K extends NameOf<T, "histogram">>(name: K, labels: LabelsOf<T, K>, value: number): void;
  /** `read` is asked for the values whenever somebody looks. */
  gauge<K extends NameOf<T, "gauge">>(
    name: K,
    read: () => GaugeValues<T, K> | Promise<GaugeValues<T, K>>,
  ): void;
}

/** Counts nothing. */
export const silentMeter: Meter<never> = {
  count: () => {},
  observe: () => {},
  gauge: () => {},
};
