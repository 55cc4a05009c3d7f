// Beacon, roster, assignment, draw: what an epoch is. protocols/network.md, beacon.md, roster.md, assignment.md

import { big, fixed, isBlsSigned, isSigned, little, root, ROUND_DST, sha256, u64, words } from './crypto.mjs'
import { decode, encodeAny, Refused } from './wire.mjs'
import { Profile, RoundNews } from './messages.mjs'

const hexed = (raw) => raw.toString('hex')
export const raw = (hex) => Buffer.from(hex, 'hex')

// ---------------------------------------------------------------- network.md

/** Reads a genesis as the vectors write it. */
export function readGenesis (facts) {
  const beaconOf = (b) => ({ key: raw(b.public_key), genesisMs: b.genesis_ms, periodMs: b.period_ms })
  const beacon = beaconOf(facts.beacon)
  const genesis = {
    name: facts.name,
    params: facts.params,
    beacon,
    mixed: facts.mixed ? beaconOf(facts.mixed) : null,
    firstRound: facts.first_round,
    chainId: facts.chain_id,
    registry: raw(facts.registry),
    anchor: raw(facts.anchor),
    council: raw(facts.council),
    councilKey: raw(facts.council_key)
  }
  genesis.network = sha256('stkr/network/1', encodeAny([
    2, genesis.name, Object.values(genesis.params), Object.values(beacon), genesis.mixed ? Object.values(genesis.mixed) : [],
    genesis.firstRound, genesis.chainId, genesis.registry, genesis.anchor, genesis.council, genesis.councilKey
  ]))
  genesis.batchTopic = `/stkr/${hexed(genesis.network).slice(0, 16)}/batch/1`
  genesis.anchorTopic = `/stkr/${hexed(genesis.network).slice(0, 16)}/anchor/1`
  return genesis
}

// ---------------------------------------------------------------- beacon.md

export const dueMs = (beacon, round) => beacon.genesisMs + (round - 1) * beacon.periodMs
export const lastDue = (beacon, nowMs) => Math.max(0, Math.floor((nowMs - beacon.genesisMs) / beacon.periodMs) + 1)

/** Returns a round's randomness; refuses a round the beacon did not sign. */
export function verifiedRound (beacon, round, signature) {
  if (round < 1 || !isBlsSigned(beacon.key, sha256(u64(round)), signature, ROUND_DST)) throw new Refused('bad-round')
  return sha256(signature)
}

// Epochs are BigInts where they come from a message, so that no number is too large.
export const firstOf = (genesis, epoch) => BigInt(genesis.firstRound) + BigInt(epoch) * BigInt(genesis.params.rounds_per_epoch)
export const lastOf = (genesis, epoch) => firstOf(genesis, BigInt(epoch) + 1n) - 1n
export const sealOf = (genesis, epoch) => lastOf(genesis, epoch) + BigInt(genesis.params.settle_rounds)
export const epochOf = (genesis, round) => Math.floor((Number(round) - genesis.firstRound) / genesis.params.rounds_per_epoch)
export const roundsOf = (genesis, epoch) =>
  Array.from({ length: genesis.params.rounds_per_epoch }, (_, i) => Number(firstOf(genesis, epoch)) + i)

/** Returns the second beacon's round that an epoch's seed needs. */
export const mixedRound = (genesis, epoch) =>
  lastDue(genesis.mixed, dueMs(genesis.beacon, Number(firstOf(genesis, epoch))) - 1) + 1

const NEWS_EARLY_MAX = 1
const NEWS_LATE_MAX = 4
const refuse = (is, reason) => { if (is) throw new Refused(reason) }

/** Judges a gossiped round. `held` gives the signature we hold of a round, by beacon and number, or undefined. */
export function judgeNews (frame, { genesis, nowMs, held }) {
  try {
    const news = decode(RoundNews, frame)
    refuse(!news.network.equals(genesis.network), 'foreign-network')
    refuse(news.is_mixed && genesis.mixed === null, 'no-beacon')
    const beacon = news.is_mixed ? genesis.mixed : genesis.beacon
    const due = lastDue(beacon, nowMs)
    refuse(news.number > due + NEWS_EARLY_MAX, 'early')
    refuse(news.number < due - NEWS_LATE_MAX, 'late')
    const ours = held(news.is_mixed, news.number)
    if (ours === undefined) verifiedRound(beacon, news.number, news.signature)
    else refuse(!ours.equals(news.signature), 'bad-round')
    return { judgement: 'accept', reason: '' }
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    return { judgement: ['early', 'late'].includes(error.reason) ? 'ignore' : 'reject', reason: error.reason }
  }
}

// ---------------------------------------------------------------- roster.md

export function isClaimed (network, entry) {
  const payload = encodeAny([network, raw(entry.operator), raw(entry.node), entry.nonce])
  return isSigned(raw(entry.node), 'stkr/claim/1', payload, raw(entry.claim))
}

export function readProfile (bytes) {
  try {
    return decode(Profile, bytes, 512)
  } catch {
    return { version: 1n, workload: 'none', addresses: [] }
  }
}

/** Returns the members of an epoch, sorted by node id. */
export function rosterOf (network, epoch, registry) {
  const chosen = new Map()
  for (const entry of [...registry].sort((a, b) => a.index - b.index)) {
    const first = entry.stakes[0][0]
    const isActive = first <= epoch && (entry.exit_epoch === null || epoch < entry.exit_epoch)
    if (isActive && !chosen.has(entry.node) && isClaimed(network, entry)) chosen.set(entry.node, entry)
  }
  const members = [...chosen.values()].map((entry) => ({
    node: raw(entry.node), nonce: BigInt(entry.nonce), operator: raw(entry.operator), kind: entry.kind, stake: stakeAt(entry, epoch)
  }))
  return members.sort((a, b) => Buffer.compare(a.node, b.node))
}

function stakeAt (entry, epoch) {
  const known = entry.stakes.filter(([from]) => from <= epoch)
  const latest = Math.max(...known.map(([from]) => from))
  return known.filter(([from]) => from === latest).map(([, stake]) => BigInt(stake)).reduce((a, b) => a > b ? a : b)
}

/** Returns a member's eight words: its own, its rank among its kind, how many full and light members there are. */
export function rosterLeaves (members) {
  const count = [0, 1].map((kind) => members.filter((m) => m.kind === kind).length)
  const ranks = [0, 0]
  return members.map((m) => words(m.node, m.nonce, big(m.operator), m.kind, m.stake, ranks[m.kind]++, ...count))
}

export const rosterRoot = (members) => root(rosterLeaves(members))

// ---------------------------------------------------------------- assignment.md

export const seedOf = (network, epoch, randomness, rosterRoot_, mixed = Buffer.alloc(0)) =>
  sha256('stkr/seed/1', network, u64(epoch), randomness, mixed, rosterRoot_)

const SHUFFLE_ROUNDS = [...Array(90).keys()]

function shuffled (index, size, seed, rounds) {
  for (const r of rounds) {
    const round = Buffer.from([r])
    const pivot = Number(little(sha256(seed, round).subarray(0, 8)) % BigInt(size))
    const flip = (pivot + size - index) % size
    const position = Math.max(index, flip)
    const block = fixed(Math.floor(position / 256), 4).reverse()
    const source = sha256(seed, round, block)
    if (source[Math.floor((position % 256) / 8)] >> (position % 8) & 1) index = flip
  }
  return index
}

export const forward = (index, size, seed) => shuffled(index, size, seed, SHUFFLE_ROUNDS)
export const inverse = (index, size, seed) => shuffled(index, size, seed, [...SHUFFLE_ROUNDS].reverse())

/** Who audits whom: `auditors(i)` in order and `targets(i)` sorted, for indices into the roster. */
export class Assignment {
  constructor (seed, members, params) {
    this.members = members
    this.kAud = params.k_aud
    const full = members.flatMap((m, i) => m.kind === 0 ? [i] : [])
    const light = members.flatMap((m, i) => m.kind === 0 ? [] : [i])
    const n = members.length
    const m = full.length
    this.at = Array(n)
    this.placeOf = Array(n)
    const fullSeed = sha256('stkr/circle-full/1', seed)
    const lightSeed = sha256('stkr/circle-light/1', seed)
    full.forEach((member, i) => this.put(member, Math.floor(forward(i, m, fullSeed) * n / m)))
    const free = [...Array(n).keys()].filter((place) => this.at[place] === undefined)
    light.forEach((member, i) => this.put(member, free[forward(i, n - m, lightSeed)]))
    this.window = Math.min(params.candidates, Math.max(0, n - 1))
    this.turn = Number(big(sha256('stkr/circle-turn/1', seed).subarray(0, 8)) % BigInt(Math.max(1, n - this.window)))
  }

  put (member, place) {
    this.at[place] = member
    this.placeOf[member] = place
  }

  auditors (target) {
    const { members, placeOf, turn, window, kAud } = this
    if (members[target]?.kind !== 0) return []
    const n = members.length
    const used = new Set([hexed(members[target].operator)])
    const chosen = []
    for (let d = 1; d <= window && chosen.length < kAud; d++) {
      const candidate = this.at[(placeOf[target] - turn - d + 2 * n) % n]
      const operator = hexed(members[candidate].operator)
      if (used.has(operator)) continue
      used.add(operator)
      chosen.push(candidate)
    }
    return chosen
  }

  targets (auditor) {
    return [...this.members.keys()].filter((target) => this.auditors(target).includes(auditor))
  }
}

export const isDrawn = (randomness, target, drawPpm) =>
  big(sha256('stkr/draw/1', randomness, target).subarray(0, 4)) * 1000000n < BigInt(drawPpm) << 32n

/** What an epoch is known to be, once all its rounds are: `randomness` maps round to 32 bytes. */
export function viewOf (genesis, epoch, members, randomness) {
  const rounds = roundsOf(genesis, epoch)
  const first = randomness.get(rounds[0])
  const rosterRoot_ = rosterRoot(members)
  const seed = seedOf(genesis.network, epoch, first, rosterRoot_)
  return {
    genesis,
    epoch: BigInt(epoch),
    members,
    rosterRoot: rosterRoot_,
    seed,
    indexOf: new Map(members.map((m, i) => [hexed(m.node), i])),
    assignment: new Assignment(seed, members, genesis.params),
    drawn: members.map((m) => m.kind !== 0
      ? []
      : rounds.filter((r) => isDrawn(randomness.get(r), m.node, genesis.params.draw_ppm)))
  }
}
