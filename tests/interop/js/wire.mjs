// Canonical MessagePack of fixed-shape arrays: protocols/README.md, section 2.
//
// A `uint` is a BigInt, `bytes` a Buffer, a message an object of its fields.

export const FRAME_BYTES_MAX = 65536
export const ANSWER_BYTES_MAX = 1048576
const INTEGER_MAX = (1n << 63n) - 1n

/** A refusal, named by a word of the specification. */
export class Refused extends Error {
  constructor (reason) {
    super(reason)
    this.reason = reason
  }
}

// ---------------------------------------------------------------- encoding

const head = (first, width, value) => {
  const out = Buffer.alloc(1 + width)
  out[0] = first
  let rest = BigInt(value)
  for (let i = width; i > 0; i--) {
    out[i] = Number(rest & 255n)
    rest >>= 8n
  }
  return out
}

const shortest = (value, forms) => {
  for (const [limit, first, width] of forms) {
    if (BigInt(value) < limit) return width === 0 ? Buffer.from([first + Number(value)]) : head(first, width, value)
  }
  throw new RangeError('too large to encode')
}

const UINTS = [[128n, 0x00, 0], [1n << 8n, 0xcc, 1], [1n << 16n, 0xcd, 2], [1n << 32n, 0xce, 4], [1n << 63n, 0xcf, 8]]
const BINS = [[1n << 8n, 0xc4, 1], [1n << 16n, 0xc5, 2], [1n << 32n, 0xc6, 4]]
const TEXTS = [[32n, 0xa0, 0], [1n << 8n, 0xd9, 1], [1n << 16n, 0xda, 2], [1n << 32n, 0xdb, 4]]
const LISTS = [[16n, 0x90, 0], [1n << 16n, 0xdc, 2], [1n << 32n, 0xdd, 4]]

/** Encodes a nest of lists, byte strings, texts, booleans and integers from 0. */
export function encodeAny (value) {
  if (value === true || value === false) return Buffer.from([value ? 0xc3 : 0xc2])
  if (typeof value === 'bigint' || typeof value === 'number') return shortest(value, UINTS)
  if (typeof value === 'string') {
    const raw = Buffer.from(value, 'utf8')
    return Buffer.concat([shortest(raw.length, TEXTS), raw])
  }
  if (value instanceof Uint8Array) return Buffer.concat([shortest(value.length, BINS), value])
  if (Array.isArray(value)) return Buffer.concat([shortest(value.length, LISTS), ...value.map(encodeAny)])
  throw new TypeError(`no encoding for ${typeof value}`)
}

// ---------------------------------------------------------------- decoding

/** Reads one value after the other; nothing is allocated from a length before the bytes are there. */
class Reader {
  constructor (frame) {
    this.frame = frame
    this.at = 0
  }

  take (count) {
    if (this.frame.length - this.at < count) throw new Refused('malformed')
    const part = this.frame.subarray(this.at, this.at + count)
    this.at += count
    return part
  }

  number (width) {
    return BigInt('0x' + this.take(width).toString('hex'))
  }

  length (first, short, forms) {
    if (short !== null && first >= short[0] && first <= short[1]) return first - short[0]
    const width = forms[first]
    if (width === undefined) throw new Refused('malformed')
    return Number(this.number(width))
  }

  uint () {
    const first = this.take(1)[0]
    if (first < 0x80) return BigInt(first)
    const width = { 0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8, 0xd0: 1, 0xd1: 2, 0xd2: 4, 0xd3: 8 }[first]
    if (width === undefined) throw new Refused('malformed')
    const value = this.number(width)
    if (first >= 0xd0 && value >> BigInt(8 * width - 1)) throw new Refused('malformed')
    return value
  }
}

const bounded = (value, low, high) => {
  if (value < low || value > high) throw new Refused('malformed')
  return value
}

// ---------------------------------------------------------------- types

export const range = (low, high) => ({
  tree: (value) => value,
  read: (reader) => bounded(reader.uint(), BigInt(low), BigInt(high))
})

export const uint = range(0, INTEGER_MAX)

export const bytes = (low, high = low) => ({
  tree: (value) => value,
  read: (reader) => {
    const length = reader.length(reader.take(1)[0], null, { 0xc4: 1, 0xc5: 2, 0xc6: 4 })
    return Buffer.from(reader.take(bounded(length, low, high)))
  }
})

export const text = (high) => ({
  tree: (value) => value,
  read: (reader) => {
    const length = reader.length(reader.take(1)[0], [0xa0, 0xbf], { 0xd9: 1, 0xda: 2, 0xdb: 4 })
    const raw = reader.take(length)
    let value
    try {
      value = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw)
    } catch {
      throw new Refused('malformed')
    }
    bounded([...value].length, 0, high)
    return value
  }
})

export const bool = {
  tree: (value) => value,
  read: (reader) => {
    const first = reader.take(1)[0]
    if (first !== 0xc2 && first !== 0xc3) throw new Refused('malformed')
    return first === 0xc3
  }
}

const listLength = (reader) => reader.length(reader.take(1)[0], [0x90, 0x9f], { 0xdc: 2, 0xdd: 4 })

export const list = (high, item) => ({
  tree: (values) => values.map((value) => item.tree(value)),
  read: (reader) => {
    const length = bounded(listLength(reader), 0, high)
    return Array.from({ length }, () => item.read(reader))
  }
})

/** A message: its fields in order, after its tag if it has one. */
export const message = (fields, tag = null) => {
  const entries = Object.entries(fields)
  return {
    tag,
    tree: (value) => [...(tag === null ? [] : [tag]), ...entries.map(([name, type]) => type.tree(value[name]))],
    read: (reader) => {
      bounded(listLength(reader), ...Array(2).fill(entries.length + (tag === null ? 0 : 1)))
      if (tag !== null) bounded(reader.uint(), BigInt(tag), BigInt(tag))
      return Object.fromEntries(entries.map(([name, type]) => [name, type.read(reader)]))
    }
  }
}

export const encode = (type, value) => encodeAny(type.tree(value))

/** Reads a frame by the rule of section 2; throws `Refused`. */
export function decode (type, frame, bytesMax = FRAME_BYTES_MAX) {
  if (frame.length > bytesMax) throw new Refused('oversized')
  const reader = new Reader(frame)
  const value = type.read(reader)
  if (reader.at !== frame.length) throw new Refused('malformed')
  if (!encode(type, value).equals(frame)) throw new Refused('not-canonical')
  return value
}

/** Reads a frame of one of several tagged messages: [name, value]. */
export function decodeTagged (types, frame, bytesMax = FRAME_BYTES_MAX) {
  if (frame.length > bytesMax) throw new Refused('oversized')
  const reader = new Reader(frame)
  listLength(reader)
  const tag = reader.uint()
  const found = Object.entries(types).find(([, type]) => BigInt(type.tag) === tag)
  if (found === undefined) throw new Refused('malformed')
  return [found[0], decode(found[1], frame, bytesMax)]
}
