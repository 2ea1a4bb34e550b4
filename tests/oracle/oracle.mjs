// Command line of the oracle; see README.md.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { answer, network } from './src/bitcoin.mjs';
import { check } from './src/check.mjs';
import { COLUMNS, vault } from './src/kinds.mjs';
import { Pool, inOrder } from './src/pool.mjs';

const CHUNK = 1000;
const CONFIG = {
  allowPositionals: true,
  options: {
    'mnemonic-file': { type: 'string' },
    results: { type: 'string' },
    kind: { type: 'string' },
    first: { type: 'string', default: '0' },
    count: { type: 'string' },
    account: { type: 'string', default: '0' },
    network: { type: 'string', default: 'mainnet' },
    sample: { type: 'string' },
    all: { type: 'boolean', default: false },
    workers: { type: 'string', default: String(cpus().length) },
  },
};
let values;

function number(name, { least = 0, below = 2 ** 31 } = {}) {
  const value = Number(values[name]);
  if (values[name] === undefined || !Number.isInteger(value) || value < least || value >= below) {
    throw new Error(`--${name} must be a whole number from ${least} to ${below - 1}`);
  }
  return value;
}

function text(name) {
  if (values[name] === undefined) throw new Error(`--${name} is missing`);
  return values[name];
}

/** The sentence of a file; lines that begin with # are comments. */
function mnemonic() {
  const lines = readFileSync(text('mnemonic-file'), 'utf8').split('\n');
  return lines.filter((line) => !line.startsWith('#')).join(' ').trim().split(/\s+/).join(' ');
}

async function runCheck(pool) {
  if (values.all && values.sample !== undefined) throw new Error('--all and --sample exclude each other');
  const sampled = values.sample === undefined ? undefined : number('sample', { least: 1 });
  const report = await check(pool, text('results'), { sampled });
  process.stdout.write(`${JSON.stringify(report)}\n`);
  return report.mismatch_count === 0 && report.checked > 0 ? 0 : 1;
}

async function runDerive(pool) {
  const kind = text('kind').replaceAll('-', '_');
  if (!COLUMNS.includes(kind)) throw new Error(`--kind must be one of ${COLUMNS.join(', ')}`);
  const first = number('first');
  const end = first + number('count', { below: 2 ** 31 + 1 });
  const chunks = (function* () {
    for (let from = first; from < end; from += CHUNK) yield from;
  })();
  const ask = (from) => pool.ask(kind, Array.from({ length: Math.min(CHUNK, end - from) }, (_, i) => from + i));
  for await (const list of inOrder(chunks, 4 * pool.workers.length, ask)) {
    if (!process.stdout.write(`${list.join('\n')}\n`)) await once(process.stdout, 'drain');
  }
  return 0;
}

/** Answers questions about Bitcoin's bytes, one line of JSON each. */
async function runRead() {
  const net = network(values.network);
  for await (const line of createInterface({ input: process.stdin })) {
    const text = `${JSON.stringify(answer(JSON.parse(line), net))}\n`;
    if (!process.stdout.write(text)) await once(process.stdout, 'drain');
  }
  return 0;
}

const commands = { check: runCheck, derive: runDerive };

async function main() {
  const parsed = parseArgs(CONFIG);
  const { positionals } = parsed;
  values = parsed.values;
  if (positionals[0] === 'read' && positionals.length === 1) return runRead();
  const command = commands[positionals[0]];
  if (!command || positionals.length !== 1) throw new Error('use: oracle.mjs check | derive | read (see README.md)');
  const keys = vault(mnemonic(), { account: number('account', { below: 64 }), network: values.network });
  const pool = new Pool(keys, number('workers', { least: 1, below: 257 }));
  try {
    return await command(pool);
  } finally {
    await pool.close();
  }
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    process.stderr.write(`oracle: ${error.message}\n`);
    process.exitCode = 2;
  },
);
