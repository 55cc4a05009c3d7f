// Follows a beacon with drand's own client, which verifies what it gets, and prints one line of JSON.
//
//     node follow.mjs BASE_URL CHAIN_HASH PUBLIC_KEY ROUND_JUST_DUE_NEXT

import { createRequire } from 'node:module'

const drand = createRequire(import.meta.url)('drand-client')

const [url, chainHash, publicKey, next] = process.argv.slice(2)

function clientOf(chainVerificationParams) {
  const options = {
    disableBeaconVerification: false,
    noCache: true,
    chainVerificationParams
  }
  return new drand.HttpChainClient(new drand.HttpCachingChain(url, options), options)
}

async function isRefused(asking) {
  try {
    await asking
    return false
  } catch {
    return true
  }
}

const ours = clientOf({ chainHash, publicKey })
const rounds = []
for (const round of [1, 2, Number(next)]) rounds.push(await drand.fetchBeacon(ours, round))
const stranger = clientOf({ chainHash: '0'.repeat(64), publicKey })

console.log(
  JSON.stringify({
    rounds: rounds.map(({ round, randomness }) => ({ round, randomness })),
    latest: (await drand.fetchBeacon(ours)).round,
    roundNow: drand.roundAt(Date.now(), await ours.chain().info()),
    refusesAnotherChain: await isRefused(drand.fetchBeacon(stranger, 1))
  })
)
