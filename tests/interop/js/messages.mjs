// Every message, as the tables of the protocol's pages have them.

import { bool, bytes, list, message, range, text, uint } from './wire.mjs'

const hash = bytes(32)
const frames = list(1024, bytes(192, 65536))

// roster.md, workloads.md
export const Profile = message({ version: uint, workload: text(128), addresses: list(4, text(128)) })
export const HttpReport = message({ status: range(100, 599), body_hash: hash })

// audit.md
export const Question = message({ version: uint, network: hash, round: uint, round_signature: bytes(48) })
export const Answer = message({ version: uint, status: range(0, 2), report: bytes(0, 49152), signature: bytes(64) })
export const Receipt = message({
  round: uint, auditor: hash, target: hash, challenge: hash, status: range(0, 2), report_hash: hash, signature: bytes(64)
})

// batch.md
export const Row = message({ target: hash, outcomes: bytes(0, 4096), median_ms: uint })
export const BatchBody = message({
  version: uint, network: hash, epoch: uint, auditor: hash, nonce: uint, seed: hash, rows: list(32, Row), receipts_root: hash
})
export const Envelope = message({ body: bytes(0, 65536), signature: bytes(64) })

// reputation.md
export const SCORE_FIELDS = [
  'node', 'nonce', 's', 'n', 'up_rounds', 'outages', 'age_epochs', 'last_verdict', 'duty_s', 'duty_n', 'state',
  'state_until', 'uptime_ppm', 'run_time_rounds', 'reliability_ppm', 'duty_ppm'
]
export const Score = message(Object.fromEntries(SCORE_FIELDS.map((name) => [name, name === 'node' ? hash : uint])))

// anchor.md
export const Header = message({
  epoch: uint, roster_root: hash, proposal_hash: hash, evidence_root: hash, score_root: hash, median_ppm: uint, is_void: bool
})
export const Proposal = message({
  version: uint, network: hash, epoch: uint, seed: hash, included: bytes(0, 131072), tainted: bytes(0, 131072), ids_digest: hash
})
export const SealedAnchor = message({ header: Header, proposal: Proposal, voids: uint, signature: bytes(48) })

// beacon.md
export const RoundNews = message({ network: hash, is_mixed: bool, number: uint, signature: bytes(48) })

// council.md
const commitments = list(2, list(32, bytes(96)))
export const Group = message({ session: uint, governors: list(63, hash), commitments })
export const Deal = message({
  ceremony: hash, dealer: uint, commitments, proofs: list(2, bytes(48)), sealed: list(63, bytes(112))
})

// sync.md
const about = { network: hash, epoch: uint }
export const QUESTIONS = {
  Have: message({ ...about, bitmap: bytes(0, 131072), fingerprints: bytes(0, 65536) }, 1),
  Give: message({ ...about, frames }, 2),
  AskIds: message({ ...about, chunk: uint }, 3),
  Fetch: message({ ...about, ids: list(512, hash) }, 4),
  AskRounds: message({ network: hash, first: uint, count: uint }, 5),
  AskAnchor: message(about, 6),
  AskScores: message({ ...about, first: uint }, 7),
  AskReceipt: message({ ...about, target: hash, round: uint }, 8),
  AskRecords: message({ network: hash }, 9),
  AskProof: message({ ...about, node: hash }, 10),
  AskMixed: message({ network: hash, first: uint, count: uint }, 11)
}
export const Delta = message({ frames, wanted: bytes(0, 4096), differing: list(64, uint), is_more: bool })
export const Taken = message({ count: uint })
export const IdList = message({ ids: list(512, hash) })
export const FrameList = message({ frames })
export const RoundList = message({ first: uint, signatures: list(512, bytes(48)) })
export const ScoreList = message({ total: uint, scores: list(4096, bytes(52, 172)) })
export const ReceiptProof = message({ receipt: Receipt, proof: list(32, hash) })
export const ScoreProof = message({ score: Score, proof: list(32, hash) })
export const AddressRecord = message({ node: hash, sequence: uint, addresses: list(4, text(256)), signature: bytes(64) })
export const RecordList = message({ records: list(512, bytes(103, 1200)) })

export const SHAPES = {
  Profile, HttpReport, Question, Answer, Receipt, Row, BatchBody, Envelope, Score, Header, Proposal, SealedAnchor,
  RoundNews, Group, Deal,
  ...QUESTIONS, Delta, Taken, IdList, FrameList, RoundList, ScoreList, ReceiptProof, ScoreProof, AddressRecord, RecordList
}
