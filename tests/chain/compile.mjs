// Compiles contracts/*.sol into one JSON file per contract: { abi, bytecode, code }.
//
//   node compile.mjs OUT_DIR
//
// Does nothing while OUT_DIR is newer than every source, the compiler's lock file and this file. Warnings fail:
// the sources are ours, so each can be cured; the one about SELFDESTRUCT is wanted and left out.

import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createRequire } from "node:module";

const here = dirname(fileURLToPath(import.meta.url));
const contracts = join(here, "../../contracts");
const SELFDESTRUCT_IS_DEPRECATED = "5159";

function sources() {
  const names = readdirSync(contracts).filter((name) => name.endsWith(".sol"));
  return Object.fromEntries(names.map((name) => [name, { content: readFileSync(join(contracts, name), "utf8") }]));
}

function isFresh(stamp) {
  const made = statSync(stamp, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  // The folder, too: a source that was taken away leaves no newer file.
  const inputs = [contracts, ...readdirSync(contracts).map((name) => join(contracts, name))];
  inputs.push(fileURLToPath(import.meta.url), join(here, "package-lock.json"));
  return inputs.every((path) => statSync(path).mtimeMs < made);
}

function compile() {
  const solc = createRequire(import.meta.url)("solc");
  const input = {
    language: "Solidity",
    sources: sources(),
    settings: {
      evmVersion: "cancun",
      optimizer: { enabled: true, runs: 200 },
      // No hash of the sources in the code: a comment does not change what is deployed.
      metadata: { appendCBOR: false, bytecodeHash: "none" },
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const complaints = (output.errors ?? []).filter((error) => error.errorCode !== SELFDESTRUCT_IS_DEPRECATED);
  if (complaints.length > 0) {
    throw new Error(complaints.map((error) => error.formattedMessage).join("\n"));
  }
  const all = Object.values(output.contracts).flatMap((file) => Object.entries(file));
  // Interfaces and abstract contracts have nothing to deploy.
  return all.filter(([, { evm }]) => evm.bytecode.object !== "");
}

function main([out]) {
  if (out === undefined) throw new Error("usage: node compile.mjs OUT_DIR");
  const stamp = join(out, ".stamp");
  if (isFresh(stamp)) return;
  const compiled = compile();
  // Made aside and then renamed: a test never sees half of it.
  const aside = `${out}.${process.pid}`;
  rmSync(aside, { recursive: true, force: true });
  mkdirSync(aside, { recursive: true });
  for (const [name, { abi, evm }] of compiled) {
    const artifact = { abi, bytecode: `0x${evm.bytecode.object}`, code: `0x${evm.deployedBytecode.object}` };
    writeFileSync(join(aside, `${name}.json`), JSON.stringify(artifact));
  }
  writeFileSync(join(aside, ".stamp"), "");
  rmSync(out, { recursive: true, force: true });
  renameSync(aside, out);
  console.error(`Compiled ${compiled.length} contracts.`);
}

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
