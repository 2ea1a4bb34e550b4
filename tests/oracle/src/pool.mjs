// Worker threads that derive; answers come back in the order of the questions.

import { Worker } from 'node:worker_threads';

export class Pool {
  constructor(keys, size) {
    this.waiting = new Map();
    this.next = 0;
    this.workers = Array.from({ length: size }, () => {
      const worker = new Worker(new URL('./worker.mjs', import.meta.url), { workerData: keys });
      worker.on('message', ({ id, result, error }) => {
        const { resolve, reject } = this.waiting.get(id);
        this.waiting.delete(id);
        if (error) reject(new Error(error));
        else resolve(result);
      });
      worker.on('error', (error) => {
        for (const { reject } of this.waiting.values()) reject(error);
        this.waiting.clear();
      });
      return worker;
    });
  }

  /** Addresses of one kind for these wallet indexes. */
  ask(kind, indexes) {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.workers[id % this.workers.length].postMessage({ id, kind, indexes });
    });
  }

  close() {
    return Promise.all(this.workers.map((worker) => worker.terminate()));
  }
}

/** Runs `start(task)` for each task with at most `limit` under way and gives the results in order. */
export async function* inOrder(tasks, limit, start) {
  const underWay = [];
  for await (const task of tasks) {
    const promise = start(task);
    promise.catch(() => {}); // reported when its turn comes
    underWay.push(promise);
    if (underWay.length >= limit) yield await underWay.shift();
  }
  while (underWay.length > 0) yield await underWay.shift();
}
