// Checks this peer against protocols/vectors: one JSON line a group, {file, group, count, failed}.
//
//     node check.mjs <folder of the vectors>

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'

import * as council from './council.mjs'
import * as crypto from './crypto.mjs'
import * as economy from './economy.mjs'
import * as epoch from './epoch.mjs'
import * as evidence from './evidence.mjs'
import * as fraud from './fraud.mjs'
import * as score from './score.mjs'
import {
  Answer, BatchBody, Delta, Envelope, Group, Proposal, Question, QUESTIONS, Receipt, SCORE_FIELDS, SealedAnchor, SHAPES
} from './messages.mjs'
import { decode, decodeTagged, encode, encodeAny, Refused } from './wire.mjs'

const folder = process.argv[2]
const raw = (text) => typeof text === 'string' ? Buffer.from(text, 'hex') : Buffer.alloc(text.times, Buffer.from(text.byte, 'hex'))
const hex = (bytes) => bytes.toString('hex')

/** Reads a vector file. JSON.parse would round integers beyond 2^53: those of 16 digits become texts '#<digits>'. */
const load = (name) => JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')
  .replace(/(?<=[:[,\s])(\d{16,})(?=[,\s\]}])/g, '"#$1"'))

/** Turns values of messages into what the vectors write. */
const plain = (value) => {
  if (Buffer.isBuffer(value)) return hex(value)
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : `#${value}`
  if (Array.isArray(value)) return value.map(plain)
  if (value !== null && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]))
  return value
}

const number = (value) => typeof value === 'string' ? BigInt(value.slice(1)) : BigInt(value)

const reasonOf = (check) => {
  try {
    check()
    return ''
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    return error.reason
  }
}

const UNREADABLE = new Set(['malformed', 'not-canonical'])
const isSameReason = (a, b) => a === b || (UNREADABLE.has(a) && UNREADABLE.has(b))

let failures = 0

function group (file, name, cases, check) {
  const failed = []
  cases.forEach((one, i) => {
    let ok = false
    try {
      ok = check(one, i)
    } catch (error) {
      failed.push(`${one.name ?? i}: ${error.stack}`)
      return
    }
    if (!ok) failed.push(String(one.name ?? i))
  })
  failures += failed.length
  console.log(JSON.stringify({ file, group: name, count: cases.length, failed }))
}

const same = (a, b) => isDeepStrictEqual(plain(a), plain(b))

// ---------------------------------------------------------------- basics

const net = load('network')
group('network', 'cases', net.cases, (c) => {
  const genesis = epoch.readGenesis(c.genesis)
  return hex(genesis.network) === c.network_id && genesis.batchTopic === c.batch_topic && genesis.anchorTopic === c.anchor_topic
})

const wire = load('wire')
group('wire', 'encodings', wire.encodings, (c) => {
  if ('uint' in c) return hex(encodeAny(number(c.uint))) === c.hex
  if ('bool' in c) return hex(encodeAny(c.bool)) === c.hex
  const value = 'bytes_length' in c
    ? Buffer.alloc(c.bytes_length, 0xab)
    : 'text_length' in c ? 'x'.repeat(c.text_length) : Array(c.list_length).fill(1)
  return hex(encodeAny(value).subarray(0, 7)) === c.head
})
const sync = load('sync')
group('wire and sync', 'messages', [...wire.messages, ...sync.messages], (c) => {
  const value = decode(SHAPES[c.shape], raw(c.frame))
  return same(value, c.fields) && hex(encode(SHAPES[c.shape], value)) === c.frame
})
group('sync', 'records', sync.messages.filter((c) => c.shape === 'AddressRecord'), (c) => {
  const record = decode(SHAPES.AddressRecord, raw(c.frame))
  const payload = encodeAny([raw(net.cases[0].network_id), record.node, record.sequence, record.addresses])
  return crypto.isSigned(record.node, 'stkr/record/1', payload, record.signature)
})
group('wire', 'refused', wire.refused, (c) => isSameReason(c.reason, reasonOf(() => c.shape === 'SyncQuestion'
  ? decodeTagged(QUESTIONS, raw(c.frame), c.bytes_max)
  : decode(SHAPES[c.shape], raw(c.frame), c.bytes_max))))

const signatures = load('crypto')
group('crypto', 'signed', signatures.signed, (c) => hex(crypto.nodeOf(raw(c.secret))) === c.node &&
  hex(crypto.sign(raw(c.secret), c.tag, raw(c.payload))) === c.signature)
group('crypto', 'checked', signatures.checked, (c) =>
  crypto.isSigned(raw(c.node), c.tag, raw(c.payload), raw(c.signature)) === c.is_valid)

const merkle = load('merkle')
group('merkle', 'keccak', merkle.keccak, (c) => hex(crypto.keccak(raw(c.data))) === c.hash)
group('merkle', 'cases', [...merkle.cases, merkle.byte_leaves], (c) => {
  const leaves = c.leaves.map(raw)
  return hex(crypto.root(leaves)) === c.root && leaves.every((leaf, i) =>
    same(crypto.proof(leaves, leaf), c.proofs[i]) && crypto.isProved(raw(c.root), leaf, c.proofs[i].map(raw)))
})
group('merkle', 'not_proved', merkle.not_proved, (c) => !crypto.isProved(raw(c.root), raw(c.leaf), c.proof.map(raw)))

const beacon = load('beacon')
for (const name of ['quicknet', 'solo']) {
  const chain = { key: raw(beacon[name].public_key), genesisMs: beacon[name].genesis_ms, periodMs: beacon[name].period_ms }
  group('beacon', name, beacon[name].rounds, (c) =>
    hex(epoch.verifiedRound(chain, c.round, raw(c.signature))) === c.randomness && epoch.dueMs(chain, c.round) === c.due_ms)
}
group('beacon', 'forged', beacon.forged, (c) =>
  reasonOf(() => epoch.verifiedRound({ key: raw(c.public_key) }, c.round, raw(c.signature))) === c.reason)
group('beacon', 'times', beacon.times, (c) =>
  epoch.lastDue({ genesisMs: beacon.quicknet.genesis_ms, periodMs: beacon.quicknet.period_ms }, c.now_ms) === c.last_due)
group('beacon', 'epochs', beacon.epochs, (c) => {
  const g = { firstRound: c.first_round, params: c }
  return same([epoch.firstOf(g, c.epoch), epoch.lastOf(g, c.epoch), epoch.sealOf(g, c.epoch)], [c.first, c.last, c.seal])
})
group('beacon', 'epoch_of', beacon.epoch_of, (c) =>
  epoch.epochOf({ firstRound: beacon.epochs[0].first_round, params: beacon.epochs[0] }, c.round) === c.epoch)

group('beacon', 'mixed_rounds', beacon.mixed_rounds, (c) =>
  epoch.mixedRound(epoch.readGenesis(net.cases.at(-1).genesis), c.epoch) === c.round)
group('beacon', 'news', beacon.news, (c) => {
  const held = new Map(beacon.solo.rounds.filter((r) => c.held.includes(r.round)).map((r) => [BigInt(r.round), raw(r.signature)]))
  const found = epoch.judgeNews(raw(c.frame), {
    genesis: epoch.readGenesis(net.cases[0].genesis),
    nowMs: c.now_ms,
    held: (isMixed, number) => isMixed ? undefined : held.get(number)
  })
  return found.judgement === c.judgement && isSameReason(found.reason, c.reason)
})

// ---------------------------------------------------------------- council

const groups = load('group')
const word = (value) => hex(crypto.fixed(value, 32))
const groupNamed = new Map(groups.groups.map((c) => [c.name, council.readGroup(raw(c.frame))]))
group('group', 'weights', groups.weights, (c) => same(council.weightsOf(c.x.map(BigInt)).map(word), c.weights))
group('group', 'groups', groups.groups, (c) => {
  const found = groupNamed.get(c.name)
  const { session, governors, commitments } = found
  return same({ session, governors, commitments }, c.fields) && hex(encode(Group, found)) === c.frame &&
    hex(council.groupHash(found)) === c.hash && found.threshold === c.threshold && c.public_shares.every((shares, purpose) =>
    same(governors.map((_, i) => council.publicShare(found, purpose, i)), shares))
})
group('group', 'partials', groups.partials, (c) => {
  const { secrets } = groups.groups.find((g) => g.name === c.group)
  const partial = council.partialOf(crypto.big(raw(secrets[c.purpose][c.index])), c.purpose, raw(c.message))
  return hex(partial) === c.partial &&
    council.isPartial(groupNamed.get(c.group), c.purpose, c.index, raw(c.message), partial)
})
group('group', 'forged', groups.forged, (c) =>
  council.isPartial(groupNamed.get(c.group), c.purpose, c.index, raw(c.message), raw(c.partial)) === c.is_partial)
group('group', 'combined', groups.combined, (c) => {
  const partials = new Map(Object.entries(c.partials).map(([index, partial]) => [Number(index), raw(partial)]))
  return same(council.combine(groupNamed.get(c.group), c.purpose, raw(c.message), partials), c.signature)
})
group('group', 'refused', groups.refused, (c) => isSameReason(c.reason, reasonOf(() => council.readGroup(raw(c.frame)))))

const dkg = load('dkg')
const governorSecret = new Map(dkg.governors.map((g) => [g.node, raw(g.secret)]))
const ceremonies = new Map(dkg.ceremonies.map((c) => [c.name, council.ceremonyOf({
  chainId: c.chain_id,
  board: raw(c.contract),
  session: c.session,
  dealers: c.dealers.map(raw),
  receivers: c.receivers.map(raw),
  old: c.old === null ? null : council.readGroup(raw(c.old))
})]))
const secretsOf = (ceremony) => ceremony.receivers.map((node) => governorSecret.get(hex(node)))
const judged = new Map()
const judgedDeal = (name, dealer, body) => {
  const key = `${name} ${dealer} ${body}`
  const frame = raw(dkg.bodies[body])
  if (!judged.has(key)) judged.set(key, council.judgeDeal(ceremonies.get(name), dealer, crypto.sha256(frame), frame))
  return judged.get(key)
}
group('dkg', 'governors', dkg.governors, (c) => hex(crypto.nodeOf(raw(c.secret))) === c.node)
group('dkg', 'ceremonies', dkg.ceremonies, (c) => {
  const { id, threshold, quorum } = ceremonies.get(c.name)
  return same({ id, threshold, quorum }, { id: c.id, threshold: c.threshold, quorum: c.quorum })
})
group('dkg', 'deals', dkg.deals, (c) => {
  const ceremony = ceremonies.get(c.ceremony)
  const old = c.old && c.old.map((share) => crypto.big(raw(share)))
  const frame = council.makeDeal(ceremony, c.dealer, raw(c.seed), old)
  const deal = council.checkDeal(ceremony, c.dealer, raw(c.hash), frame)
  return hex(frame) === dkg.bodies[c.body] && secretsOf(ceremony).every((secret, receiver) => {
    const shares = council.openShares(deal, receiver, secret)
    return hex(shares) === c.shares[receiver] && reasonOf(() => council.checkShares(deal, receiver, shares)) === ''
  })
})
group('dkg', 'checked', dkg.checked, (c) => {
  const frame = raw(c.frame)
  return isSameReason(c.reason, reasonOf(() =>
    council.checkDeal(ceremonies.get(c.ceremony), c.dealer, crypto.sha256(frame), frame)))
})
group('dkg', 'shares', dkg.shares, (c) =>
  reasonOf(() => council.checkShares(judgedDeal(c.ceremony, c.dealer, `${c.ceremony} ${c.dealer}`), c.receiver, raw(c.shares))) === c.reason)
group('dkg', 'sessions', dkg.sessions, (c) => {
  const ceremony = ceremonies.get(c.ceremony)
  const bodies = ceremony.dealers.map((_, dealer) => c.bodies[dealer])
  const deals = bodies.map((body, dealer) => body && judgedDeal(c.ceremony, dealer, body))
  const board = {
    posted: bodies.map((body) => body && crypto.sha256(raw(dkg.bodies[body]))),
    complaints: ceremony.receivers.map((_, receiver) => c.complaints[receiver] ?? undefined),
    justifications: c.justifications.map((j) => ({ ...j, shares: raw(j.shares) }))
  }
  const secrets = secretsOf(ceremony)
  const own = secrets.map((secret, receiver) => council.complaintsOf(board.posted, deals, receiver, secret))
  let concluded = null
  const reason = reasonOf(() => { concluded = council.conclude(ceremony, board, deals) })
  const isRight = same(own, c.own_complaints) && own.every((bits) => council.mayRespond(ceremony, bits)) && reason === c.reason
  if (!isRight || concluded === null) return isRight
  const { counted, group: made } = concluded
  const shares = secrets.map((secret, receiver) => council.sharesOf(counted, board, receiver, secret))
  return same(counted.map((one) => one.dealer), c.deals) && hex(encode(Group, made)) === c.group &&
    same(shares.map((of) => of && of.map(word).join('')), c.shares) && shares.every((of, receiver) => of === null ||
    of.every((share, purpose) =>
      crypto.pointBytes(crypto.G2.BASE.multiplyUnsafe(share)).equals(council.publicShare(made, purpose, receiver))))
})

// ---------------------------------------------------------------- membership

const rosters = load('roster')
const network = raw(rosters.network)
group('roster', 'claims', rosters.claims, (c) => epoch.isClaimed(network, rosters.registry[c.index]) === c.is_true)
group('roster', 'rosters', rosters.rosters, (c) => {
  const members = epoch.rosterOf(network, c.epoch, rosters[c.registry])
  const shown = members.map((m) => ({ ...m, stake: String(m.stake) }))
  return same(shown, c.members) && hex(epoch.rosterRoot(members)) === c.root
})
group('roster', 'profiles', rosters.profiles, (c) => same(epoch.readProfile(raw(c.profile)), c.read))

const shuffle = load('shuffle')
group('shuffle', 'whole', shuffle.whole, (c) =>
  same(c.forward, c.forward.map((_, i) => epoch.forward(i, c.size, raw(c.seed)))) &&
  c.forward.every((j, i) => epoch.inverse(j, c.size, raw(c.seed)) === i))
group('shuffle', 'large', shuffle.large.cases, (c) => {
  const { seed, size } = shuffle.large
  return epoch.forward(c.index, size, raw(seed)) === c.forward && epoch.inverse(c.index, size, raw(seed)) === c.inverse
})

const assignment = load('assignment')
group('assignment', 'seeds', assignment.seeds, (c) =>
  hex(epoch.seedOf(raw(c.network), c.epoch, raw(c.randomness), raw(c.roster_root), raw(c.mixed ?? ''))) === c.seed)
group('assignment', 'cases', assignment.cases, (c) => {
  const members = c.members.map((m) => ({ node: raw(m.node), operator: raw(m.operator), kind: m.kind }))
  const found = new epoch.Assignment(raw(c.seed), members, c)
  return members.every((m, i) => same(found.targets(i), c.targets[hex(m.node)]) &&
    (m.kind !== 0 || same(found.auditors(i), c.auditors[hex(m.node)])))
})
group('assignment', 'draws', assignment.draws, (c) =>
  same(c.targets.flatMap((t, i) => epoch.isDrawn(raw(c.randomness), raw(t), c.draw_ppm) ? [i] : []), c.drawn))

// ---------------------------------------------------------------- evidence

const world = load('world')
const genesis = epoch.readGenesis(net.cases[0].genesis)
const randomness = new Map(world.rounds.map((r) => [r.round, epoch.verifiedRound(genesis.beacon, r.round, raw(r.signature))]))
const views = world.epochs.map((e) =>
  epoch.viewOf(genesis, e.epoch, epoch.rosterOf(genesis.network, e.epoch, world.registry), randomness))
group('world', 'epochs', world.epochs, (c, i) => {
  const view = views[i]
  const nodes = (indices) => indices.map((j) => view.members[j].node)
  return hex(view.seed) === c.seed && hex(view.rosterRoot) === c.roster_root &&
    view.members.every((m, j) => m.kind !== 0 || (same(nodes(view.assignment.auditors(j)), c.auditors[hex(m.node)]) &&
      same(view.drawn[j], c.drawn[hex(m.node)])))
})

const audit = load('audit')
const about = { network: genesis.network, auditor: raw(audit.auditor), target: raw(audit.target) }
about.challenge = evidence.challengeOf(raw(audit.randomness), about.auditor, about.target)
about.round = decode(Question, raw(audit.question.frame)).round
group('audit', 'challenge', [audit], (c) => hex(about.challenge) === c.challenge)
group('audit', 'answers', audit.answers, (c) => {
  const answer = evidence.signAnswer(raw(audit.target_secret), { ...about, status: BigInt(c.status), report: raw(c.report) })
  const receipt = evidence.receiptOf({ ...about, answer })
  return hex(encode(Answer, answer)) === c.answer && hex(evidence.receiptLeaf(receipt)) === c.receipt &&
    hex(evidence.receiptsRoot([receipt])) === c.leaf_hash
})
group('audit', 'forged', audit.forged, (c) =>
  evidence.isReceiptSigned(genesis.network, decode(Receipt, raw(c.receipt))) === c.is_signed)
group('audit', 'tree', [audit.tree], (c) => {
  const leaves = c.receipts.map(raw)
  return hex(crypto.root(leaves)) === c.root && same(crypto.proof(leaves, leaves[0]), c.first_proof)
})
group('audit', 'outcomes', audit.outcomes, (c) =>
  evidence.outcomeOf(c.status, c.fault, c.latency_ms, c.probe_window_ms) === c.outcome)
group('audit', 'medians', audit.medians, (c) => evidence.lowerMedian(c.latencies_ms) === c.median_ms)

const batches = load('batch')
const secretOf = new Map(world.secrets.map((s) => [hex(crypto.nodeOf(raw(s))), raw(s)]))
group('batch', 'good', batches.good, (c) => {
  const batch = evidence.readBatch(raw(c.frame))
  evidence.checkBatch(batch, views[0])
  return same(evidence.signBatch(secretOf.get(c.auditor), batch.body), batch) && hex(batch.id) === c.id
})
group('batch', 'body', [batches.body], (c) =>
  same(decode(BatchBody, decode(Envelope, raw(batches.good[0].frame)).body), c))
group('batch', 'judged', batches.judged, (c) => {
  const found = evidence.judge(raw(c.frame), {
    genesis,
    lastDue: c.last_due,
    viewOf: (e) => c.is_view_known && e === 0n ? views[0] : undefined,
    known: (id) => c.known.includes(id)
  })
  return found.judgement === c.judgement && isSameReason(found.reason, c.reason)
})
group('batch', 'checked', batches.checked, (c) =>
  reasonOf(() => evidence.checkBatch(evidence.readBatch(raw(c.frame)), views[c.epoch])) === c.reason)

const states = load('evidence')
const byLabel = new Map(states.batches.map((b) => [b.label, evidence.readBatch(raw(b.frame))]))
const stateOf = (labels) => new evidence.Evidence(labels.map((label) => byLabel.get(label)))
const isState = (state, c) => same(state.all().map((b) => b.id), c.holds) && same(state.equivocators(), c.equivocators) &&
  hex(state.digest()) === c.digest
const given = new Map(states.states.map((s) => [s.name, s.given]))
group('evidence', 'states', states.states, (c) => isState(stateOf(c.given), c) && isState(stateOf([...c.given].reverse()), c))
group('evidence', 'joins', states.joins, (c) => isState(stateOf([...given.get(c.left), ...given.get(c.right)]), c))

group('sync', 'bitmaps', sync.bitmaps, (c) => hex(evidence.bitmapOf(c.flags)) === c.bitmap &&
  same(evidence.flagsOf(raw(c.bitmap), c.flags.length), c.flags))
group('sync', 'bad_bitmaps', sync.bad_bitmaps, (c) => reasonOf(() => evidence.flagsOf(raw(c.bitmap), c.size)) === c.reason)
group('sync', 'holdings', sync.holdings, (c) => {
  const held = evidence.holdingsOf(stateOf(c.given), views[0].members)
  return same(held, { bitmap: c.bitmap, fingerprints: c.fingerprints }) &&
    same(evidence.chunkIds(stateOf(c.given), views[0].members, 0), c.chunk_0_ids) &&
    hex(evidence.haveOf(genesis.network, 0n, held)) === c.have
})
group('sync', 'deltas', sync.deltas, (c) => {
  const [, have] = decodeTagged(QUESTIONS, evidence.haveOf(genesis.network, 0n, evidence.holdingsOf(stateOf(c.asking), views[0].members)))
  return hex(encode(Delta, evidence.answerHave(stateOf(c.answering), views[0].members, have))) === c.delta
})

const samples = load('sample')
group('sample', 'cases', samples.cases, (c) => {
  const batch = evidence.readBatch(raw(c.frame))
  const picked = evidence.sampleOf(batch, views[0], raw(samples.randomness))
  return same(evidence.answered(batch, views[0]).map((s) => [s.target, s.round]), c.answered) &&
    same(picked && [picked.target, picked.round, picked.outcome], c.sample)
})
group('sample', 'shown', samples.shown, (c) => {
  const [target, round, outcome] = c.sample
  return reasonOf(() => evidence.checkReceipt(decode(Receipt, raw(c.receipt)), c.proof.map(raw), {
    batch: evidence.readBatch(raw(c.batch)), sample: { target: raw(target), round, outcome }, randomness: randomness.get(round)
  })) === c.reason
})

// ---------------------------------------------------------------- scores

group('verdict', 'cases', load('verdict').cases, (c) =>
  hex(score.verdictsOf(c.outcomes.map(raw), c.rounds, c.assigned)) === c.verdicts)

const scores = load('score')
const preset = (name) => JSON.parse(readFileSync(join(folder, '..', 'presets', `${name}.json`), 'utf8')).params
const scoreOf = (facts) => Object.fromEntries(SCORE_FIELDS.map((f) => [f, f === 'node' ? raw(facts[f]) : number(facts[f])]))
group('score', 'wilson', scores.wilson, (c) => same(score.wilson(number(c.s), number(c.n), c.design_effect), c.ppm))
group('score', 'folds', scores.folds, (c) => {
  const found = score.fold(scoreOf(c.old), raw(c.verdicts), c.delivered, c.owed, preset(c.preset))
  return same(found, scoreOf(c.new)) && hex(score.scoreLeaf(found)) === c.leaf
})
group('score', 'runs', scores.runs, (c) => {
  let member = score.firstScore(raw(c.last.node), c.last.nonce)
  const params = preset(c.preset)
  for (const [seen, times] of c.epochs) {
    const owed = raw(seen).length
    for (let i = 0; i < times; i++) member = score.fold(member, raw(seen), owed, owed, params)
  }
  return same(member, scoreOf(c.last))
})
group('score', 'medians', scores.medians, (c) => same(score.medianUptime(
  c.uptime_ppm_and_n.map(([u, n]) => ({ uptime_ppm: BigInt(u), n: BigInt(n) }))), c.median_ppm))
group('score', 'states', scores.states, (c) =>
  same(score.nextState(scoreOf(c.score), c.epoch, c.median_ppm, preset(c.preset)), [c.state, c.state_until]))

const epochs = load('epoch').epochs
let before = new Map()
group('epoch', 'epochs', epochs, (c, i) => {
  const included = new Map(c.included.map((f) => evidence.readBatch(raw(f))).map((b) => [hex(b.body.auditor), b]))
  const closed = score.closeEpoch(views[i], included, new Set(c.tainted), before)
  before = score.byMember(closed.scores)
  const byNode = (map) => Object.fromEntries([...map].map(([j, value]) => [hex(views[i].members[j].node), value]))
  return same(byNode(closed.verdicts), c.verdicts) && same(byNode(closed.leaves), c.evidence_leaves) &&
    same(closed.scores.map((s) => SCORE_FIELDS.map((f) => s[f])), c.scores) &&
    hex(encode(Proposal, closed.proposal)) === c.proposal && same(closed.header, c.header) &&
    hex(score.headerHash(closed.header)) === c.header_hash
})

const anchor = load('anchor')
group('anchor', 'message', [anchor], (c) => {
  const header = Object.fromEntries(Object.entries(c.header).map(([k, v]) =>
    [k, typeof v === 'string' ? raw(v) : typeof v === 'number' ? BigInt(v) : v]))
  return hex(score.headerHash(header)) === c.header_hash && hex(score.anchorMessage(genesis, header, c.voids)) === c.message
})
group('anchor', 'sealed', anchor.sealed, (c) => score.isSealed(genesis, decode(SealedAnchor, raw(c.frame))) === c.is_sealed)
group('anchor', 'proposals', anchor.proposals, (c) => {
  const included = new Map(epochs[1].included.map((f) => evidence.readBatch(raw(f))).map((b) => [hex(b.body.auditor), b]))
  return reasonOf(() => score.checkProposal(decode(Proposal, raw(c.proposal)), views[1], included)) === c.reason
})
group('anchor', 'score_proofs', anchor.score_proofs, (c) => crypto.isProved(raw(c.root), raw(c.leaf), c.proof.map(raw)))

// ---------------------------------------------------------------- challenges

const frauds = load('fraud')
const numbersOf = (text) => {
  const numbers = text.split('|').map(BigInt)
  return Object.fromEntries(SCORE_FIELDS.map((f, i) => [f, i < 2 ? [Buffer.alloc(32), 0n][i] : numbers[i - 2]]))
}
group('fraud', 'duty_max', Object.entries(frauds.duty_max), ([name, most]) => fraud.dutyMax(preset(name)) === most)
group('fraud', 'claims', frauds.claims, (c) => {
  const sighted = { auditors: BigInt(c.auditors), rounds: BigInt(c.rounds), matrix: raw(c.matrix) }
  const header = { epoch: number(c.epoch), median_ppm: c.median_ppm, is_void: c.is_void }
  return fraud.faultOf(numbersOf(c.score), numbersOf(c.old), sighted, header, preset(c.preset)) === c.fault
})
group('fraud', 'challenges', frauds.challenges, (c) => {
  const shown = (one) => one && { leaf: raw(one.leaf), proof: one.proof.map(raw) }
  const header = (facts) => facts && Object.fromEntries(Object.entries(facts).map(([k, v]) =>
    [k, typeof v === 'string' ? raw(v) : v]))
  let fault = null
  const reason = reasonOf(() => {
    fault = fraud.firstWrongWord({
      header: header(c.header),
      before: header(c.before),
      score: shown(c.score),
      old: shown(c.old),
      newcomer: c.newcomer.map(shown),
      evidence: shown(c.evidence),
      matrix: raw(c.matrix),
      light: shown(c.light),
      stranger: c.stranger.map(shown)
    }, preset('minimal'))
  })
  return reason === c.reason && fault === c.fault
})

// ---------------------------------------------------------------- the market

const money = load('money')
const listed = (text) => text === '' ? [] : text.split('|').map(BigInt)
const rows = { quotes: 'quote', profits: 'yearlyShare', splits: 'split', losses: 'loss', covers: 'cover', distributions: 'distribution', micro_pools: 'joined' }
for (const [name, formula] of Object.entries(rows)) {
  group('money', name, money[name], (c) => same(economy[formula](listed(c.given)), listed(c.expected)))
}
group('money', 'refunds', money.refunds, (c) =>
  same(economy.refunds(listed(c.stakes), listed(c.given)), [listed(c.provider), listed(c.insurance)]))
group('money', 'completions', money.completions, (c) =>
  same(economy.completion(listed(c.stakes), listed(c.given)), [c.pools, c.stakers, c.fee_split].map(listed)))

const draw = load('draw')
const contract = '0102030405060708090a0b0c0d0e0f1011121314'
const unhexed = (c) => ({ ...c, market: raw(c.market), randomness: raw(c.randomness ?? ''), provider: raw(c.provider ?? ''), salt: raw(c.salt ?? '') })
group('draw', 'commitments', draw.commitments, (c) => hex(economy.commitment(unhexed(c))) === c.commitment)
group('draw', 'numbers', draw.numbers, (c) => {
  const found = economy.number(unhexed(c))
  return String(found) === c.number && String(economy.numberAfter(found)) === c.after
})
group('draw', 'auctions', draw.auctions, (c) => {
  const drawn = economy.number(unhexed({ chain_id: 31337, market: contract, deal: c.deal, randomness: c.randomness }))
  const found = economy.auction(c.bids.map(listed), c.size, BigInt(c.stake_max), c.rule, BigInt(c.fixed_price), drawn)
  return same(found.entering, c.entering) && same(found.weights, listed(c.weights)) && found.winner === c.winner && String(found.paid) === c.paid
})

process.exitCode = failures === 0 ? 0 : 1
