// Money of deals and pools, and the draw among bids: protocols/market.md

import { big, fixed, keccak } from './crypto.mjs'

const UNIT = 10n ** 18n
const BPS = 10_000n
const PPM = 1_000_000n
const YEAR_S = 31_536_000n
const NODE_ETH = 32n * UNIT
const ENTRIES_MAX = 32

const sum = (values) => values.reduce((a, b) => a + b, 0n)
const min = (a, b) => a < b ? a : b
const max = (a, b) => a > b ? a : b
const up = (a, b) => (a + b - 1n) / b

// ---------------------------------------------------------------- money

export function quote ([cpu, ram, storage, mbps, core, ramGb, storageGb, mbit, lengthS, usdPerAnkr]) {
  const thousandths = cpu * core + ram * ramGb + 1000n * (storage * storageGb + mbps * mbit)
  const usd = up(lengthS * thousandths, 3_600_000n)
  return [usd, up(usd * UNIT, usdPerAnkr)]
}

export const yearlyShare = ([principal, bps, lengthS]) => [principal * bps * lengthS / (BPS * YEAR_S)]

function shared (amount, [a, b]) {
  if (amount >= a + b) return [a, b]
  const first = amount * a / (a + b)
  return [first, amount - first]
}

export function split ([ankr, eth, paid, rewardBps, insuranceBps, price]) {
  const dues = (amount) => [amount * rewardBps / BPS, amount * insuranceBps / BPS]
  const provider = min(paid, ankr)
  const due = dues(ankr)
  const pools = shared(ankr - provider, due)
  const own = dues(eth)
  const lacking = due.map((one, i) => one - pools[i])
  const owed = eth === 0n || sum(lacking) === 0n ? [0n, 0n] : lacking.map((one) => one * UNIT / price)
  const more = shared(eth - sum(own), owed)
  return [provider, ...pools, ankr - provider - sum(pools),
    own[0] + more[0], own[1] + more[1], eth - sum(own) - sum(more)]
}

export const loss = ([profit, unservedS, lengthS]) => [profit * unservedS / lengthS]

export function cover ([lost, provider, stake, price, pool]) {
  const fromEth = min(lost, provider)
  const left = lost - fromEth
  const needed = up(left * price, UNIT)
  const ankr = min(needed, stake)
  const open = ankr === needed ? 0n : left - ankr * UNIT / price
  return [fromEth, ankr, min(open, pool), open - min(open, pool)]
}

// ---------------------------------------------------------------- pools

const inProportion = (amount, weights) => weights.map((w) => sum(weights) === 0n ? 0n : amount * w / sum(weights))

export function distribution ([pool, governance, projects, stakers]) {
  const parts = [governance, projects, stakers].map((bps) => pool * bps / BPS)
  return [...parts, pool - sum(parts)]
}

export function refunds (stakes, [lost, provider, balance]) {
  const fromProvider = min(lost, provider)
  const claims = inProportion(lost - fromProvider, stakes)
  return [inProportion(fromProvider, stakes), sum(claims) <= balance ? claims : inProportion(balance, claims)]
}

export function joined ([sent, filled, fixedPrice]) {
  const taken = min(sent, NODE_ETH - filled)
  return [taken, sent - taken, up(fixedPrice * taken, NODE_ETH)]
}

/** Returns [[reward pool, insurance pool], stakers, [reward pool, provider] if the amount were fees]. */
export function completion (stakes, [amount, rewardBps, insuranceBps]) {
  const reward = amount * rewardBps / BPS
  const stakers = inProportion(amount - reward - amount * insuranceBps / BPS, stakes)
  return [[reward, amount - reward - sum(stakers)], stakers, [reward, amount - reward]]
}

// ---------------------------------------------------------------- auctions

const word = (value) => fixed(value, 32)
const tag = (text) => Buffer.concat([Buffer.from(text, 'ascii')], 32)
const where = (c) => [word(c.chain_id), word(big(c.market)), word(c.deal)]

export const commitment = (c) => keccak(tag('stkr/market-bid/1'), ...where(c),
  word(big(c.provider)), word(c.registration), word(c.price), c.salt)

export const number = (c) => big(keccak(tag('stkr/market-draw/1'), ...where(c), c.randomness))
export const numberAfter = (before) => big(keccak(word(before)))

/** Returns what comes of an auction; `bids` are [price, stake, reliability] in the order of opening. */
export function auction (bids, size, stakeMax, rule, fixedPrice, drawNumber) {
  const order = bids.map((_, i) => i).sort((a, b) => bids[a][0] === bids[b][0] ? a - b : bids[a][0] < bids[b][0] ? -1 : 1)
  const entering = order.filter((i, place) => place < size || bids[i][0] === bids[order[size - 1]][0]).slice(0, ENTRIES_MAX)
  const median = bids[entering[Math.floor((entering.length - 1) / 2)]][0]
  const term = (price) => price === 0n ? 2n * PPM : max(PPM / 2n, min(2n * PPM, median * PPM / price))
  let weights = entering.map((i) => min(bids[i][1], stakeMax) * bids[i][2] * term(bids[i][0]))
  if (sum(weights) === 0n) weights = weights.map(() => 1n)
  let point = drawNumber % sum(weights)
  const winner = entering.find((_, place) => (point -= weights[place]) < 0n)
  const second = order.length > 1 ? bids[order[1]][0] : fixedPrice
  const paid = rule === 1 ? max(bids[winner][0], second) : bids[winner][0]
  return { entering, weights, winner, paid: min(paid, fixedPrice) }
}
