// points[k] + scalars[k]·G on secp256k1, for many k at once.
//
// noble-curves takes some 200 µs for one. Here the multiples d·256^j·G come from noble once, and each byte of a
// scalar adds one of them, in affine coordinates, with one inversion shared by the batch (Montgomery's trick).
// Where the affine formula does not hold, noble adds; and noble checks the first sum of each batch.

import { secp256k1 } from '@noble/curves/secp256k1';

const { Point } = secp256k1;
const P = Point.Fp.ORDER;
const BYTES = 32;
let multiples;

/** table[j][d] for bytes j, lowest first, and 1 ≤ d ≤ 255. */
function table() {
  if (multiples) return multiples;
  let base = Point.BASE;
  multiples = Array.from({ length: BYTES }, () => {
    const row = [base];
    while (row.length < 255) row.push(row[row.length - 1].add(base));
    base = row[254].add(base);
    return [undefined, ...Point.normalizeZ(row).map((point) => point.toAffine())];
  });
  return multiples;
}

/** Affine points in, affine points out; throws where a sum is infinity. */
export function addMultiples(points, scalars) {
  const sums = points.map(({ x, y }) => ({ x, y }));
  const digits = scalars.map((scalar) => Buffer.from(scalar.toString(16).padStart(2 * BYTES, '0'), 'hex').reverse());
  const plain = new Set();
  for (let j = 0; j < BYTES; j += 1) addDigits(sums, digits, table()[j], j, plain);
  if (sums.length > 0) plain.add(0);
  for (const k of plain) {
    const sum = plainly(points[k], scalars[k]);
    if (k === 0 && sums[0].x !== undefined && (sum.x !== sums[0].x || sum.y !== sums[0].y)) {
      throw new Error('the oracle disagrees with noble-curves: its own arithmetic is wrong');
    }
    sums[k] = sum;
  }
  return sums;
}

function addDigits(sums, digits, row, j, plain) {
  const steps = [];
  let product = 1n;
  for (let k = 0; k < sums.length; k += 1) {
    const digit = digits[k][j];
    if (digit === 0 || sums[k].x === undefined) continue;
    const difference = row[digit].x - sums[k].x;
    if (difference === 0n) {
      sums[k] = {};
      plain.add(k);
      continue;
    }
    steps.push({ k, digit, difference, before: product });
    product = (product * difference) % P;
  }
  if (steps.length === 0) return;
  let inverse = Point.Fp.inv(Point.Fp.create(product));
  for (const { k, digit, difference, before } of steps.reverse()) {
    const { x: x2, y: y2 } = row[digit];
    const { x: x1, y: y1 } = sums[k];
    const slope = ((y2 - y1) * ((inverse * before) % P)) % P;
    inverse = (inverse * difference) % P;
    const x = positive((slope * slope - x1 - x2) % P);
    sums[k] = { x, y: positive((slope * (x1 - x) - y1) % P) };
  }
}

const positive = (value) => (value < 0n ? value + P : value);

function plainly(point, scalar) {
  const start = Point.fromAffine(point);
  const sum = scalar === 0n ? start : start.add(Point.BASE.multiply(scalar));
  if (sum.is0()) throw new Error('a sum is infinity: the child key is invalid (BIP-32)');
  return sum.toAffine();
}
