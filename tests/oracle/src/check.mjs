// Compares a results file with what the mnemonic gives.

import { createReadStream } from 'node:fs';
import { rows } from './csv.mjs';
import { COLUMNS } from './kinds.mjs';
import { inOrder } from './pool.mjs';

const CHUNK_ROWS = 1000;
const SHOWN_MISMATCHES = 100;

/** Rows that must have addresses. */
async function* issued(path) {
  let header;
  for await (const row of rows(createReadStream(path, { encoding: 'utf8' }))) {
    if (!header) {
      header = row;
      for (const name of ['row', 'status', 'index']) {
        if (!header.includes(name)) throw new Error(`the results file has no column ${name}`);
      }
      if (!COLUMNS.some((kind) => header.includes(kind))) throw new Error('the results file has no column of addresses');
      continue;
    }
    if (row.status === 'created' || row.status === 'existing') yield row;
  }
  if (!header) throw new Error('the results file is empty');
}

/** `count` rows evenly spread over the file, first and last among them. */
async function* sample(path, count) {
  let total = 0;
  for await (const _ of issued(path)) total += 1;
  const picked = Math.min(count, total);
  let position = 0;
  let taken = 0;
  for await (const row of issued(path)) {
    const wanted = picked === 1 ? 0 : Math.floor((taken * (total - 1)) / (picked - 1));
    if (taken < picked && position === wanted) {
      taken += 1;
      yield row;
    }
    position += 1;
  }
}

async function* chunked(source) {
  let chunk = [];
  for await (const row of source) {
    chunk.push(row);
    if (chunk.length === CHUNK_ROWS) {
      yield chunk;
      chunk = [];
    }
  }
  if (chunk.length > 0) yield chunk;
}

export async function check(pool, path, { sampled } = {}) {
  const report = { checked: 0, rows: 0, without_address: 0, mismatch_count: 0, mismatches: [] };
  const note = (mismatch) => {
    report.mismatch_count += 1;
    if (report.mismatches.length < SHOWN_MISMATCHES) report.mismatches.push(mismatch);
  };
  const compare = async (chunk) => {
    const questions = COLUMNS.map(async (kind) => {
      const cells = chunk.filter((row) => row[kind] !== undefined && row[kind] !== '' && validIndex(row.index));
      return { kind, cells, expected: cells.length > 0 ? await pool.ask(kind, cells.map((row) => Number(row.index))) : [] };
    });
    return { chunk, answers: await Promise.all(questions) };
  };
  const source = sampled === undefined ? issued(path) : sample(path, sampled);
  for await (const { chunk, answers } of inOrder(chunked(source), 4, compare)) {
    report.rows += chunk.length;
    for (const row of chunk) {
      if (!validIndex(row.index)) note({ row: row.row, reason: 'index is not a number below 2^31', found: row.index });
      report.without_address += COLUMNS.filter((kind) => row[kind] === '').length;
    }
    for (const { kind, cells, expected } of answers) {
      cells.forEach((row, i) => {
        report.checked += 1;
        if (row[kind] !== expected[i]) {
          note({ row: row.row, external_id: row.external_id, index: Number(row.index), kind, expected: expected[i], found: row[kind] });
        }
      });
    }
  }
  return report;
}

const validIndex = (text) => /^(0|[1-9]\d{0,9})$/.test(text) && Number(text) < 2 ** 31;
