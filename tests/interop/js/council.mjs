// Groups, partials, deals, and what a session comes to: protocols/council.md, sections 1 and 2

import {
  ANCHOR_DST, big, blsSign, Fr, fixed, G2, hmac512, isBlsSigned, open, pointBytes, readG1, readG2, ROUND_DST, seal, sha256,
  sumOf, u64
} from './crypto.mjs'
import { Deal, Group } from './messages.mjs'
import { decode, encode, Refused } from './wire.mjs'

const PURPOSES = [0, 1]
const DSTS = [ROUND_DST, ANCHOR_DST]
const POP_DST = 'STKR-POP-V1_BLS12381G1_XMD:SHA-256_SSWU_RO_'
const DEAL_BYTES_MAX = 16384
const SHARES_BYTES = 64
const SEALED_BYTES = 112

const refuse = (is, reason) => { if (is) throw new Refused(reason) }
const numberOf = (place) => BigInt(place) + 1n

export const thresholdOf = (governors) => Math.floor(governors.length / 2) + 1

// ---------------------------------------------------------------- groups and partials

/** Returns Lagrange's weight at zero of each number among all of them. */
export const weightsOf = (numbers) => numbers.map((x) => numbers.filter((y) => y !== x).reduce(
  (weight, y) => Fr.mul(weight, Fr.div(y, Fr.sub(y, x))), 1n))

const valueAt = (coefficients, x) => coefficients.reduceRight((sum, c) => Fr.add(Fr.mul(sum, x), c), 0n)
const pointAt = (points, x) => points.reduceRight((sum, point) => sum.multiplyUnsafe(x).add(point), G2.ZERO)

/** Reads the commitments of all purposes as points; refuses with the reason. */
function readPoints (commitments, reason) {
  try {
    return commitments.map((ofPurpose) => ofPurpose.map(readG2))
  } catch {
    throw new Refused(reason)
  }
}

/** Reads a group, and its commitments as `points`; refuses one that is not valid. */
export function readGroup (frame) {
  const group = decode(Group, frame)
  const { governors, commitments } = group
  const isTwice = new Set(governors.map((g) => g.toString('hex'))).size !== governors.length
  refuse(governors.length % 2 === 0 || isTwice, 'malformed')
  const threshold = thresholdOf(governors)
  refuse(commitments.length !== PURPOSES.length || commitments.some((c) => c.length !== threshold), 'malformed')
  return { ...group, threshold, points: readPoints(commitments, 'malformed') }
}

export const groupHash = (group) => sha256('stkr/group/1', encode(Group, group))
export const publicKey = (group, purpose) => group.commitments[purpose][0]
export const publicShare = (group, purpose, index) => pointBytes(pointAt(group.points[purpose], numberOf(index)))
export const partialOf = (share, purpose, message) => blsSign(share, message, DSTS[purpose])

export const isPartial = (group, purpose, index, message, partial) => index < group.governors.length &&
  isBlsSigned(publicShare(group, purpose, index), message, partial, DSTS[purpose])

const isPoint = (raw) => {
  try {
    return Boolean(readG1(raw))
  } catch {
    return false
  }
}

/** Makes the signature of partials, a map by governors' places; null if too few of them are right. */
export function combine (group, purpose, message, partials) {
  const of = (chosen) => {
    if (chosen.length < group.threshold) return null
    const some = chosen.slice(0, group.threshold)
    const weights = weightsOf(some.map(([index]) => numberOf(index)))
    const signature = pointBytes(sumOf(some.map(([, partial], i) => readG1(partial).multiplyUnsafe(weights[i]))))
    return isBlsSigned(publicKey(group, purpose), message, signature, DSTS[purpose]) ? signature : null
  }
  const points = [...partials].filter(([index, partial]) => index < group.governors.length && isPoint(partial))
  return of(points) ?? of(points.filter(([index, partial]) => isPartial(group, purpose, index, message, partial)))
}

// ---------------------------------------------------------------- deals

/** Adds to a session's facts what follows from them. `old` is the dealers' group, null in a fresh session. */
export function ceremonyOf ({ chainId, board, session, dealers, receivers, old }) {
  const id = sha256('stkr/ceremony/1', u64(chainId), board, u64(session), u64(dealers.length), ...dealers,
    u64(receivers.length), ...receivers, old === null ? Buffer.alloc(32) : groupHash(old))
  return { id, session, dealers, receivers, old, threshold: thresholdOf(receivers), quorum: thresholdOf(dealers) }
}

const possession = (ceremony, dealer, purpose, commitment) =>
  sha256('stkr/possession/1', ceremony.id, u64(dealer), u64(purpose), commitment)

/** Makes a dealer's deal from its seed: the frame. `oldShares` are its old shares by purpose, null in a fresh session. */
export function makeDeal (ceremony, dealer, seed, oldShares) {
  const key = hmac512(ceremony.id, seed)
  const draw = (purpose, k) => Fr.create(big(hmac512(key, 'coefficient', u64(purpose), u64(k), Buffer.from([1]))))
  const polynomials = PURPOSES.map((purpose) => Array.from({ length: ceremony.threshold }, (_, k) =>
    k === 0 && oldShares !== null ? oldShares[purpose] : draw(purpose, k)))
  const commitments = polynomials.map((f) => f.map((c) => pointBytes(G2.BASE.multiplyUnsafe(c))))
  const proofs = PURPOSES.map((purpose) =>
    blsSign(polynomials[purpose][0], possession(ceremony, dealer, purpose, commitments[purpose][0]), POP_DST))
  const sealed = ceremony.receivers.map((node, receiver) => {
    const shares = Buffer.concat(polynomials.map((f) => fixed(valueAt(f, numberOf(receiver)), 32)))
    const ephemeral = hmac512(key, 'seal', u64(receiver), Buffer.from([1])).subarray(0, 32)
    return seal(node, ephemeral, shares) ?? Buffer.alloc(SEALED_BYTES)
  })
  return encode(Deal, { ceremony: ceremony.id, dealer: BigInt(dealer), commitments, proofs, sealed })
}

/** The rule for a deal: returns it with its commitments as `points`. `posted` is the hash on the board. */
export function checkDeal (ceremony, dealer, posted, frame) {
  refuse(!sha256(frame).equals(posted), 'other-deal')
  const deal = decode(Deal, frame, DEAL_BYTES_MAX)
  const { commitments, proofs, sealed } = deal
  refuse(!deal.ceremony.equals(ceremony.id), 'other-ceremony')
  refuse(deal.dealer !== BigInt(dealer), 'other-dealer')
  refuse(commitments.length !== PURPOSES.length || commitments.some((c) => c.length !== ceremony.threshold), 'wrong-degree')
  refuse(proofs.length !== PURPOSES.length || sealed.length !== ceremony.receivers.length, 'wrong-count')
  const points = readPoints(commitments, 'bad-point')
  for (const purpose of PURPOSES) {
    const key = commitments[purpose][0]
    refuse(ceremony.old !== null && !key.equals(publicShare(ceremony.old, purpose, dealer)), 'other-share')
    refuse(!isBlsSigned(key, possession(ceremony, dealer, purpose, key), proofs[purpose], POP_DST), 'no-possession')
  }
  return { ...deal, points }
}

/** The rule for a receiver's shares of a checked deal: returns them as numbers. */
export function checkShares (deal, receiver, shares) {
  refuse(shares === null || shares.length !== SHARES_BYTES, 'wrong-share')
  return PURPOSES.map((purpose) => {
    const share = big(shares.subarray(32 * purpose, 32 * purpose + 32))
    refuse(share >= Fr.ORDER, 'wrong-share')
    refuse(!G2.BASE.multiplyUnsafe(share).equals(pointAt(deal.points[purpose], numberOf(receiver))), 'wrong-share')
    return share
  })
}

/** Opens the box of the receiver with this node secret: 64 bytes, or null. */
export const openShares = (deal, receiver, secret) => open(secret, deal.sealed[receiver])

// ---------------------------------------------------------------- complaints and conclusion

const passed = (check) => {
  try {
    return check()
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    return null
  }
}

const hasBit = (bits, i) => Boolean(BigInt(bits) >> BigInt(i) & 1n)

// A board: `posted` holds by dealer the hash of its deal, `complaints` by receiver the bits of the dealers it complains
// about, each undefined where nothing was posted; `justifications` are {dealer, receiver, shares}. `deals` are by dealer the
// deals one has as `judgeDeal` gives them, undefined where one lacks it.

/** Returns a checked deal, null if it breaks the rule. */
export const judgeDeal = (ceremony, dealer, posted, frame) => passed(() => checkDeal(ceremony, dealer, posted, frame))

/** Returns the bits of the dealers that a receiver complains about. */
export const complaintsOf = (posted, deals, receiver, secret) => posted.reduce((bits, hash, dealer) => {
  const deal = deals[dealer]
  const isGood = deal && passed(() => checkShares(deal, receiver, openShares(deal, receiver, secret)))
  return hash === undefined || isGood ? bits : bits | 1n << BigInt(dealer)
}, 0n)

/** Whether a receiver may post these complaints: with a quorum of them it is cut off itself. */
export const mayRespond = (ceremony, bits) =>
  ceremony.dealers.filter((_, dealer) => hasBit(bits, dealer)).length < ceremony.quorum

const revealedBy = (board, dealer, receiver) =>
  board.justifications.find((j) => j.dealer === dealer && j.receiver === receiver)?.shares ?? null

/** Returns {counted, group}: the deals that count, each with its dealer and weight. Refuses with why there is no key. */
export function conclude (ceremony, board, deals) {
  const { dealers, receivers, threshold, quorum, old } = ceremony
  const dealt = [...dealers.keys()].filter((dealer) => board.posted[dealer] !== undefined)
  refuse(dealt.length < quorum, 'too-few-deals')
  const responded = [...receivers.keys()].filter((receiver) => board.complaints[receiver] !== undefined)
  refuse(responded.length < threshold, 'too-few-responses')
  const against = (dealer) => responded.filter((receiver) => hasBit(board.complaints[receiver], dealer))
  const needed = dealt.filter((dealer) => against(dealer).length < threshold)
  const lacking = needed.filter((dealer) => deals[dealer] === undefined)
  if (lacking.length > 0) throw new Error(`cannot conclude without the deals of ${lacking}`)

  const qualified = needed.flatMap((dealer) => {
    const deal = deals[dealer]
    const isAnswered = (receiver) => passed(() => checkShares(deal, receiver, revealedBy(board, dealer, receiver))) !== null
    return deal !== null && against(dealer).every(isAnswered) ? [{ dealer, deal }] : []
  })
  refuse(qualified.length < quorum, 'too-few-qualified')

  const counting = old === null ? qualified : qualified.slice(0, quorum)
  const weights = old === null ? counting.map(() => 1n) : weightsOf(counting.map(({ dealer }) => numberOf(dealer)))
  const counted = counting.map((one, i) => ({ ...one, weight: weights[i] }))
  const commitments = PURPOSES.map((purpose) => Array.from({ length: threshold }, (_, k) =>
    pointBytes(sumOf(counted.map(({ deal, weight }) => deal.points[purpose][k].multiplyUnsafe(weight))))))
  const made = encode(Group, { session: BigInt(ceremony.session), governors: receivers, commitments })
  const group = passed(() => readGroup(made))
  refuse(group === null, 'no-group')
  refuse(old !== null && PURPOSES.some((p) => !publicKey(group, p).equals(publicKey(old, p))), 'other-key')
  return { counted, group }
}

/** Returns a receiver's shares in the concluded group, by purpose; null if it has none. */
export function sharesOf (counted, board, receiver, secret) {
  const dealt = counted.map(({ dealer, deal, weight }) => {
    const isRevealed = hasBit(board.complaints[receiver] ?? 0, dealer)
    const shares = isRevealed ? revealedBy(board, dealer, receiver) : openShares(deal, receiver, secret)
    return passed(() => checkShares(deal, receiver, shares))?.map((share) => Fr.mul(share, weight)) ?? null
  })
  return dealt.includes(null) ? null : PURPOSES.map((purpose) => dealt.reduce((sum, of) => Fr.add(sum, of[purpose]), 0n))
}
