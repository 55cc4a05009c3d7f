// Hashes, tags, signatures and trees: protocols/README.md, section 3.

import { hsalsa, xsalsa20poly1305 } from '@noble/ciphers/salsa.js'
import { bls12_381 as bls } from '@noble/curves/bls12-381.js'
import { ed25519, x25519 } from '@noble/curves/ed25519.js'
import { blake2b } from '@noble/hashes/blake2.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 as sha2, sha512 } from '@noble/hashes/sha2.js'
import { keccak_256 } from '@noble/hashes/sha3.js'

const join = (parts) => Buffer.concat(parts.map((part) => typeof part === 'string' ? Buffer.from(part, 'ascii') : part))

export const sha256 = (...parts) => Buffer.from(sha2(join(parts)))
export const keccak = (...parts) => Buffer.from(keccak_256(join(parts)))
export const hmac512 = (key, ...parts) => Buffer.from(hmac(sha512, key, join(parts)))

export const big = (raw) => raw.length === 0 ? 0n : BigInt('0x' + Buffer.from(raw).toString('hex'))
export const little = (raw) => big(Buffer.from(raw).reverse())
export const fixed = (value, width) => Buffer.from(BigInt(value).toString(16).padStart(2 * width, '0'), 'hex')
export const u64 = (value) => fixed(value, 8)

// ---------------------------------------------------------------- Ed25519

const P = (1n << 255n) - 19n
const L = (1n << 252n) + 27742317777372353535851937790883648493n
const ORDER_8 = [
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'
].map((hex) => little(Buffer.from(hex, 'hex')))
const SMALL = new Set([0n, 1n, P - 1n, P, P + 1n, ...ORDER_8])

const yOf = (raw) => little(raw) & ((1n << 255n) - 1n)

export const nodeOf = (secret) => Buffer.from(ed25519.getPublicKey(secret))
export const sign = (secret, tag, payload) => Buffer.from(ed25519.sign(join([tag, Buffer.alloc(1), payload]), secret))

/** The one check of a signature over tag | 00 | payload; no library's own, since these disagree. */
export function isSigned (node, tag, payload, signature) {
  if (signature.length !== 64 || node.length !== 32) return false
  const r = signature.subarray(0, 32)
  const s = little(signature.subarray(32))
  if (s >= L || yOf(node) >= P || SMALL.has(yOf(node)) || SMALL.has(yOf(r))) return false
  const h = little(sha512(join([r, node, tag, Buffer.alloc(1), payload]))) % L
  try {
    const key = ed25519.Point.fromBytes(node)
    const left = s === 0n ? ed25519.Point.ZERO : ed25519.Point.BASE.multiplyUnsafe(s)
    const right = h === 0n ? ed25519.Point.ZERO : key.multiplyUnsafe(h)
    return Buffer.from(left.subtract(right).toBytes()).equals(r)
  } catch {
    return false
  }
}

// ---------------------------------------------------------------- BLS12-381

export const ROUND_DST = 'BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_'
export const ANCHOR_DST = 'STKR-ANCHOR-V1_BLS12381G1_XMD:SHA-256_SSWU_RO_'

const point = (group, raw, width) => {
  if (raw.length !== width || raw[0] & 0x40) throw new Error('no point')
  const found = group.Point.fromBytes(raw)
  found.assertValidity()
  if (!Buffer.from(found.toBytes(true)).equals(raw)) throw new Error('not canonical')
  return found
}

/** Integers modulo the order of both groups. */
export const Fr = bls.fields.Fr
export const G2 = bls.G2.Point
G2.BASE.precompute(8)

/** Reads a point of a subgroup; throws for any other and for the identity. */
export const readG1 = (raw) => point(bls.G1, raw, 48)
export const readG2 = (raw) => point(bls.G2, raw, 96)
export const pointBytes = (point) => Buffer.from(point.toBytes(true))
export const sumOf = (points) => points.reduce((sum, one) => sum.add(one))

export const blsSign = (secret, message, dst) =>
  pointBytes(bls.shortSignatures.hash(message, Buffer.from(dst, 'ascii')).multiplyUnsafe(secret))

/** Checks a signature in G1 by a key in G2 over a message in a domain. */
export function isBlsSigned (key, message, signature, dst) {
  try {
    const sigs = bls.shortSignatures
    return sigs.verify(readG1(signature), sigs.hash(message, Buffer.from(dst, 'ascii')), readG2(key))
  } catch {
    return false
  }
}

// ---------------------------------------------------------------- sealed boxes: libsodium's crypto_box_seal

const wordsOf = (raw) => new Uint32Array(Uint8Array.from(raw).buffer)
const SIGMA = wordsOf(Buffer.from('expand 32-byte k', 'ascii'))

function boxOf (secret, other, ephemeral, key) {
  const shared = wordsOf(x25519.getSharedSecret(secret, other))
  const out = new Uint32Array(8)
  hsalsa(SIGMA, shared, new Uint32Array(4), out)
  return xsalsa20poly1305(new Uint8Array(out.buffer), blake2b(join([ephemeral, key]), { dkLen: 24 }))
}

/** Returns a node id as a key of X25519; null if it is none. */
function boxKeyOf (node) {
  try {
    const found = ed25519.Point.fromBytes(node)
    return found.isSmallOrder() || !found.isTorsionFree() ? null : ed25519.utils.toMontgomery(node)
  } catch {
    return null
  }
}

/** Seals to a node, with an ephemeral secret of 32 bytes; null if the node id is no key. */
export function seal (node, ephemeralSecret, plain) {
  const key = boxKeyOf(node)
  if (key === null) return null
  const ephemeral = x25519.getPublicKey(ephemeralSecret)
  return join([ephemeral, boxOf(ephemeralSecret, key, ephemeral, key).encrypt(plain)])
}

/** Opens what was sealed to the node of this Ed25519 seed; null if it does not open. */
export function open (secret, sealed) {
  try {
    const mine = ed25519.utils.toMontgomerySecret(secret)
    const ephemeral = sealed.subarray(0, 32)
    return Buffer.from(boxOf(mine, ephemeral, ephemeral, boxKeyOf(nodeOf(secret))).decrypt(sealed.subarray(32)))
  } catch {
    return null
  }
}

// ---------------------------------------------------------------- trees

export const words = (...values) => Buffer.concat(values.map((v) => v instanceof Uint8Array ? v : fixed(v, 32)))
export const leafHash = (data) => keccak(keccak(data))
const pair = (a, b) => Buffer.compare(a, b) < 0 ? keccak(a, b) : keccak(b, a)

function nodesOf (leaves) {
  const hashes = leaves.map(leafHash).sort(Buffer.compare).reverse()
  const nodes = [...Array(Math.max(0, hashes.length - 1)), ...hashes]
  for (let i = hashes.length - 2; i >= 0; i--) nodes[i] = pair(nodes[2 * i + 1], nodes[2 * i + 2])
  return nodes
}

export const root = (leaves) => nodesOf(leaves)[0] ?? Buffer.alloc(32)

export function proof (leaves, leaf) {
  const nodes = nodesOf(leaves)
  let i = nodes.findLastIndex((node) => node.equals(leafHash(leaf)))
  const siblings = []
  for (; i > 0; i = (i - 1) >> 1) siblings.push(nodes[i % 2 ? i + 1 : i - 1])
  return siblings
}

export const isProved = (expected, leaf, siblings) => siblings.reduce(pair, leafHash(leaf)).equals(expected)
