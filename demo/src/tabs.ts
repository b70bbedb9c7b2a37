// One tab at a time: two would write over each other's database.

const LOCK = 'melon-demo'

/** Waits until no other tab has the demo open (`onWaiting` is called if one has), and keeps others
 * waiting from then on. Returns false where the browser has no locks: plain http from afar. */
export async function alone(onWaiting: () => void): Promise<boolean> {
  if (!navigator.locks) return false
  const { held = [] } = await navigator.locks.query()
  if (held.some(({ name }) => name === LOCK)) onWaiting()
  return new Promise((resolve, reject) => {
    const untilClosed = () => new Promise<never>(() => resolve(true))
    navigator.locks.request(LOCK, untilClosed).catch(reject)
  })
}
