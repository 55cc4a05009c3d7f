// Audits, batches, evidence, sync, samples: protocols/audit.md, batch.md, sync.md, anchor.md section 2

import { big, isProved, isSigned, root, sha256, sign } from './crypto.mjs'
import { lastOf, sealOf } from './epoch.mjs'
import { Answer, BatchBody, Envelope, QUESTIONS, Receipt } from './messages.mjs'
import { decode, encode, encodeAny, Refused } from './wire.mjs'

export const OUTCOME = { NOT_PROBED: 0, OK: 1, SLOW: 2, WRONG: 3, UNREACHABLE: 4, DECLARED: 5 }
const hexed = (raw) => raw.toString('hex')
const refuse = (is, reason) => { if (is) throw new Refused(reason) }

// ---------------------------------------------------------------- audit.md

export const challengeOf = (randomness, auditor, target) => sha256('stkr/challenge/1', randomness, auditor, target)

const receiptPayload = (network, round, challenge, status, reportHash) =>
  encodeAny([network, round, challenge, status, reportHash])

export function signAnswer (secret, { network, round, challenge, status, report }) {
  const payload = receiptPayload(network, round, challenge, status, sha256(report))
  return { version: 1n, status, report, signature: sign(secret, 'stkr/receipt/1', payload) }
}

export const isReceiptSigned = (network, r) =>
  isSigned(r.target, 'stkr/receipt/1', receiptPayload(network, r.round, r.challenge, r.status, r.report_hash), r.signature)

/** Returns the receipt an answer makes; null if the target did not sign it. */
export function receiptOf ({ network, round, challenge, auditor, target, answer }) {
  const receipt = {
    round, auditor, target, challenge, status: answer.status, report_hash: sha256(answer.report), signature: answer.signature
  }
  return isReceiptSigned(network, receipt) ? receipt : null
}

export const readAnswer = (frame) => decode(Answer, frame)
export const receiptLeaf = (receipt) => encode(Receipt, receipt)
export const receiptsRoot = (receipts) => root(receipts.map(receiptLeaf))

export function outcomeOf (status, fault, latencyMs, windowMs) {
  if (Number(status) === 1) return OUTCOME.DECLARED
  if (Number(status) === 2 || fault) return OUTCOME.WRONG
  return 2 * latencyMs > windowMs ? OUTCOME.SLOW : OUTCOME.OK
}

export const lowerMedian = (values) =>
  values.length === 0 ? 0 : [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)]

// ---------------------------------------------------------------- batch.md

export function signBatch (secret, body) {
  const raw = encode(BatchBody, body)
  const id = sha256(raw)
  const signature = sign(secret, 'stkr/batch/1', id)
  return { id, signature, body, frame: encode(Envelope, { body: raw, signature }) }
}

export function readBatch (frame) {
  const envelope = decode(Envelope, frame)
  return { id: sha256(envelope.body), signature: envelope.signature, body: decode(BatchBody, envelope.body), frame }
}

/** Steps 7 to 14 of the rule: a function of the batch and the epoch alone. */
export function checkBatch (batch, view) {
  const { body } = batch
  const { params, network } = view.genesis
  refuse(body.version !== 1n, 'unknown-version')
  refuse(!body.network.equals(network), 'foreign-network')
  refuse(body.epoch !== view.epoch, 'other-epoch')
  refuse(!body.seed.equals(view.seed), 'other-seed')
  const index = view.indexOf.get(hexed(body.auditor))
  refuse(index === undefined || view.members[index].nonce !== body.nonce, 'not-member')
  const targets = view.assignment.targets(index)
  const { rows } = body
  refuse(rows.length !== targets.length || rows.some((row, i) => !row.target.equals(view.members[targets[i]].node)), 'unassigned')
  refuse(rows.some((row, i) => row.outcomes.length !== view.drawn[targets[i]].length), 'wrong-rounds')
  refuse(rows.some((row) => row.outcomes.some((o) => o > 5)), 'unknown-outcome')
  const declared = (row) => row.outcomes.filter((o) => o === OUTCOME.DECLARED).length
  refuse(rows.some((row) => declared(row) > params.declared_rounds_max), 'too-many-declared')
  refuse(rows.some((row) => row.median_ms > BigInt(params.probe_window_ms)), 'bad-median')
  refuse(!isSigned(body.auditor, 'stkr/batch/1', batch.id, batch.signature), 'bad-signature')
}

const IGNORED = new Set(['unknown-version', 'early', 'late', 'duplicate', 'not-ready', 'other-epoch', 'other-seed'])

/** Judges a gossiped batch: {judgement, reason, batch}. `viewOf` gives an epoch's view or undefined. */
export function judge (frame, { genesis, lastDue, viewOf, known }) {
  try {
    const batch = readBatch(frame)
    const { version, network, epoch } = batch.body
    refuse(version === 1n && !network.equals(genesis.network), 'foreign-network')
    refuse(BigInt(lastDue) + 1n < lastOf(genesis, epoch), 'early')
    refuse(BigInt(lastDue) > sealOf(genesis, epoch), 'late')
    refuse(known(hexed(batch.id)), 'duplicate')
    const view = viewOf(epoch)
    refuse(view === undefined, 'not-ready')
    checkBatch(batch, view)
    return { judgement: 'accept', reason: '', batch }
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    return { judgement: IGNORED.has(error.reason) ? 'ignore' : 'reject', reason: error.reason }
  }
}

/** auditor -> at most two batches, those with the smallest ids. */
export class Evidence {
  constructor (batches = []) {
    this.of = new Map()
    for (const batch of batches) this.add(batch)
  }

  add (batch) {
    const auditor = hexed(batch.body.auditor)
    const byId = new Map()
    for (const one of [...(this.of.get(auditor) ?? []), batch]) {
      const held = byId.get(hexed(one.id))
      if (held === undefined || Buffer.compare(one.signature, held.signature) < 0) byId.set(hexed(one.id), one)
    }
    this.of.set(auditor, [...byId.values()].sort((a, b) => Buffer.compare(a.id, b.id)).slice(0, 2))
  }

  all () {
    return [...this.of.keys()].sort().flatMap((auditor) => this.of.get(auditor))
  }

  equivocators () {
    return [...this.of.entries()].filter(([, held]) => held.length === 2).map(([auditor]) => auditor).sort()
  }

  digest () {
    const parts = [...this.of.keys()].sort().flatMap((a) => [Buffer.from(a, 'hex'), ...this.of.get(a).map((b) => b.id)])
    return sha256(...parts)
  }
}

// ---------------------------------------------------------------- sync.md

export function bitmapOf (flags) {
  const bitmap = Buffer.alloc((flags.length + 7) >> 3)
  flags.forEach((flag, i) => { if (flag) bitmap[i >> 3] |= 1 << (i & 7) })
  return bitmap
}

export const hasBit = (bitmap, i) => Boolean(bitmap[i >> 3] >> (i & 7) & 1)

export function flagsOf (bitmap, size) {
  refuse(bitmap.length !== (size + 7) >> 3, 'bad-bitmap')
  for (let i = size; i < 8 * bitmap.length; i++) refuse(hasBit(bitmap, i), 'bad-bitmap')
  return Array.from({ length: size }, (_, i) => hasBit(bitmap, i))
}

const heldOf = (evidence, member) => evidence.of.get(hexed(member.node)) ?? []

export const chunkIds = (evidence, members, chunk) =>
  members.slice(256 * chunk, 256 * (chunk + 1)).flatMap((m) => heldOf(evidence, m).map((b) => b.id))

export function holdingsOf (evidence, members) {
  const chunks = [...Array(Math.ceil(members.length / 256)).keys()]
  return {
    bitmap: bitmapOf(members.map((m) => heldOf(evidence, m).length > 0)),
    fingerprints: Buffer.concat(chunks.map((c) => sha256(...chunkIds(evidence, members, c)).subarray(0, 16)))
  }
}

export const haveOf = (network, epoch, holdings) => encode(QUESTIONS.Have, { network, epoch, ...holdings })

export function answerHave (evidence, members, have) {
  const ours = holdingsOf(evidence, members)
  const theirs = flagsOf(have.bitmap, members.length)
  refuse(have.fingerprints.length !== ours.fingerprints.length, 'bad-bitmap')
  const frames = []
  let size = 0
  let isMore = false
  for (const [i, member] of members.entries()) {
    const held = theirs[i] ? [] : heldOf(evidence, member)
    size += held.reduce((sum, b) => sum + b.frame.length, 0)
    if (size > 786432 || frames.length + held.length > 1024) { isMore = true; break }
    frames.push(...held.map((b) => b.frame))
  }
  const wanted = members.flatMap((_, i) => theirs[i] && !hasBit(ours.bitmap, i) ? [i] : []).slice(0, 1024)
  const differing = [...Array(ours.fingerprints.length / 16).keys()].filter((c) => {
    const part = (raw, width) => raw.subarray(width * c, width * (c + 1))
    return part(ours.bitmap, 32).equals(part(have.bitmap, 32)) &&
      !part(ours.fingerprints, 16).equals(part(have.fingerprints, 16))
  }).slice(0, 64)
  const indices = Buffer.alloc(4 * wanted.length)
  wanted.forEach((index, i) => indices.writeUInt32BE(index, 4 * i))
  return { frames, wanted: indices, differing: differing.map(BigInt), is_more: isMore }
}

// ---------------------------------------------------------------- anchor.md, section 2

const STATUS_OF = { [OUTCOME.OK]: 0n, [OUTCOME.SLOW]: 0n, [OUTCOME.DECLARED]: 1n }

export const answered = (batch, view) => batch.body.rows.flatMap((row) => {
  const rounds = view.drawn[view.indexOf.get(hexed(row.target))]
  return rounds.flatMap((round, i) => row.outcomes[i] in STATUS_OF ? [{ target: row.target, round, outcome: row.outcomes[i] }] : [])
})

export function sampleOf (batch, view, randomness) {
  const all = answered(batch, view)
  if (all.length === 0) return null
  return all[Number(big(sha256('stkr/sample/1', randomness, batch.id).subarray(0, 8)) % BigInt(all.length))]
}

export function checkReceipt (receipt, proof, { batch, sample, randomness }) {
  const { auditor, receipts_root: expected, network } = batch.body
  refuse(!receipt.auditor.equals(auditor) || !receipt.target.equals(sample.target) ||
    receipt.round !== BigInt(sample.round), 'other-observation')
  refuse(!receipt.challenge.equals(challengeOf(randomness, auditor, sample.target)), 'wrong-challenge')
  refuse(receipt.status !== STATUS_OF[sample.outcome], 'wrong-status')
  refuse(!isProved(expected, receiptLeaf(receipt), proof), 'not-in-batch')
  refuse(!isReceiptSigned(network, receipt), 'bad-signature')
}
