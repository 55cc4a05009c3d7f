// What is wrong with an anchored score: protocols/anchor.md, section 6

import { big, isProved, keccak } from './crypto.mjs'
import { SCORE_FIELDS } from './messages.mjs'
import { firstScore, fold, nextState, verdictsOf } from './score.mjs'
import { Refused } from './wire.mjs'

export const [OLD_SCORE, MATRIX, STRANGER] = [16, 17, 18]
const [DUTY_S, DUTY_N] = [8, 9]
const [SCORE_WORDS, EVIDENCE_WORDS, ROSTER_WORDS] = [16, 6, 8]
const AUDITORS_MAX = 15n
const ROUNDS_MAX = 4096n
const LIGHT = 1n
const ONE = 65536n
const NUMBERS = SCORE_FIELDS.slice(2)

export const dutyMax = (params) => params.candidates * params.rounds_per_epoch

const firstDifference = (left, right) => {
  const index = NUMBERS.findIndex((name) => left[name] !== right[name])
  return index < 0 ? null : index + 2
}

function gain (count, old, params) {
  const added = count - (old * BigInt(params.decay_q32) >> 32n)
  return added < 0n || added % ONE ? null : added / ONE
}

/** Returns a wrong word's number, OLD_SCORE, MATRIX, or null. `sighted` has BigInts and a matrix. */
export function faultOf (score, old, sighted, header, params) {
  if (header.is_void) return firstDifference(score, old)
  if (NUMBERS.some((name) => old[name] >= 1n << 64n) || old.s > old.n) return OLD_SCORE
  const { auditors, rounds, matrix } = sighted
  if (auditors > AUDITORS_MAX || rounds > ROUNDS_MAX || BigInt(matrix.length) !== auditors * rounds) return MATRIX
  const delivered = gain(score.duty_s, old.duty_s, params)
  if (delivered === null) return DUTY_S
  const owed = gain(score.duty_n, old.duty_n, params)
  if (owed === null || delivered > owed || owed > BigInt(dutyMax(params))) return DUTY_N
  const width = Number(rounds)
  const rows = Array.from({ length: Number(auditors) }, (_, i) => matrix.subarray(i * width, (i + 1) * width))
  const folded = fold(old, verdictsOf(rows, width, Number(auditors)), delivered, owed, params)
  const [state, until] = nextState(folded, header.epoch, header.median_ppm, params)
  return firstDifference(score, { ...folded, state, state_until: until })
}

const wordsOf = (shown, root, count, reason) => {
  const isWhole = shown !== null && shown.leaf.length === 32 * count
  if (!isWhole || !isProved(root, shown.leaf, shown.proof)) throw new Refused(reason)
  return Array.from({ length: count }, (_, i) => shown.leaf.subarray(32 * i, 32 * (i + 1)))
}

const scoreOf = ([node, ...numbers]) =>
  Object.fromEntries(SCORE_FIELDS.map((name, i) => [name, i ? big(numbers[i - 1]) : node]))

const isSame = (score, node, nonce) => {
  if (!node.equals(score.node) || big(nonce) !== score.nonce) throw new Refused('other-member')
}

function isAbsent (root, shown, score) {
  if (root.equals(Buffer.alloc(32))) return true
  if (shown.length === 0) return false
  const below = [0n, 0n]
  let above = null
  for (const one of shown) {
    const [node, nonce, , kind, , rank, full, light] = wordsOf(one, root, ROSTER_WORDS, 'member-not-proved')
    if (node.equals(score.node)) return big(nonce) !== score.nonce
    above ??= [big(full), big(light)]
    const k = big(kind) === 0n ? 0 : 1
    if (node.compare(score.node) < 0) below[k] = big(rank) + 1n > below[k] ? big(rank) + 1n : below[k]
    else above[k] = big(rank) < above[k] ? big(rank) : above[k]
  }
  return below[0] >= above[0] && below[1] >= above[1]
}

function oldScore (c, score) {
  const blank = firstScore(score.node, score.nonce)
  if (c.header.epoch === 0) return blank
  if (c.before === null || c.before.epoch + 1 !== c.header.epoch) throw new Refused('other-epoch')
  if (c.old === null) {
    if (!isAbsent(c.before.roster_root, c.newcomer, score)) throw new Refused('not-newcomer')
    return blank
  }
  const words = wordsOf(c.old, c.before.score_root, SCORE_WORDS, 'old-score-not-proved')
  isSame(score, words[0], words[1])
  return scoreOf(words)
}

function sightedOf (c, score) {
  if (c.evidence === null && c.light !== null) {
    const [node, nonce, , kind] = wordsOf(c.light, c.header.roster_root, ROSTER_WORDS, 'member-not-proved')
    isSame(score, node, nonce)
    if (big(kind) !== LIGHT) throw new Refused('not-light')
    return { auditors: 0n, rounds: 0n, matrix: Buffer.alloc(0) }
  }
  const [node, nonce, auditors, rounds, , digest] =
    wordsOf(c.evidence, c.header.evidence_root, EVIDENCE_WORDS, 'evidence-not-proved')
  isSame(score, node, nonce)
  if (!keccak(c.matrix).equals(digest)) throw new Refused('other-matrix')
  return { auditors: big(auditors), rounds: big(rounds), matrix: c.matrix }
}

/** Returns what a challenge shows to be wrong, null if nothing is; throws why it is refused. */
export function firstWrongWord (c, params) {
  const score = scoreOf(wordsOf(c.score, c.header.score_root, SCORE_WORDS, 'score-not-proved'))
  if (c.stranger.length > 0 || c.header.roster_root.equals(Buffer.alloc(32))) {
    if (!isAbsent(c.header.roster_root, c.stranger, score)) throw new Refused('not-stranger')
    return STRANGER
  }
  const old = oldScore(c, score)
  return faultOf(score, old, c.header.is_void ? null : sightedOf(c, score), c.header, params)
}
