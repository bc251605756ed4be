// A fresh dist/ for every build: a test or module that was deleted must not live on there.
import { rmSync } from 'node:fs';

rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true });
