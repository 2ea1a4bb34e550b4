import { parentPort, workerData } from 'node:worker_threads';
import { addresses } from './kinds.mjs';

parentPort.on('message', ({ id, kind, indexes }) => {
  try {
    parentPort.postMessage({ id, result: addresses(workerData, kind, indexes) });
  } catch (error) {
    parentPort.postMessage({ id, error: error.message });
  }
});
