// Judges a beacon chain with drand's own clients, which verify what they get. Prints one line of
// JSON, or says what does not hold and ends with 1.
//
//     node judge.mjs BASE_URL CHAIN_HASH PUBLIC_KEY
//
// BASE_URL is of any server of drand's API, without the chain hash. The chain must be three rounds
// old; judging takes some five periods.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'

console.log = console.error // tlock-js talks; what is printed here is read by a program

const require = createRequire(import.meta.url)
const drand = require('drand-client')
const tlock = require('tlock-js') // brings an older drand-client of its own

const LIVE_ROUNDS = 3
const SEALED_AHEAD = 4
const FAR_AHEAD = 1_000_000
const SECRET = 'what nobody may read before its round'

const [url, chainHash, publicKey] = process.argv.slice(2)
const began = performance.now()
const pinned = clientOf(drand, { chainHash, publicKey })
const info = await pinned.chain().info()

const [client, live, lock] = await Promise.all([judgePast(), judgeLive(), judgeTimelock()])
const ms = Math.round(performance.now() - began)
process.stdout.write(JSON.stringify({ ...client, live, lock, ms }) + '\n')

function clientOf(library, chainVerificationParams, base = url) {
  const options = { disableBeaconVerification: false, noCache: true, chainVerificationParams }
  return new library.HttpChainClient(new library.HttpCachingChain(base, options), options)
}

// What has been: by number, by time, the latest; and what must be refused.
async function judgePast() {
  const node = new drand.MultiBeaconNode(url)
  const chains = await node.chains()
  assert.deepEqual(chains.map((chain) => chain.baseUrl), [`${url}/${chainHash}`])
  const underHash = clientOf(drand, { chainHash, publicKey }, chains[0].baseUrl)
  const first = await drand.fetchBeacon(pinned, 1)
  assert.deepEqual(await drand.fetchBeacon(underHash, 1), first)

  const second = await drand.fetchBeaconByTime(pinned, drand.roundTime(info, 2))
  assert.equal(second.round, 2)
  const due = drand.roundAt(Date.now(), info)
  const latest = await drand.fetchBeacon(pinned) // asks for the round of this moment
  assert.ok(latest.round >= due)
  const last = await pinned.latest()

  return {
    health: await node.health(),
    rounds: [first, second, latest].map(({ round, randomness }) => ({ round, randomness })),
    latest: last.round,
    refusals: {
      anotherChain: await refusal(drand.fetchBeacon(clientOf(drand, { chainHash: '0'.repeat(64), publicKey }), 1)),
      anotherKey: await refusal(drand.fetchBeacon(clientOf(drand, { chainHash, publicKey: '0'.repeat(192) }), 1)),
      swappedRound: await refusal(drand.fetchBeacon(lying({ ...second, round: 1 }), 1)),
      anotherRound: await refusal(drand.fetchBeacon(lying(second), 1)),
      forgedRandomness: await refusal(drand.fetchBeacon(lying({ ...first, randomness: second.randomness }), 1)),
      futureRound: await refusal(drand.fetchBeacon(pinned, due + FAR_AHEAD))
    }
  }
}

// A server that has something else to say about every round.
function lying(answer) {
  return { options: pinned.options, chain: () => pinned.chain(), get: async () => answer }
}

// Rounds as they fall due, in order; how late each came, on this machine's clock.
async function judgeLive() {
  const stop = new AbortController()
  const seen = []
  for await (const { round, randomness } of drand.watch(pinned, stop, { retriesOnFailure: 0 })) {
    seen.push({ round, randomness, lateMs: Date.now() - drand.roundTime(info, round) })
    if (seen.length === LIVE_ROUNDS) stop.abort()
  }
  seen.forEach(({ round, lateMs }, i) => {
    assert.equal(round, seen[0].round + i)
    assert.ok(lateMs >= 0, `round ${round} came early`)
  })
  return seen
}

// A message sealed for a round to come opens then and not before.
async function judgeTimelock() {
  const locker = clientOf(tlock, { chainHash, publicKey })
  const round = tlock.roundAt(Date.now(), info) + SEALED_AHEAD
  const dueMs = tlock.roundTime(info, round)
  const sealed = await tlock.timelockEncrypt(round, Buffer.from(SECRET), locker)
  const early = await refusal(tlock.timelockDecrypt(sealed, locker))
  assert.ok(early?.includes('too early') || Date.now() >= dueMs, `opened early: ${early}`)
  const farOff = await tlock.timelockEncrypt(round + FAR_AHEAD, Buffer.from(SECRET), locker)

  while (Date.now() < dueMs) await sleep(dueMs - Date.now())
  const opened = await tlock.timelockDecrypt(sealed, locker)
  assert.equal(opened.toString(), SECRET)
  const lateMs = Date.now() - dueMs
  return { round, lateMs, refusesFarOff: await refusal(tlock.timelockDecrypt(farOff, locker)) }
}

// Why a promise was refused; `null` if it was kept.
async function refusal(asking) {
  try {
    await asking
    return null
  } catch (error) {
    return String(error.message)
  }
}
