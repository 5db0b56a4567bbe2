#!/usr/bin/env node
// SPDX-License-Identifier: MIT OR Apache-2.0
// Writes reward-tree.json: reward trees as npm's @openzeppelin/merkle-tree builds them, from leaves that its own ABI
// encoder encodes. The crate's tests rebuild the file byte for byte. Run it after `npm ci` in the repository's root:
//
//   node protocol/tests/golden/make.mjs
import { writeFileSync } from "node:fs";
import abi from "@metamask/abi-utils";
import { keccak256 as keccak } from "ethereum-cryptography/keccak.js";
import merkle from "@openzeppelin/merkle-tree";
// The public getProof checks each proof by folding it without positions, which only the last leaf of a tree like this passes.
import core from "@openzeppelin/merkle-tree/dist/core.js";

const KINDS = [
  "owner_alpha",
  "validator_alpha",
  "contributor_alpha",
  "owner_usdc",
  "validator_usdc",
  "contributor_usdc",
  "keeper_usdc",
];
const SIZES = [1, 2, 3, 5, 8, 13];
const ZERO = `0x${"00".repeat(32)}`;

const hex = (bytes) => `0x${Buffer.from(bytes).toString("hex")}`;
const bytes = (text) => Buffer.from(text.slice(2), "hex");
const nodeHash = (left, right) => hex(keccak(Buffer.concat([bytes(left), bytes(right)])));

// Deterministic rewards, ascending by (kind, netuid, account), with the smallest and largest amounts among them.
function rewards(size) {
  const list = Array.from({ length: size }, (_, n) => {
    const seed = keccak(Buffer.from(`reward ${n} of ${size}`));
    const amounts = [(1n << 128n) - 1n, 0n, 1n, BigInt(hex(seed.subarray(0, 9)))];
    return {
      kind: KINDS[seed[31] % KINDS.length],
      netuid: [1, 2, 65_535][seed[30] % 3],
      account: hex(seed.subarray(0, 20)),
      cumulative: (amounts[n] ?? amounts[3]).toString(),
    };
  });
  const key = ({ kind, netuid, account }) =>
    `${KINDS.indexOf(kind)} ${netuid.toString().padStart(5, "0")} ${account}`;
  return list.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function leafHash({ kind, netuid, account, cumulative }, index) {
  const types = ["uint256", "uint8", "uint16", "address", "uint256"];
  const encoded = abi.encode(types, [index, KINDS.indexOf(kind), netuid, account, BigInt(cumulative)]);
  return hex(keccak(keccak(encoded)));
}

const trees = SIZES.map((size) => {
  const list = rewards(size);
  const leaves = list.map(leafHash);
  const width = 2 ** Math.ceil(Math.log2(size));
  const padded = [...leaves, ...Array(width - size).fill(ZERO)];
  const tree = merkle.SimpleMerkleTree.of(padded, { sortLeaves: false, nodeHash });
  tree.validate();
  const dump = tree.dump();
  const proofs = leaves.map((_, index) => core.getProof(dump.tree, dump.values[index].treeIndex));
  return { rewards: list, leaves, root: tree.root, proofs };
});

writeFileSync(new URL("reward-tree.json", import.meta.url), `${JSON.stringify(trees, null, 2)}\n`);
