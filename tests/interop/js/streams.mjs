// One stream, one question, one answer: protocols/network.md, section 3

const varint = (value) => {
  const out = []
  for (; value > 0x7f; value >>>= 7) out.push((value & 0x7f) | 0x80)
  return Buffer.from([...out, value])
}

/** Reads one frame; throws if it is longer than `bytesMax`, malformed or cut off. */
async function readFrame (stream, bytesMax) {
  let data = Buffer.alloc(0)
  for await (const chunk of stream) {
    data = Buffer.concat([data, chunk.subarray()])
    let length = 0
    let width = 0
    while (width < data.length && width < 4 && data[width] & 0x80) length += (data[width] & 0x7f) * 2 ** (7 * width++)
    if (width >= 4) throw new Error('length has too many bytes')
    if (width === data.length) continue
    length += data[width] * 2 ** (7 * width)
    if (width > 0 && data[width] === 0) throw new Error('length is not minimal')
    if (length > bytesMax) throw new Error('frame too long')
    if (data.length >= width + 1 + length) return data.subarray(width + 1, width + 1 + length)
  }
  throw new Error('cut off')
}

async function sendFrame (stream, body) {
  if (!stream.send(Buffer.concat([varint(body.length), body]))) await stream.onDrain()
  await stream.close()
}

/** Asks one question on a stream of its own. */
export async function ask (host, peer, protocol, question, { timeoutMs, answerMax }) {
  const signal = AbortSignal.timeout(timeoutMs)
  const stream = await host.dialProtocol(peer, protocol, { signal })
  const abort = () => stream.abort(new Error('too late'))
  signal.addEventListener('abort', abort)
  try {
    const answer = readFrame(stream, answerMax)
    answer.catch(() => {}) // if sending fails, that is the error to report
    await sendFrame(stream, question)
    return await answer
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** Serves a protocol; what `answer` throws resets the stream. */
export const serve = (host, protocol, answer) => host.handle(protocol, async (stream, connection) => {
  try {
    await sendFrame(stream, await answer(connection.remotePeer, await readFrame(stream, 65536)))
  } catch (error) {
    stream.abort(error)
  }
})
