/** For tests of the simulated database by itself: time goes by for as long as a test goes on. */
import { SimDatabase } from './database.ts';
import { Weather } from './faults.ts';
import { Random } from './random.ts';
import { Scheduler, SimProcess } from './scheduler.ts';

export interface Bench {
  readonly scheduler: Scheduler;
  readonly weather: Weather;
  readonly database: SimDatabase;
  readonly process: SimProcess;
  end(): void;
}

export function bench(seed = 1): Bench {
  const scheduler = new Scheduler(new Random(seed, 'ties'));
  const weather = new Weather();
  const database = new SimDatabase(scheduler, new Random(seed, 'database'), weather);
  let going = true;
  const pass = async (): Promise<void> => {
    while (going) {
      await scheduler.run(scheduler.now + 50);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  void pass();
  return { scheduler, weather, database, process: new SimProcess('node'), end: () => (going = false) };
}
