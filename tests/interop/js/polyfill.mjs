// js-libp2p 3 needs Promise.withResolvers, which Node.js has from version 22 on.
Promise.withResolvers ??= function () {
  let resolve, reject
  const promise = new this((a, b) => { resolve = a; reject = b })
  return { promise, resolve, reject }
}
