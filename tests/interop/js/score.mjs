// Verdicts, scores, closing an epoch: protocols/reputation.md, anchor.md

import { ANCHOR_DST, big, isBlsSigned, keccak, root, sha256, words } from './crypto.mjs'
import { bitmapOf, flagsOf, OUTCOME } from './evidence.mjs'
import { Proposal, SCORE_FIELDS } from './messages.mjs'
import { encode, Refused } from './wire.mjs'

const hexed = (raw) => raw.toString('hex')
const [UNDECIDED, UP, DOWN] = [0, 1, 2]
const UPS = new Set([OUTCOME.OK, OUTCOME.SLOW])
const REPORTS = new Set([...UPS, OUTCOME.WRONG, OUTCOME.UNREACHABLE])

/** Returns one verdict a round from the outcomes of the included auditors. */
export const verdictsOf = (outcomes, rounds, assigned) => Buffer.from(Array.from({ length: rounds }, (_, i) => {
  const reports = outcomes.filter((o) => REPORTS.has(o[i])).length
  const ups = outcomes.filter((o) => UPS.has(o[i])).length
  if (reports === 0 || 2 * reports < assigned) return UNDECIDED
  return 2 * ups > reports ? UP : DOWN
}))

// ---------------------------------------------------------------- the fold

export const firstScore = (node, nonce) =>
  Object.fromEntries(SCORE_FIELDS.map((name) => [name, { node, nonce: BigInt(nonce) }[name] ?? 0n]))

function isqrt (value) {
  if (value < 2n) return value
  let low = 1n
  let high = 1n << BigInt(Math.ceil(value.toString(2).length / 2))
  while (low < high) {
    const middle = (low + high + 1n) >> 1n
    if (middle * middle <= value) low = middle
    else high = middle - 1n
  }
  return low
}

export function wilson (s, n, designEffect) {
  s /= BigInt(designEffect)
  n /= BigInt(designEffect)
  if (n === 0n) return 0n
  const root_ = isqrt((s * (n - s) / n) * 65536n + (1n << 32n))
  const top = s + 131072n - 2n * root_
  return top < 0n ? 0n : top * 1000000n / (n + 262144n)
}

const share = (part, whole) => whole === 0n ? 0n : part * 1000000n / whole

export function fold (old, verdicts, delivered, owed, params) {
  const decay = (x) => x * BigInt(params.decay_q32) >> 32n
  const decided = [...verdicts].filter((v) => v !== UNDECIDED)
  const ups = BigInt(decided.filter((v) => v === UP).length)
  const runs = [Number(old.last_verdict) || UP, ...decided]
  const outages = old.outages + BigInt(runs.filter((v, i) => v === DOWN && runs[i - 1] === UP).length)
  const s = decay(old.s) + ups * 65536n
  const n = decay(old.n) + BigInt(decided.length) * 65536n
  const dutyS = decay(old.duty_s) + BigInt(delivered) * 65536n
  const dutyN = decay(old.duty_n) + BigInt(owed) * 65536n
  const age = old.age_epochs + 1n
  const upRounds = old.up_rounds + ups
  return {
    ...old,
    s,
    n,
    up_rounds: upRounds,
    outages,
    age_epochs: age,
    last_verdict: decided.length ? BigInt(decided.at(-1)) : old.last_verdict,
    duty_s: dutyS,
    duty_n: dutyN,
    uptime_ppm: share(s, n),
    run_time_rounds: upRounds / (outages || 1n),
    reliability_ppm: wilson(s, n, params.design_effect) * age / (age + BigInt(params.tenure_epochs)),
    duty_ppm: share(dutyS, dutyN)
  }
}

export function medianUptime (scores) {
  const uptimes = scores.filter((m) => m.n > 0n).map((m) => m.uptime_ppm).sort((a, b) => a < b ? -1 : a > b ? 1 : 0)
  return uptimes.length ? uptimes[(uptimes.length - 1) >> 1] : 0n
}

export function nextState (score, epoch, median, params) {
  epoch = BigInt(epoch)
  const same = [score.state, score.state_until]
  if (score.state === 3n && epoch < score.state_until) return same
  const below = BigInt(median) - BigInt(params.leeway_ppm)
  const floor = BigInt(params.floor_ppm)
  if (score.n > 0n && score.uptime_ppm < (below < floor ? below : floor)) {
    if (score.state !== 2n) return [2n, epoch + BigInt(params.probation_epochs)]
    if (epoch < score.state_until) return same
    return [3n, epoch + BigInt(params.suspension_epochs)]
  }
  return score.age_epochs < BigInt(params.vetting_epochs) ? [0n, 0n] : [1n, 0n]
}

export const scoreLeaf = (score) => words(...SCORE_FIELDS.map((name) => score[name]))

// ---------------------------------------------------------------- anchor.md

export const headerHash = (h) => keccak(words(
  h.epoch, h.roster_root, h.proposal_hash, h.evidence_root, h.score_root, h.median_ppm, h.is_void ? 1 : 0
))

export const anchorMessage = (genesis, header, voids) => keccak(words(
  Buffer.concat([Buffer.from('stkr/anchor/2', 'ascii'), Buffer.alloc(19)]), genesis.chainId, big(genesis.anchor), voids, headerHash(header)
))

export const isSealed = (genesis, sealed) =>
  sealed.header.proposal_hash.equals(sha256(encode(Proposal, sealed.proposal))) &&
  isBlsSigned(genesis.councilKey, anchorMessage(genesis, sealed.header, sealed.voids), sealed.signature, ANCHOR_DST)

const includedIn = (view, included) => view.members.filter((m) => included.has(hexed(m.node)))

const idsDigest = (view, included) =>
  sha256(...includedIn(view, included).map((m) => included.get(hexed(m.node)).id))

export function checkProposal (proposal, view, included) {
  const refuse = (is, reason) => { if (is) throw new Refused(reason) }
  refuse(proposal.version !== 1n, 'unknown-version')
  refuse(!proposal.network.equals(view.genesis.network), 'foreign-network')
  refuse(proposal.epoch !== view.epoch, 'other-epoch')
  refuse(!proposal.seed.equals(view.seed), 'other-seed')
  const flags = flagsOf(proposal.included, view.members.length)
  const tainted = flagsOf(proposal.tainted, view.members.length)
  refuse(flags.some((flag, i) => flag && tainted[i]), 'bad-bitmap')
  const named = view.members.filter((_, i) => flags[i])
  refuse(named.length !== included.size || named.some((m) => !included.has(hexed(m.node))), 'other-batches')
  refuse(!proposal.ids_digest.equals(idsDigest(view, included)), 'other-batches')
}

const outcomesFor = (batch, target) => batch.body.rows.find((row) => row.target.equals(target)).outcomes

function evidenceLeaf (view, included, index) {
  const { members, assignment, drawn } = view
  const auditors = assignment.auditors(index).map((i) => members[i].node)
  const seen = auditors.map((auditor) => {
    const batch = included.get(hexed(auditor))
    return batch ? outcomesFor(batch, members[index].node) : Buffer.alloc(drawn[index].length)
  })
  const { node, nonce } = members[index]
  return words(node, nonce, auditors.length, drawn[index].length, keccak(...auditors), keccak(...seen))
}

/** Returns what a member delivered and owed as an auditor, without rounds of which nothing was decided. */
function duty (view, included, verdicts, index) {
  const seen = new Set([...verdicts].flatMap(([i, all]) => view.drawn[i].filter((_, at) => all[at] !== UNDECIDED)))
  const batch = included.get(hexed(view.members[index].node))
  let [delivered, owed] = [0, 0]
  view.assignment.targets(index).forEach((target, row) => view.drawn[target].forEach((round, at) => {
    if (!seen.has(round)) return
    owed += 1
    if (batch && batch.body.rows[row].outcomes[at] !== 0) delivered += 1
  }))
  return [delivered, owed]
}

/** Returns all that follows from an epoch's included batches; `before` is the score table before it. */
export function closeEpoch (view, included, tainted, before) {
  const { members, drawn, assignment, genesis: { params, network } } = view
  const full = members.flatMap((m, i) => m.kind === 0 ? [i] : [])
  const verdicts = new Map(full.map((i) => {
    const batches = assignment.auditors(i).map((a) => included.get(hexed(members[a].node))).filter(Boolean)
    const outcomes = batches.map((batch) => outcomesFor(batch, members[i].node))
    return [i, verdictsOf(outcomes, drawn[i].length, assignment.auditors(i).length)]
  }))
  const count = (what) => [...verdicts.values()].reduce((sum, v) => sum + v.filter((one) => one === what).length, 0)
  const decided = count(DOWN) + count(UP)
  const isVoid = 3 * count(DOWN) > decided || 2 * decided < decided + count(UNDECIDED)
  const olds = members.map((m) => before.get(`${hexed(m.node)} ${m.nonce}`) ?? firstScore(m.node, m.nonce))
  const folded = isVoid
    ? olds
    : olds.map((old, i) => fold(old, verdicts.get(i) ?? Buffer.alloc(0), ...duty(view, included, verdicts, i), params))
  const median = medianUptime(folded)
  const scores = isVoid
    ? folded
    : folded.map((score) => {
      const [state, until] = nextState(score, view.epoch, median, params)
      return { ...score, state, state_until: until }
    })
  const leaves = new Map(full.map((i) => [i, evidenceLeaf(view, included, i)]))
  const proposal = {
    version: 1n,
    network,
    epoch: view.epoch,
    seed: view.seed,
    included: bitmapOf(members.map((m) => included.has(hexed(m.node)))),
    tainted: bitmapOf(members.map((m) => tainted.has(hexed(m.node)))),
    ids_digest: idsDigest(view, included)
  }
  const header = {
    epoch: view.epoch,
    roster_root: view.rosterRoot,
    proposal_hash: sha256(encode(Proposal, proposal)),
    evidence_root: root([...leaves.values()]),
    score_root: root(scores.map(scoreLeaf)),
    median_ppm: median,
    is_void: isVoid
  }
  return { header, proposal, scores, verdicts, leaves }
}

export const byMember = (scores) => new Map(scores.map((s) => [`${hexed(s.node)} ${s.nonce}`, s]))
