// A full member of a stkrp2p network, written from protocols/ alone.
//
// It reads JSON lines: first {secret}, then {genesis, registry, peers}. It writes one JSON line for
// each thing that happens. It lives until its standard input ends.

import './polyfill.mjs'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'

import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { generateKeyPairFromSeed, publicKeyFromRaw } from '@libp2p/crypto/keys'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

import { nodeOf, proof, sha256 } from './crypto.mjs'
import {
  dueMs, epochOf, firstOf, isDrawn, lastDue, lastOf, raw, readGenesis, readProfile, rosterOf, roundsOf, rosterRoot, seedOf,
  Assignment, sealOf, verifiedRound, viewOf
} from './epoch.mjs'
import {
  answerHave, challengeOf, checkBatch, chunkIds, Evidence, haveOf, holdingsOf, judge, lowerMedian, OUTCOME, outcomeOf,
  readAnswer, readBatch, receiptLeaf, receiptOf, receiptsRoot, signAnswer, signBatch
} from './evidence.mjs'
import {
  Answer, Delta, FrameList, HttpReport, IdList, Question, QUESTIONS, ReceiptProof, RecordList, RoundList, SealedAnchor, Taken
} from './messages.mjs'
import { byMember, closeEpoch, isSealed } from './score.mjs'
import { ask, serve } from './streams.mjs'
import { ANSWER_BYTES_MAX, decode, decodeTagged, encode, FRAME_BYTES_MAX, Refused } from './wire.mjs'

const AUDIT = '/stkr/audit/1'
const SYNC = '/stkr/sync/1'
const PATH = '/health'

const say = (ev, facts = {}) => process.stdout.write(JSON.stringify({ ev, ...facts }) + '\n')
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)))
const refuse = (is, reason) => { if (is) throw new Refused(reason) }

const peerIdOf = (node) => peerIdFromPublicKey(publicKeyFromRaw(node))
const nodeOfPeer = (peer) => Buffer.from(peer.publicKey.raw)

/** The service this member looks after: a page that depends on nothing but the challenge. */
const startService = () => new Promise((resolve) => {
  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://localhost')
    response.end(url.pathname === PATH ? `up ${url.searchParams.get('challenge')}\n` : '')
  })
  server.listen(0, '127.0.0.1', () => resolve(server.address().port))
})

const startHost = async (secret) => createLibp2p({
  privateKey: await generateKeyPairFromSeed('Ed25519', secret),
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionMonitor: { enabled: false },
  services: {
    identify: identify(),
    ping: ping(),
    gossip: gossipsub({ globalSignaturePolicy: 'StrictSign', emitSelf: false, allowPublishToZeroTopicPeers: true })
  }
})

class Peer {
  constructor ({ secret, host, port, config }) {
    this.secret = secret
    this.node = nodeOf(secret)
    this.host = host
    this.port = port
    this.genesis = readGenesis(config.genesis)
    this.registry = config.registry
    this.addresses = config.peers
    this.randomness = new Map()
    this.signatures = new Map()
    this.views = new Map()
    this.assignments = new Map()
    this.evidence = new Map()
    this.observations = new Map()
    this.scores = new Map()
  }

  nowMs () { return Date.now() }
  due () { return lastDue(this.genesis.beacon, this.nowMs()) }
  roster (epoch) { return rosterOf(this.genesis.network, epoch, this.registry) }

  evidenceOf (epoch) {
    if (!this.evidence.has(epoch)) this.evidence.set(epoch, new Evidence())
    return this.evidence.get(epoch)
  }

  /** Who audits whom, once the epoch's first round is known. */
  assignment (epoch) {
    const first = this.randomness.get(Number(firstOf(this.genesis, epoch)))
    if (!this.assignments.has(epoch) && first !== undefined) {
      const members = this.roster(epoch)
      const seed = seedOf(this.genesis.network, epoch, first, rosterRoot(members))
      this.assignments.set(epoch, new Assignment(seed, members, this.genesis.params))
    }
    return this.assignments.get(epoch)
  }

  /** The epoch's view, once all of its rounds are known. */
  view (epoch) {
    epoch = Number(epoch)
    if (!this.views.has(epoch) && roundsOf(this.genesis, epoch).every((r) => this.randomness.has(r))) {
      this.views.set(epoch, viewOf(this.genesis, epoch, this.roster(epoch), this.randomness))
    }
    return this.views.get(epoch)
  }

  // -------------------------------------------------------------- asking

  async sync (kind, question, peer = this.anyPeer()) {
    const frame = encode(QUESTIONS[kind], { network: this.genesis.network, ...question })
    return Buffer.from(await ask(this.host, peer, SYNC, frame, { timeoutMs: 3000, answerMax: ANSWER_BYTES_MAX }))
  }

  anyPeer () {
    const peers = this.host.getPeers()
    if (peers.length === 0) throw new Error('no peers')
    return peers[Math.floor(Math.random() * peers.length)]
  }

  /** Fetches a round from peers, again and again until somebody has it. */
  async fetchRound (number) {
    for (;;) {
      try {
        const frame = await this.sync('AskRounds', { first: number, count: 1 })
        const [signature] = frame.length ? decode(RoundList, frame, ANSWER_BYTES_MAX).signatures : []
        if (signature !== undefined) return this.addRound(number, signature)
      } catch (error) {
        say('trouble', { where: 'rounds', error: String(error) })
        await pause(100)
      }
      await pause(20)
    }
  }

  /** Fetches the rounds of an epoch that were due before we joined: its view needs them all. */
  async fetchMissed (first) {
    const rounds = roundsOf(this.genesis, epochOf(this.genesis, first))
    for (const round of rounds) if (round < first) await this.fetchRound(round)
  }

  addRound (number, signature) {
    const randomness = verifiedRound(this.genesis.beacon, number, signature)
    this.randomness.set(number, randomness)
    this.signatures.set(number, signature)
    return randomness
  }

  // -------------------------------------------------------------- being audited

  async answerAudit (peer, frame) {
    const question = decode(Question, frame)
    refuse(question.version !== 1n, 'unknown-version')
    refuse(!question.network.equals(this.genesis.network), 'foreign-network')
    const round = Number(question.round)
    const now = this.due()
    refuse(round < now - 2 || round > now + 1, 'not-due')
    const randomness = this.randomness.get(round) ?? this.addRound(round, question.round_signature)
    const auditor = nodeOfPeer(peer)
    const members = this.roster(epochOf(this.genesis, round))
    const indexOf = (node) => members.findIndex((m) => m.node.equals(node))
    refuse(indexOf(auditor) < 0, 'not-member')
    const assignment = this.assignment(epochOf(this.genesis, round))
    refuse(assignment && !assignment.auditors(indexOf(this.node)).includes(indexOf(auditor)), 'unassigned')
    refuse(!isDrawn(randomness, this.node, this.genesis.params.draw_ppm), 'not-drawn')
    const challenge = challengeOf(randomness, auditor, this.node)
    const answer = signAnswer(this.secret, {
      network: this.genesis.network, round: question.round, challenge, status: 0n, report: await this.report(challenge)
    })
    say('answered', { auditor: hex(auditor), round })
    return encode(Answer, answer)
  }

  async report (challenge) {
    const page = await fetch(`http://127.0.0.1:${this.port}${PATH}?challenge=${hex(challenge)}`)
    return encode(HttpReport, { status: page.status, body_hash: sha256(Buffer.from(await page.arrayBuffer())) })
  }

  // -------------------------------------------------------------- auditing

  async auditRound (round, arrivedMs) {
    const epoch = epochOf(this.genesis, round)
    const assignment = this.assignment(epoch)
    if (assignment === undefined) return
    const me = assignment.members.findIndex((m) => m.node.equals(this.node))
    const targets = assignment.targets(me).map((i) => assignment.members[i].node)
    const drawn = targets.filter((t) => isDrawn(this.randomness.get(round), t, this.genesis.params.draw_ppm))
    await Promise.all(drawn.map((target) => this.probe(round, target, arrivedMs)))
  }

  async probe (round, target, arrivedMs) {
    const { probe_tries: tries, probe_window_ms: windowMs } = this.genesis.params
    for (let left = tries; left > 0; left--) {
      const rest = arrivedMs + windowMs - Date.now()
      if (rest <= 0) break
      const begun = Date.now()
      try {
        return this.observe(round, target, await this.tryOnce(round, target, arrivedMs, rest / left))
      } catch (error) {
        say('trouble', { where: 'probe', target: hex(target), round, error: String(error) })
        await pause(rest / left - (Date.now() - begun))
      }
    }
    this.observe(round, target, { outcome: OUTCOME.UNREACHABLE, latencyMs: 0, receipt: null })
  }

  async tryOnce (round, target, arrivedMs, timeoutMs) {
    const { network } = this.genesis
    const question = { version: 1n, network, round, round_signature: this.signatures.get(round) }
    const limits = { timeoutMs: Math.max(1, Math.floor(timeoutMs)), answerMax: FRAME_BYTES_MAX }
    const answer = readAnswer(await ask(this.host, peerIdOf(target), AUDIT, encode(Question, question), limits))
    refuse(answer.version !== 1n, 'unknown-version')
    const latencyMs = Date.now() - arrivedMs
    const challenge = challengeOf(this.randomness.get(round), this.node, target)
    const receipt = receiptOf({ network, round: BigInt(round), challenge, auditor: this.node, target, answer })
    if (receipt === null) throw new Error('not signed')
    const entry = this.registry.find((e) => e.node === hex(target))
    const { workload } = readProfile(raw(entry.profile))
    const fault = workload !== 'none' ? 'unknown-workload' : answer.report.length ? 'not-empty' : ''
    return { outcome: outcomeOf(answer.status, fault, latencyMs, this.genesis.params.probe_window_ms), latencyMs, receipt }
  }

  observe (round, target, seen) {
    this.observations.set(`${round} ${hex(target)}`, seen)
    say('audited', { target: hex(target), round, outcome: seen.outcome })
  }

  receiptsOf (epoch) {
    const rounds = new Set(roundsOf(this.genesis, epoch))
    return [...this.observations.values()].map((seen) => seen.receipt)
      .filter((receipt) => receipt !== null && rounds.has(Number(receipt.round)))
  }

  // -------------------------------------------------------------- the batch

  async publish (epoch) {
    const view = this.view(epoch)
    const me = view.indexOf.get(hex(this.node))
    const rows = view.assignment.targets(me).map((i) => this.row(view, i))
    if (rows.length === 0) return
    const batch = signBatch(this.secret, {
      version: 1n,
      network: view.genesis.network,
      epoch: view.epoch,
      auditor: this.node,
      nonce: view.members[me].nonce,
      seed: view.seed,
      rows,
      receipts_root: receiptsRoot(this.receiptsOf(epoch))
    })
    this.evidenceOf(epoch).add(batch)
    await this.host.services.gossip.publish(this.genesis.batchTopic, batch.frame)
    say('published', { epoch, id: hex(batch.id) })
  }

  row (view, index) {
    const target = view.members[index].node
    const seen = view.drawn[index].map((round) => this.observations.get(`${round} ${hex(target)}`))
    let declared = 0
    const outcomes = seen.map((one) => {
      if (one?.outcome !== OUTCOME.DECLARED) return one?.outcome ?? OUTCOME.NOT_PROBED
      return ++declared > this.genesis.params.declared_rounds_max ? OUTCOME.UNREACHABLE : OUTCOME.DECLARED
    })
    const timely = seen.filter((one) => one && [OUTCOME.OK, OUTCOME.SLOW].includes(one.outcome)).map((one) => one.latencyMs)
    const median = Math.min(lowerMedian(timely), this.genesis.params.probe_window_ms)
    return { target, outcomes: Buffer.from(outcomes), median_ms: BigInt(median) }
  }

  judgeGossip (peer, data) {
    const found = judge(Buffer.from(data), {
      genesis: this.genesis,
      lastDue: this.due(),
      viewOf: (epoch) => this.view(epoch),
      known: (id) => [...this.evidence.values()].some((state) => state.all().some((b) => hex(b.id) === id))
    })
    const { judgement, reason, batch } = found
    if (judgement === 'accept') this.evidenceOf(Number(batch.body.epoch)).add(batch)
    say('judged', { judgement, reason, auditor: batch && hex(batch.body.auditor), epoch: batch && Number(batch.body.epoch) })
    return judgement
  }

  // -------------------------------------------------------------- sync

  async answerSync (peer, frame) {
    const [kind, question] = decodeTagged(QUESTIONS, frame)
    refuse(!question.network.equals(this.genesis.network), 'foreign-network')
    say('served', { question: kind })
    const epoch = Number(question.epoch ?? 0n)
    const view = this.view(epoch)
    const nothing = Buffer.alloc(0)
    switch (kind) {
      case 'Have':
        return view ? encode(Delta, answerHave(this.evidenceOf(epoch), view.members, question)) : nothing
      case 'Give':
        return view ? encode(Taken, { count: this.take(view, question.frames) }) : nothing
      case 'AskIds':
        return view ? encode(IdList, { ids: chunkIds(this.evidenceOf(epoch), view.members, Number(question.chunk)) }) : nothing
      case 'Fetch': {
        const held = this.evidenceOf(epoch).all().filter((b) => question.ids.some((id) => id.equals(b.id)))
        return encode(FrameList, { frames: held.map((b) => b.frame) })
      }
      case 'AskRounds': {
        const signatures = []
        for (let r = Number(question.first); signatures.length < Math.min(512, Number(question.count)); r++) {
          if (!this.signatures.has(r)) break
          signatures.push(this.signatures.get(r))
        }
        return encode(RoundList, { first: question.first, signatures })
      }
      case 'AskReceipt': {
        const receipts = this.receiptsOf(epoch)
        const found = receipts.find((r) => r.target.equals(question.target) && r.round === question.round)
        if (found === undefined) return nothing
        return encode(ReceiptProof, { receipt: found, proof: proof(receipts.map(receiptLeaf), receiptLeaf(found)) })
      }
      case 'AskRecords':
        return encode(RecordList, { records: [] })
      default:
        return nothing
    }
  }

  take (view, frames) {
    const evidence = this.evidenceOf(Number(view.epoch))
    const before = evidence.all().length
    for (const frame of frames) {
      const batch = readBatch(frame)
      checkBatch(batch, view)
      evidence.add(batch)
    }
    return evidence.all().length - before
  }

  /** Compares an epoch's evidence with a peer's and takes what we lack. */
  async reconcile (epoch) {
    const view = this.view(epoch)
    const holdings = holdingsOf(this.evidenceOf(epoch), view.members)
    const { network, ...have } = decodeTagged(QUESTIONS, haveOf(this.genesis.network, BigInt(epoch), holdings))[1]
    const frame = await this.sync('Have', have)
    if (frame.length === 0) return
    const delta = decode(Delta, frame, ANSWER_BYTES_MAX)
    const count = this.take(view, delta.frames)
    say('reconciled', { epoch, count, wanted: delta.wanted.length / 4 })
  }

  // -------------------------------------------------------------- anchors

  /** Waits for an epoch's anchor, closes the epoch over its batches, and compares the headers. */
  async follow (epoch) {
    await pause(dueMs(this.genesis.beacon, Number(sealOf(this.genesis, epoch))) - this.nowMs())
    for (;;) {
      try {
        if (await this.closeAnchored(epoch)) return
      } catch (error) {
        say('trouble', { where: 'anchor', epoch, error: String(error) })
      }
      await pause(200)
    }
  }

  async closeAnchored (epoch) {
    const frame = await this.sync('AskAnchor', { epoch: BigInt(epoch) })
    if (frame.length === 0) return false
    const sealed = decode(SealedAnchor, frame, ANSWER_BYTES_MAX)
    if (sealed.header.epoch !== BigInt(epoch) || !isSealed(this.genesis, sealed)) throw new Error('not sealed by the council')
    await this.reconcile(epoch)
    const view = this.view(epoch)
    const named = (bitmap) => view.members.filter((_, i) => bitmap[i >> 3] >> (i & 7) & 1).map((m) => hex(m.node))
    const held = this.evidenceOf(epoch).of
    const included = new Map(named(sealed.proposal.included).map((node) => [node, held.get(node)?.[0]]))
    if ([...included.values()].includes(undefined)) return false
    const before = epoch === 0 ? new Map() : this.scores.get(epoch - 1)
    if (before === undefined) return false
    const closed = closeEpoch(view, included, new Set(named(sealed.proposal.tainted)), before)
    this.scores.set(epoch, byMember(closed.scores))
    const same = (a, b) => Object.keys(a).every((key) => Buffer.isBuffer(a[key]) ? a[key].equals(b[key]) : a[key] === b[key])
    say('closed', { epoch, is_same: same(closed.header, sealed.header), included: [...included.keys()] })
    return true
  }

  // -------------------------------------------------------------- life

  async join () {
    const { host, genesis } = this
    await serve(host, AUDIT, (peer, frame) => this.answerAudit(peer, frame))
    await serve(host, SYNC, (peer, frame) => this.answerSync(peer, frame))
    host.services.gossip.topicValidators.set(genesis.batchTopic, (peer, message) => this.judgeGossip(peer, message.data))
    host.services.gossip.subscribe(genesis.batchTopic)
    for (const address of this.addresses) {
      const connection = await host.dial(multiaddr(address))
      say('ping', { peer: hex(nodeOfPeer(connection.remotePeer)), ms: await host.services.ping.ping(connection.remotePeer) })
    }
  }

  async run () {
    await this.join()
    const first = Math.max(this.genesis.firstRound, this.due() + 1)
    await this.fetchMissed(first)
    for (let round = first; ; round++) {
      await pause(dueMs(this.genesis.beacon, round) - this.nowMs())
      await this.fetchRound(round)
      this.auditRound(round, Date.now()).catch((error) => say('trouble', { where: 'audit', error: error.stack }))
      const epoch = epochOf(this.genesis, round)
      if (BigInt(round) === lastOf(this.genesis, epoch)) this.finish(epoch)
    }
  }

  /** After an epoch's last round: publish within the first quarter of the settle rounds, then follow its anchor. */
  async finish (epoch) {
    const { settle_rounds: settle, period_ms: period } = this.genesis.params
    await pause(dueMs(this.genesis.beacon, Number(lastOf(this.genesis, epoch)) + 1) - this.nowMs())
    await pause(Math.random() * settle * period / 4)
    await this.publish(epoch)
    await this.follow(epoch)
  }
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const next = async () => {
  const { value, done } = await lines.next()
  if (done) process.exit(0)
  return JSON.parse(value)
}

const secret = raw((await next()).secret)
const port = await startService()
const host = await startHost(secret)
host.addEventListener('peer:identify', ({ detail }) => say('identified', {
  peer: hex(nodeOfPeer(detail.peerId)), protocols: detail.protocols
}))
say('ready', { node: hex(nodeOf(secret)), port, addresses: host.getMultiaddrs().map((a) => String(a).split('/p2p/')[0]) })
const peer = new Peer({ secret, host, port, config: await next() })
peer.run().catch((error) => {
  say('failed', { error: error.stack })
  process.exit(1)
})
await next() // standard input ends when the parent does
