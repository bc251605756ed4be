/**
 * Metrics for Prometheus. Hot paths count in plain numbers; this module reads them only when it is scraped. Latency of routes is
 * kept in fixed buckets, one array per route and class of status, and shown as one histogram.
 */
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Upper bounds of the latency buckets in seconds. */
const BUCKETS_S = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;
const BUCKETS_MS = BUCKETS_S.map((seconds) => seconds * 1000);

/** Latencies of one route by class of status (2xx to 5xx). */
export class RouteTimer {
  readonly method: string;
  readonly path: string;
  readonly counts: readonly Float64Array[];
  readonly sumsMs = new Float64Array(6);

  constructor(method: string, path: string) {
    this.method = method;
    this.path = path;
    this.counts = Array.from({ length: 6 }, () => new Float64Array(BUCKETS_MS.length + 1));
  }

  observe(status: number, elapsedMs: number): void {
    let bucket = 0;
    while (bucket < BUCKETS_MS.length && elapsedMs > (BUCKETS_MS[bucket] ?? 0)) bucket++;
    const family = Math.min(5, Math.floor(status / 100));
    const counts = this.counts[family];
    if (counts === undefined) return;
    counts[bucket] = (counts[bucket] ?? 0) + 1;
    this.sumsMs[family] = (this.sumsMs[family] ?? 0) + elapsedMs;
  }
}

const ROUTE_HISTOGRAM = {
  name: 'stampede_http_request_duration_seconds',
  help: 'Time from the head of a request to its answer, by route and class of status.',
  labelNames: ['method', 'route', 'status'],
  buckets: [...BUCKETS_S],
};

/**
 * A histogram whose numbers are kept by the routes' timers. The registry reads a metric by either of two methods; both give the
 * same. `#frame` is never observed: it gives what stands around the values.
 */
class RouteHistogram extends Histogram<string> {
  readonly timers: RouteTimer[] = [];
  readonly #frame = new Histogram({ ...ROUTE_HISTOGRAM, registers: [] });

  getForPromString() {
    return this.get();
  }

  override async get() {
    const shown = await this.#frame.get();
    const values: (typeof shown)['values'] = [];
    for (const timer of this.timers) {
      for (const [family, counts] of timer.counts.entries()) {
        const total = counts.reduce((sum, count) => sum + count, 0);
        if (total === 0) continue;
        const labels = { method: timer.method, route: timer.path, status: `${family}xx` };
        let below = 0;
        for (const [index, le] of BUCKETS_S.entries()) {
          below += counts[index] ?? 0;
          values.push({ metricName: `${shown.name}_bucket`, labels: { ...labels, le }, value: below });
        }
        values.push({ metricName: `${shown.name}_bucket`, labels: { ...labels, le: '+Inf' }, value: total });
        values.push({ metricName: `${shown.name}_sum`, labels, value: (timer.sumsMs[family] ?? 0) / 1000 });
        values.push({ metricName: `${shown.name}_count`, labels, value: total });
      }
    }
    return { ...shown, values };
  }
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #routes: RouteHistogram;

  /** @param processMetrics also tell memory, CPU, garbage collection and event-loop delay (default true) */
  constructor(processMetrics = true) {
    this.#routes = new RouteHistogram({ ...ROUTE_HISTOGRAM, registers: [this.#registry] });
    if (processMetrics) collectDefaultMetrics({ register: this.#registry });
  }

  /** A timer that shows up in the routes' histogram. */
  routeTimer(method: string, path: string): RouteTimer {
    const timer = new RouteTimer(method, path);
    this.#routes.timers.push(timer);
    return timer;
  }

  /**
   * Shows an object of plain numbers as `stampede_<prefix>_<name in snake case>`, read at each scrape.
   * @param read must return the same names each time; they are taken from its first answer, here
   */
  registerStats(prefix: string, read: () => Readonly<Record<string, number>>): void {
    for (const key of Object.keys(read())) {
      const name = `stampede_${prefix}_${key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;
      new Gauge({
        name,
        help: `${key} of ${prefix}.`,
        registers: [this.#registry],
        collect() {
          this.set(read()[key] ?? 0);
        },
      });
    }
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
